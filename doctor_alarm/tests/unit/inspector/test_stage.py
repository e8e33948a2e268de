# SPDX-License-Identifier: Apache-2.0
"""When a fault passed the inspector, in what it tells and in metrics."""

import dataclasses
import datetime

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import event as event_mod
from doctor_alarm.inspector import stage
from doctor_alarm.tests import base
from doctor_alarm.tests import faults

SECOND = datetime.timedelta(seconds=1)


class Setting(base.TestCase):

    def setUp(self):
        super().setUp()
        path = self.useFixture(fixtures.TempDir()).join('map.json')
        faults.map_file(path, {'vm1': 'p1', 'vm2': 'p2'})
        conf = cfg.ConfigOpts()
        project_conf.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override('resource_map_file', path, 'inspector')
        self.conf = conf
        self.stage = stage.Stage(conf, bus=False)


class StageTest(Setting):

    def inspect(self, root):
        """Return what is told, and what was observed of which stage."""
        before = faults.observed()
        told = self.stage.inspect(root)
        return told, faults.observed(since=before)

    def test_all_that_follows_was_made_when_the_servers_were_found(self):
        root = faults.root()
        before = event_mod.now_us()

        told, _ = self.inspect(root)

        times = {event.transformed_at for event in told}
        self.assertEqual(1, len(times))
        self.assertTrue(before <= times.pop() <= event_mod.now_us())
        first = told[0]
        self.assertEqual(first.transformed_at,
                         event_mod.to_us(first.traits['found_at']))
        self.assertEqual(event_mod.from_us(root.transformed_at),
                         first.traits['reported_at'])
        for event in told[1:]:
            for name in ('found_at', 'reported_at', 'occurred_at'):
                self.assertNotIn(name, event.traits)

    def test_stages_are_observed_once_each_fault(self):
        root = faults.root(seconds=-10)
        _told, seen = self.inspect(root)
        self.assertEqual({'received', 'found'}, set(seen))

        began = root.generated - 3 * SECOND
        _told, seen = self.inspect(faults.root(
            seconds=-10, occurred_at=began.isoformat()))
        self.assertEqual({'detected', 'received', 'found'}, set(seen))
        for stage_, (count, _seconds) in seen.items():
            self.assertEqual(1, count, stage_)
        self.assertGreaterEqual(seen['detected'][1], 3)
        self.assertGreaterEqual(seen['received'][1], 10)

    def test_what_is_no_fault_is_not_observed(self):
        self.assertEqual(([], {}), self.inspect(faults.root(kind='other')))

    def test_an_event_without_its_host_is_warned_of_and_no_fault(self):
        log = self.useFixture(fixtures.FakeLogger())

        self.assertEqual(([], {}), self.inspect(faults.root(hostname='')))
        self.assertEqual('compute.host.down m1 has no hostname: it is no '
                         'fault\n', log.output)

    def test_of_what_a_tenant_posts_nobody_is_warned(self):
        log = self.useFixture(fixtures.FakeLogger())

        self.inspect(dataclasses.replace(
            faults.root(hostname=''), trusted=False))
        self.assertEqual('', log.output)

    def test_a_clock_that_is_ahead(self):
        _told, seen = self.inspect(faults.root(seconds=4))

        self.assertEqual((1, 0), seen['received'])


class RegionTest(Setting):

    def given(self, region):
        self.conf.set_override('region_name', region, 'inspector')
        self.stage = stage.Stage(self.conf, bus=False)

    def told(self, **traits):
        return len(self.stage.inspect(faults.root(**traits)))

    def test_a_fault_in_another_region_is_none_here(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.given('R1')

        self.assertEqual([5, 5, 5, 0], [
            self.told(), self.told(region=''), self.told(region='R1'),
            self.told(region='R2')])
        self.assertIn('compute.host.down of h1 is in the region R2: it is no '
                      'fault here', log.output)

    def test_without_a_region_of_ours_all_are_ours(self):
        self.given(None)

        self.assertEqual(5, self.told(region='R2'))
