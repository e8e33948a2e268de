# SPDX-License-Identifier: Apache-2.0
"""The process without its bus: what is acknowledged, and when."""

import dataclasses
import datetime
import json

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.inspector import service
from doctor_alarm.tests import base as tests_base
from doctor_alarm.tests.unit.inspector import base


class Incoming:

    def __init__(self, log, *events, publisher_id='doctor_alarm.api'):
        self._log = log
        self.message = {
            'message_id': 'n1', 'publisher_id': publisher_id,
            'payload': [event if isinstance(event, dict) else event.to_wire()
                        for event in events]}

    def acknowledge(self):
        self._log.append('acknowledged')


class Bus:
    """Keeps what is published; fails as often as it shall."""

    def __init__(self):
        self.log = []
        self.docs = []
        self.failures = 0

    def publish(self, _event_type, payload):
        if self.failures:
            self.failures -= 1
            self.log.append('failed')
            raise exception.PublishFailed(topic='t', reason='away')
        self.log.append(len(payload))
        self.docs += payload

    def put(self, reason, message_id, source, body):
        self.log.append((reason, source))


class ServiceTest(tests_base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir())
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[], default_config_dirs=[])
        self.write({'h1': 3})
        self.conf.set_override(
            'resource_map_file', self.folder.join('map.json'), 'inspector')
        self.service = service.InspectorService(self.conf)
        self.bus = Bus()
        self.service._publisher = self.service._letters = self.bus

    def write(self, hosts):
        """Write a map: host -> number of servers."""
        with open(self.folder.join('map.json'), 'w') as file:
            json.dump({host: [
                {'id': '%s-vm%d' % (host, n), 'name': 'n', 'project_id': 'p'}
                for n in range(count)] for host, count in hosts.items()},
                file)

    def incoming(self, *events, **kwargs):
        return Incoming(self.bus.log, *events, **kwargs)

    def test_acknowledged_after_all_is_published(self):
        self.service._process([
            self.incoming(base.event()),
            self.incoming(base.event('other')),
            self.incoming(base.event(fault.HOST_UP))])

        self.assertEqual([14] + 3 * ['acknowledged'], self.bus.log)
        self.assertEqual(
            2 * ['h1', *(name for n in range(3)
                         for name in 2 * ['h1-vm%d' % n])],
            [event_mod.Event.from_wire(doc, received=base.NOW).resource_id
             for doc in self.bus.docs])

    def test_what_is_long_past_forces_nothing_down(self):
        old = dataclasses.replace(base.event(), generated=datetime.datetime(
            1999, 1, 1, tzinfo=datetime.timezone.utc))
        log = self.useFixture(fixtures.FakeLogger())

        self.service._process([
            self.incoming(old), self.incoming(base.event(fault.HOST_UP))])

        self.assertEqual([7, 'acknowledged', 'acknowledged'], self.bus.log)
        self.assertIn('compute.host.down of h1 is older', log.output)

    def test_a_hundred_servers_go_in_lists_of_a_hundred(self):
        self.write({'h1': 100})
        self.service.reset()

        self.service._process([self.incoming(base.event())])

        self.assertEqual([100, 100, 1, 'acknowledged'], self.bus.log)

    def test_what_fails_is_tried_again_from_where_it_failed(self):
        self.bus.failures = 2

        self.service._process([self.incoming(base.event())])

        self.assertEqual(['failed', 'failed', 7, 'acknowledged'],
                         self.bus.log)

    def test_at_the_end_of_the_service_the_broker_keeps_it(self):
        self.bus.failures = 1000
        self.service.stopping.set()

        self.service._process([self.incoming(base.event())])

        self.assertEqual(['failed'], self.bus.log)

    def test_its_own_events_are_left_alone(self):
        self.service._process([self.incoming(
            base.event(), publisher_id=service.PUBLISHER_ID)])

        self.assertEqual(['acknowledged'], self.bus.log)

    def test_malformed_ones_are_left_to_the_evaluator(self):
        self.service._process([self.incoming(
            {'event_type': fault.HOST_DOWN}, {'event_type': []}, {},
            base.event())])

        self.assertEqual([7, 'acknowledged'], self.bus.log)

    def test_what_breaks_it_is_put_aside(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.inspector.derive.inspect',
            lambda root, *_: 1 / 0 if root.event_type == fault.HOST_UP
            else None))

        self.service._process([self.incoming(base.event(fault.HOST_UP)),
                               self.incoming(base.event())])

        self.assertEqual([
            ('broke the inspector: ZeroDivisionError',
             'doctor_alarm_inspector'), 'acknowledged', 'acknowledged'],
            self.bus.log)

    def test_files_are_read_again(self):
        self.write({'h1': 1})
        self.service.reset()

        self.service._process([self.incoming(base.event())])

        self.assertEqual([3, 'acknowledged'], self.bus.log)

    def test_a_map_that_is_wrong_changes_nothing(self):
        with open(self.folder.join('map.json'), 'w') as file:
            file.write('{')
        self.service.reset()

        self.service._process([self.incoming(base.event())])

        self.assertEqual([7, 'acknowledged'], self.bus.log)

    def test_so_does_the_policy(self):
        path = self.folder.join('policy.yaml')
        self.conf.set_override('failure_policy_file', path, 'inspector')
        for text in ('- event_type: 7', '[]'):
            with open(path, 'w') as file:
                file.write(text)
            self.service.reset()
            self.service._process([self.incoming(base.event())])

        self.assertEqual([7, 'acknowledged', 'acknowledged'], self.bus.log)
