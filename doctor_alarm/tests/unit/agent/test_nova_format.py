# SPDX-License-Identifier: Apache-2.0

import fixtures

from doctor_alarm.agent import normalise
from doctor_alarm.agent import nova_format
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import notifications


def unversioned(event_type, payload=None, publisher_id='compute.host1'):
    return normalise.normalise(notifications.message(
        event_type, payload or {'instance_id': 'i'},
        publisher_id=publisher_id))


def versioned(event_type):
    return normalise.normalise(notifications.message(
        event_type, notifications.envelope({'uuid': 'i'}),
        publisher_id='nova-compute:host1'))


def captured(name):
    return normalise.normalise(*notifications.load(name))


class TestChoice(base.TestCase):

    def taken(self, wanted, *found):
        choice = nova_format.Choice(wanted)
        return [item.event_type for item in found if choice.takes(item)]

    def test_of_captured_pairs_one_counts(self):
        for left, right in notifications.PAIRS:
            pair = captured(left), captured(right)
            self.assertEqual([pair[0].event_type],
                             self.taken('unversioned', *pair))
            self.assertEqual([pair[1].event_type],
                             self.taken('versioned', *pair))
            self.assertEqual(2, len(self.taken('both', *pair)))

    def test_of_all_twins_one_counts(self):
        for left, right in nova_format.twins():
            pair = unversioned(left), versioned(right)
            self.assertEqual([left], self.taken('unversioned', *pair))
            self.assertEqual([right], self.taken('versioned', *pair))

    def test_host_faults_always_count(self):
        fault = captured(notifications.FORCE_DOWN)
        for wanted in nova_format.FORMATS:
            self.assertEqual(['service.update'], self.taken(wanted, fault))

    def test_what_one_form_has_always_counts(self):
        found = [versioned(name) for name in (
            'service.create', 'flavor.update', 'instance.lock',
            'instance.volume_swap.error', 'instance.interface_attach.end',
            'instance.volume_attach.start', 'aggregate.cache_images.end')]
        found += [unversioned(name) for name in (
            'compute.instance.create_ip.end', 'HostAPI.set_enabled.end',
            'servergroup.update', 'compute.instance.force_delete.end')]
        for wanted in nova_format.FORMATS:
            self.assertEqual([item.event_type for item in found],
                             self.taken(wanted, *found))

    def test_the_failure_of_a_call(self):
        left = unversioned('build_and_run_instance',
                           {'exception': 'x', 'args': {}})
        right = versioned('compute.exception')
        self.assertEqual(['build_and_run_instance', 'compute.exception'],
                         self.taken('unversioned', left, right))
        self.assertEqual(['compute.exception'],
                         self.taken('versioned', left, right))

    def test_same_types_of_other_services_count(self):
        other = unversioned('volume.usage', publisher_id='volume.host1@lvm')
        self.assertEqual(['volume.usage'], self.taken('versioned', other))

    def test_a_wrong_setting_is_told_once(self):
        log = self.useFixture(fixtures.FakeLogger())
        found = versioned('instance.update')
        self.taken('unversioned', *[found] * 1000)
        self.assertEqual(1, log.output.count('nova_format = versioned'))

    def test_a_right_setting_is_not_told(self):
        log = self.useFixture(fixtures.FakeLogger())
        pair = (unversioned('compute.instance.update'),
                versioned('instance.update'))
        self.taken('unversioned', *pair * 500)
        self.assertEqual('', log.output)
