# SPDX-License-Identifier: Apache-2.0

import os
import threading
from unittest import mock

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm.monitors import base as monitor_base
from doctor_alarm.monitors import client
from doctor_alarm.monitors import service
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.monitors import recorder

TAKEN = client.Outcome(client.Result.DELIVERED)


class Fake(monitor_base.Monitor):
    """Finds what it is told; ends when it is told."""

    def __init__(self, conf, reporter):
        super().__init__(conf, reporter)
        self.opened = self.ended = False
        self.reloads = 0
        self.error = None
        self.go = threading.Event()

    def open(self):
        self.opened = True

    def reload(self):
        self.reloads += 1

    def run(self, stopping):
        while not stopping.wait(0.01):
            if self.error:
                raise self.error
        # found at the last moment
        self.reporter.report(recorder.down('late'))
        self.ended = True


class MonitorServiceTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[])
        self.made = []
        self.posted = []
        self.outcome = TAKEN
        self.useFixture(fixtures.MockPatchObject(
            service, '_load', lambda name: self.make))
        self.useFixture(fixtures.MockPatchObject(
            client.Client, 'post', lambda _client, bodies: self.post(bodies)))

    def given(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, group='monitor')

    def make(self, conf, reporter):
        self.made.append(Fake(conf, reporter))
        return self.made[-1]

    def post(self, bodies):
        self.posted += [body['event'] for body in bodies]
        return self.outcome

    def start(self, *names):
        worker = service.MonitorService(self.conf, names or ('ping',))
        worker.start()
        self.addCleanup(worker.stop)
        self.wait_until(lambda: len(worker._threads) == len(self.made))
        return worker

    def details(self):
        return [event['details'] for event in self.posted]

    def test_what_is_found_is_posted(self):
        self.given(monitor_id='rack-7', region='R1')
        self.start()
        self.made[0].reporter.report(recorder.down('h1'))
        self.wait_until(lambda: self.posted)

        [details] = self.details()
        self.assertEqual(('h1', 'rack-7', 'R1'), tuple(
            details[name] for name in ('hostname', 'monitor_id', 'region')))

    def test_its_name(self):
        self.start('ping', 'nova_service')
        self.made[1].reporter.report(recorder.down('h1'))
        self.wait_until(lambda: self.posted)

        [details] = self.details()
        self.assertEqual(
            'ping+nova_service@%s' % os.uname().nodename,
            details['monitor_id'])
        self.assertNotIn('region', details)

    def test_hang_up_reaches_every_monitor(self):
        worker = self.start('ping', 'nova_service')
        worker.reset()

        self.assertEqual([1, 1], [made.reloads for made in self.made])

    def test_the_end_waits_for_the_last_finding(self):
        worker = self.start()
        worker.stop()

        self.assertTrue(self.made[0].opened)
        self.assertTrue(self.made[0].ended)
        self.assertEqual(['late'], [d['hostname'] for d in self.details()])

    def test_what_was_taken_is_known(self):
        self.given(retry_initial=0.01)
        self.outcome = client.Outcome(client.Result.RETRY, 'HTTP 503')
        self.start()
        reporter = self.made[0].reporter
        reporter.report(recorder.down('h1'))
        self.wait_until(lambda: len(self.posted) > 2)
        self.assertFalse(reporter.known_down('host/h1'))

        self.outcome = TAKEN
        self.wait_until(lambda: reporter.known_down('host/h1'))
        reporter.report(recorder.up('h1'))
        self.wait_until(lambda: not reporter.known_down('host/h1'))
        reporter.report(recorder.down('h2'))
        self.wait_until(lambda: reporter.known_down('host/h2'))
        reporter.forget('host/h2')
        self.assertFalse(reporter.known_down('host/h2'))

    def test_a_monitor_that_fails_ends_the_process(self):
        worker = self.start()
        self.made[0].error = ValueError('a bug')

        self.assertRaisesRegex(ValueError, 'a bug', worker.wait)


class LoadTest(base.TestCase):

    def test_a_monitor_that_there_is_not(self):
        with mock.patch.object(service, 'installed', lambda: ['a', 'b']):
            self.assertIn('installed are: a, b', str(self.assertRaises(
                exception.ConfigurationError, service._load, 'c')))

    def test_one_that_lacks_a_library(self):
        with (mock.patch.object(service, 'installed', lambda: ['a']),
              mock.patch('stevedore.DriverManager',
                         side_effect=ImportError('no module x'))):
            self.assertIn('no module x', str(self.assertRaises(
                exception.ConfigurationError, service._load, 'a')))
