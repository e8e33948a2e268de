# SPDX-License-Identifier: Apache-2.0
"""The heartbeats of nova, over HTTP."""

import logging
import threading

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm.monitors import nova_service
from doctor_alarm.tests import base
from doctor_alarm.tests import novamock
from doctor_alarm.tests.unit.monitors import recorder

GROUP = 'monitor_nova_service'


class NovaServiceTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.nova = self.useFixture(novamock.NovaMock())
        self.reporter = recorder.Recorder()
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[])
        self.given(
            interval=0.1, timeout=30, auth_type='password',
            auth_url=self.nova.url + '/identity/v3', username='monitor',
            password=novamock.PASSWORD, hold_down=0)

    def given(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, group=GROUP)

    def show(self, **services):
        self.nova.services = {
            host: (state, forced, '2026-11-20T12:00:%02d.000000' % beat)
            for host, (state, forced, beat) in services.items()}

    def start(self):
        monitor = nova_service.NovaServiceMonitor(self.conf, self.reporter)
        stopping = threading.Event()
        thread = threading.Thread(
            target=monitor.run, args=(stopping,), daemon=True)
        thread.start()
        self.addCleanup(thread.join, 60)
        self.addCleanup(stopping.set)
        self.addCleanup(self.nova.release)

    def looks(self, count=3):
        """Wait until nova was asked so many times more."""
        before = self.nova.asked
        self.wait_until(lambda: self.nova.asked >= before + count)

    def expect(self, *told):
        self.wait_until(lambda: self.reporter.told == list(told),
                        message=lambda: self.reporter.told)

    def test_a_compute_dies_and_returns(self):
        self.show(h1=('up', False, 0), h2=('up', False, 0))
        self.start()
        self.looks()
        self.show(h1=('down', False, 0), h2=('up', False, 10))
        self.expect(('host/h1', 'down'))
        self.assertIn('2026-11-20T12:00:00', self.reporter.findings[0].cause)
        # the inspector forces it down
        self.show(h1=('down', True, 5), h2=('up', False, 10))
        self.looks()
        # it runs again, and is still forced down
        for beat in (15, 25):
            self.show(h1=('down', True, beat), h2=('up', False, 20))
            self.looks()
        self.expect(('host/h1', 'down'), ('host/h1', 'up'))
        self.show(h1=('up', False, 30), h2=('up', False, 30))
        self.looks()

        self.expect(('host/h1', 'down'), ('host/h1', 'up'))
        self.assertEqual([], self.nova.wrong)
        # one token serves for all of it
        self.assertEqual(1, self.nova.logins)

    def test_forced_down_by_somebody_else(self):
        self.show(h1=('down', True, 0))
        self.start()
        self.looks(5)

        self.assertEqual([], self.reporter.told)

    def test_a_token_that_expired(self):
        self.show(h1=('up', False, 0))
        self.start()
        self.looks()
        self.nova.tokens.clear()
        self.show(h1=('down', False, 0))
        self.expect(('host/h1', 'down'))

        self.assertEqual(2, self.nova.logins)
        self.assertNotIn('does not show', self.log.output)

    def test_a_nova_that_is_away_says_nothing_about_hosts(self):
        self.show(h1=('up', False, 0))
        self.start()
        self.looks()
        for status, body in (
                (500, None), (503, None), (401, None), (403, None),
                (404, None), (200, 'no json'), (200, {'services': []}),
                (200, {'services': [{'host': 'h1'}]}), (200, {}),
                (200, {'services': [1]})):
            before = len(self.log.output)

            def said(words, before=before):
                return words in self.log.output[before:]

            self.nova.status, self.nova.body = status, body
            self.wait_until(lambda: said('does not show'),
                            message='%s %s' % (status, body))
            self.nova.status, self.nova.body = 200, None
            self.wait_until(lambda: said('shows its services again'))
        self.assertEqual([], self.reporter.told)

        # and it still looks
        self.show(h1=('down', False, 0))
        self.expect(('host/h1', 'down'))

    def test_a_nova_that_hangs(self):
        self.given(timeout=0.3)
        self.show(h1=('up', False, 0))
        self.start()
        self.looks()
        self.nova.hang()
        self.wait_until(lambda: 'does not show' in self.log.output)
        self.assertIn('imed out', self.log.output)
        self.nova.release()
        self.given(timeout=30)
        self.wait_until(
            lambda: 'shows its services again' in self.log.output)

        self.assertEqual([], self.reporter.told)

    def test_no_secret_in_the_log(self):
        self.show(h1=('up', False, 0))
        self.start()
        self.looks()
        self.nova.status = 500
        self.wait_until(lambda: 'does not show' in self.log.output)

        self.assertNotIn(novamock.PASSWORD, self.log.output)
        for token in self.nova.tokens:
            self.assertNotIn(token, self.log.output)

    def test_without_an_account(self):
        self.given(auth_type=None)
        self.assertIn('[monitor_nova_service] auth_type: is not set', str(
            self.assertRaises(
                exception.ConfigurationError,
                nova_service.NovaServiceMonitor, self.conf, self.reporter)))
