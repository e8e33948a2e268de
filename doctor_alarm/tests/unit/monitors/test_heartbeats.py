# SPDX-License-Identifier: Apache-2.0

import logging

import fixtures

from doctor_alarm.monitors import heartbeats
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.monitors import recorder


def service(host, state='up', beat=0, forced=False, status='enabled'):
    return {'host': host, 'state': state, 'is_forced_down': forced,
            'status': status, 'disabled_reason': None,
            'updated_at': '2026-11-20T12:%02d:%02d.000000' % divmod(beat, 60)}


class HeartbeatsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.reporter = recorder.Recorder()
        self.now = 0.0

    def given(self, down_after=1, up_after=1, hold_down=0.0, limit=100):
        self.work = heartbeats.Heartbeats(heartbeats.Settings(
            down_after, up_after, hold_down, limit), self.reporter)

    def look(self, *services):
        self.work.look(services, self.now)
        self.now += 5.0
        return self.reporter.take()

    def test_a_compute_dies_and_returns(self):
        self.given()
        self.assertEqual([], self.look(service('h1'), service('h2')))
        self.assertEqual([('host/h1', 'down')], self.look(
            service('h1', 'down'), service('h2')))
        self.assertEqual({'down': 1, 'up': 1}, self.work.count())
        self.assertEqual([], self.look(
            service('h1', 'down'), service('h2')))
        self.assertEqual([('host/h1', 'up')], self.look(
            service('h1'), service('h2')))

    def test_one_that_is_dead_from_the_start(self):
        self.given()
        self.assertEqual([('host/h1', 'down')],
                         self.look(service('h1', 'down')))

    def test_one_that_was_reported_before(self):
        self.reporter.known.add('host/h1')
        self.given()
        self.assertEqual([], self.look(service('h1', 'down')))
        self.assertEqual([('host/h1', 'up')], self.look(service('h1')))

    def test_as_many_looks_as_were_asked_for(self):
        self.given(down_after=3, up_after=2)
        told = [self.look(service('h1', state)) for state in (
            'up', 'down', 'down', 'up', 'down', 'down', 'down', 'up', 'up')]

        self.assertEqual(
            [[]] * 6 + [[('host/h1', 'down')], [], [('host/h1', 'up')]],
            told)

    def test_who_is_forced_down_is_known_already(self):
        self.given()
        self.look(service('h1', beat=0))
        for beat in range(5):
            self.assertEqual([], self.look(
                service('h1', 'down', beat, forced=True)))
        self.assertEqual([], self.look(service('h1', beat=6)))

    def test_forced_down_after_it_was_reported(self):
        """As the inspector does; nova can not say by itself that it is back.
        """
        self.given()
        self.look(service('h1', beat=10))
        self.assertEqual([('host/h1', 'down')],
                         self.look(service('h1', 'down', 10)))
        # to force it down, to disable it, are changes as well
        for beat, status in (
                (12, 'enabled'), (12, 'enabled'), (14, 'disabled'),
                (14, 'disabled'), (16, 'enabled'), (16, 'enabled')):
            self.assertEqual([], self.look(service(
                'h1', 'down', beat, forced=True, status=status)))

        # the compute lives again: its heart beats
        for beat in (20, 20, 20):
            self.assertEqual([], self.look(
                service('h1', 'down', beat, forced=True)))
        self.assertEqual([('host/h1', 'up')], self.look(
            service('h1', 'down', 30, forced=True)))
        for beat in (30, 40, 40):
            self.assertEqual([], self.look(
                service('h1', 'down', beat, forced=True)))
        # somebody forces it up
        self.assertEqual([], self.look(service('h1', 'up', 50)))
        self.assertEqual([('host/h1', 'down')],
                         self.look(service('h1', 'down', 50)))

    def test_a_fault_of_nova_itself_is_none_of_all_hosts(self):
        self.given(limit=50)
        hosts = ['h%d' % n for n in range(10)]
        self.look(*[service(host) for host in hosts])
        self.assertEqual([('host/h0', 'down')], self.look(
            service('h0', 'down'), *[service(host) for host in hosts[1:]]))

        self.assertEqual([], self.look(*[
            service(host, 'down') for host in hosts]))
        self.assertEqual([], self.look(*[
            service(host, 'down') for host in hosts]))
        self.assertEqual(1, self.log.output.count('none of them is'))

        # those that are still down when it is over have failed
        self.assertEqual([('host/h1', 'down')], self.look(*[
            service(host, 'down') for host in hosts[:2]], *[
            service(host) for host in hosts[2:]]))
        self.assertIn('they count again', self.log.output)

    def test_hosts_forced_down_do_not_count_for_the_limit(self):
        self.given(limit=50)
        self.look(*[service('h%d' % n) for n in range(3)])
        self.assertEqual([('host/h0', 'down')], self.look(
            service('h0', 'down'), service('h1'),
            service('h2', 'down', forced=True)))

    def test_a_service_that_was_deleted(self):
        self.given()
        self.look(service('h1', 'down'), service('h2'))
        self.assertEqual([], self.look(service('h2')))
        self.assertEqual(['host/h1'], self.reporter.forgotten)
        self.assertEqual({'down': 0, 'up': 1}, self.work.count())

    def test_a_list_that_is_none(self):
        self.given()
        self.look(service('h1'))
        for wrong in ({}, {'host': 'h1'}, {'host': 'h1', 'state': 'dead'},
                      {'host': '', 'state': 'down'},
                      {'host': None, 'state': 'down'}):
            self.assertRaises(heartbeats.Unreadable, self.look, wrong)
        # nor is one of no services: nova would forget them all at once
        self.assertRaises(heartbeats.Unreadable, self.look)
        self.assertEqual([], self.look(service('h1')))
        self.assertEqual([], self.reporter.forgotten)
