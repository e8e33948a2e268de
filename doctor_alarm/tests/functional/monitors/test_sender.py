# SPDX-License-Identifier: Apache-2.0
"""The way of findings to an event API that misbehaves."""

import base64
import datetime
import logging
import os
import ssl
import threading

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.monitors import buffer
from doctor_alarm.monitors import client
from doctor_alarm.monitors import sender
from doctor_alarm.tests import base
from doctor_alarm.tests import eventapi
from doctor_alarm.tests.unit.monitors import recorder
from doctor_alarm.tests.unit.notifier.plugins import test_http


class SenderTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.api = self.useFixture(eventapi.EventApi())
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[])
        self.told = []
        self.given(endpoint=self.api.endpoint, retry_initial=0.02,
                   retry_max=0.1)

    def given(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, group='monitor')

    def start(self):
        self.waiting = buffer.Buffer(self.conf.monitor.buffer_size)
        self.sender = sender.Sender(
            self.conf, client.Client(self.conf), self.waiting,
            self.told.extend, lambda finding: finding.body('ping@here'))
        self.sender.start()
        self.addCleanup(self.sender.stop, 0)

    def find(self, *findings):
        for finding in findings:
            self.waiting.put(finding)

    def posted(self, *names):
        self.wait_until(
            lambda: [name for name, _ in self.api.told] == list(names),
            message=lambda: str(self.api.told))

    def test_what_a_finding_is_on_the_wire(self):
        finding = recorder.down('compute-1')
        self.start()
        self.find(finding)
        self.posted('compute-1')

        path, headers, [event] = self.api.requests[0]
        self.assertEqual('/v1/events', path)
        self.assertEqual('application/json', headers['Content-Type'])
        self.assertEqual('compute.host.down', event['type'])
        self.assertEqual({
            'hostname': 'compute-1', 'source': 'ping@here',
            'monitor_id': 'ping@here', 'status': 'down',
            'severity': 'critical', 'cause': 'no answer',
            'monitor_event_id': finding.found_id}, event['details'])
        self.assertTrue(event['time'].endswith('Z'))
        self.assertEqual(finding.time, datetime.datetime.fromisoformat(
            event['time']))
        self.assertTrue(set(fault.IDENTITY) <= set(event['details']))
        self.wait_until(lambda: self.told == [finding])

    def test_many_at_once_are_few_requests(self):
        self.given(batch_size=50)
        self.api.hang()
        self.start()
        self.find(*[recorder.down('h%d' % n) for n in range(500)])
        self.api.release()
        self.posted(*['h%d' % n for n in range(500)])

        self.assertIn(len(self.api.requests), range(10, 13))
        self.assertEqual(500, len({
            event['details']['monitor_event_id']
            for event in self.api.events}))

    def repeated(self, manner):
        """The first answers are lost: it is posted again as it was."""
        left = [1, 1, 1]

        def answer(handler, status):
            if left:
                left.pop()
                return manner(handler, status)
            self.api.manner = None
            handler.answer(status)

        self.api.manner = answer
        self.start()
        self.find(recorder.down('h1'))
        self.wait_until(lambda: len(self.api.requests) >= 1)
        self.find(recorder.up('h1'))
        self.wait_until(lambda: ('h1', fault.HOST_UP) in self.api.told)

        firsts = [events for _path, _headers, events in self.api.requests
                  if events[0]['type'] == fault.HOST_DOWN]
        self.assertEqual(4, len(firsts))
        # the same to the letter: that is how duplicates are told
        self.assertEqual([firsts[0]] * 4, firsts)
        self.assertEqual([fault.HOST_DOWN] * 4 + [fault.HOST_UP],
                         [kind for _name, kind in self.api.told])
        self.wait_until(lambda: len(self.told) == 2)

    def test_a_connection_that_is_reset(self):
        self.repeated(eventapi.reset)

    def test_an_answer_that_breaks_off(self):
        self.repeated(eventapi.cut)

    def test_an_event_api_that_hangs(self):
        self.given(timeout=0.3)
        self.api.hang()
        self.start()
        finding = recorder.down('h1')
        self.find(finding)
        self.wait_until(lambda: 'Timeout' in self.log.output)
        self.api.release()
        self.wait_until(lambda: self.told == [finding])

        self.assertEqual({finding.found_id}, {
            event['details']['monitor_event_id']
            for event in self.api.events})

    def test_an_event_api_that_is_not_there(self):
        self.api.stop()
        self.start()
        self.find(recorder.down('h1'))
        self.wait_until(lambda: 'does not take findings' in self.log.output)
        self.find(recorder.down('h2'), recorder.down('h3'))
        self.api.start()
        self.posted('h1', 'h2', 'h3')

        self.wait_until(
            lambda: 'takes findings again' in self.log.output)
        # told once, however often it was tried
        self.assertEqual(1, self.log.output.count('does not take findings'))

    def test_reasons_that_alternate_are_told_once_each(self):
        self.start()
        self.find(recorder.down('h1'))
        for number in range(12):
            before = len(self.api.requests)
            self.api.status = (401, 429)[number % 2]
            self.wait_until(
                lambda before=before: len(self.api.requests) > before)
        self.api.status = 202
        self.posted('h1')

        for words in ('wait: HTTP 401', 'wait: HTTP 429'):
            self.assertEqual(1, self.log.output.count(words))

    def test_one_that_is_not_well_or_not_ours(self):
        """Whoever repairs it finds that nothing was lost."""
        self.start()
        for number, status in enumerate((500, 502, 503, 401, 403, 404, 302)):
            self.api.status = status
            before = len(self.api.requests)
            self.find(recorder.down('h%d' % number))
            self.wait_until(
                lambda before=before: len(self.api.requests) > before + 2)
            self.api.status = 202
            self.posted(*['h%d' % n for n in range(number + 1)])

    def test_who_asks_for_time_gets_it(self):
        self.given(retry_after_max=100.0)
        self.api.status, self.api.retry_after = 429, 60
        self.start()
        pauses = []
        self.sender._pause = pauses.append
        self.find(recorder.down('h1'))
        self.wait_until(lambda: len(pauses) >= 3)
        self.api.retry_after = 5000
        self.wait_until(lambda: pauses[-1] != 60.0)
        self.api.status = 202
        self.posted('h1')

        self.assertEqual([60.0] * 3, pauses[:3])
        self.assertEqual(100.0, pauses[-1])

    def test_pauses_grow(self):
        self.given(retry_initial=1.0, retry_max=30.0)
        self.api.status = 503
        self.start()
        pauses = []
        self.sender._pause = pauses.append
        self.find(recorder.down('h1'))
        self.wait_until(lambda: len(pauses) >= 8)
        self.api.status = 202
        self.posted('h1')

        for expected, pause in zip(
                (1, 2, 4, 8, 16, 30, 30, 30), pauses[:8], strict=True):
            self.assertLessEqual(expected * 0.8, pause)
            self.assertLessEqual(pause, expected * 1.2)

    def test_a_finding_that_is_refused_hurts_nobody_else(self):
        self.api.refuses = lambda event: (
            event['details']['hostname'] == 'bad')
        self.api.hang()
        self.start()
        self.find(recorder.down('h0'))
        self.wait_until(lambda: not len(self.waiting))
        self.find(*[recorder.down(name) for name in (
            'h1', 'bad', 'h2', 'h3')])
        self.api.release()
        self.posted('h0', 'h1', 'h2', 'h3')

        self.assertIn('refuses compute.host.down of host/bad',
                      self.log.output)
        self.assertNotIn('host/bad', [f.subject for f in self.told])

    def test_what_waits_when_it_is_full(self):
        self.given(buffer_size=3)
        self.api.hang()
        self.start()
        self.find(recorder.down('h0'))
        self.wait_until(lambda: len(self.api._server._open) == 1
                        and not len(self.waiting))
        self.find(recorder.down('h1'), recorder.down('h2'),
                  recorder.up('h1'), recorder.down('h3'))
        self.api.release()
        self.wait_until(lambda: len(self.api.told) == 4)

        # that h1 was down for a while is what was forgotten
        self.assertEqual(
            [('h0', fault.HOST_DOWN), ('h2', fault.HOST_DOWN),
             ('h1', fault.HOST_UP), ('h3', fault.HOST_DOWN)], self.api.told)

    def test_the_end_posts_what_waits(self):
        self.api.hang()
        self.start()
        self.find(*[recorder.down('h%d' % n) for n in range(250)])
        threading.Timer(0.1, self.api.release).start()

        self.assertEqual(0, self.sender.stop(60))
        self.assertEqual(250, len(self.api.told))

    def test_the_end_does_not_wait_for_ever(self):
        self.api.stop()
        self.start()
        self.find(recorder.down('h1'), recorder.down('h2'))

        self.assertEqual(2, self.sender.stop(0.2))

    def test_name_and_password(self):
        self.given(auth_type='http_basic', username='ping',
                   password='hush-hush')
        self.start()
        self.find(recorder.down('h1'))
        self.posted('h1')

        _path, headers, _events = self.api.requests[0]
        self.assertEqual('Basic ' + base64.b64encode(
            b'ping:hush-hush').decode(), headers['Authorization'])
        self.api.stop()
        self.find(recorder.down('h2'))
        self.wait_until(lambda: 'does not take findings' in self.log.output)
        self.assertNotIn('hush-hush', self.log.output)

    def given_tls(self):
        """Make the event API one that asks for a certificate as well."""
        folder = self.useFixture(fixtures.TempDir()).path
        self.certificate, self.key = (
            os.path.join(folder, name) for name in ('cert', 'key'))
        test_http.write_certificate(self.certificate, self.key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, self.key)
        tls.load_verify_locations(self.certificate)
        tls.verify_mode = ssl.CERT_REQUIRED
        server = self.api._server
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        self.given(endpoint=self.api.endpoint.replace('http:', 'https:'))

    def test_tls(self):
        self.given_tls()
        self.given(cafile=self.certificate, certfile=self.certificate,
                   keyfile=self.key)
        self.start()
        self.find(recorder.down('h1'))
        self.posted('h1')

    def test_an_event_api_that_is_somebody_else(self):
        self.given_tls()
        self.given(certfile=self.certificate, keyfile=self.key)
        self.start()
        self.find(recorder.down('h1'))
        self.wait_until(lambda: 'CERTIFICATE_VERIFY_FAILED'
                        in self.log.output)
        self.assertEqual([], self.api.requests)

    def test_options_that_do_not_fit(self):
        for options, complaint in (
                ({'auth_type': 'password'}, 'auth'),
                ({'auth_type': 'nonsense'}, 'nonsense')):
            self.given(**options)
            said = str(self.assertRaises(
                exception.ConfigurationError, client.Client, self.conf))
            self.assertIn('[monitor]', said)
            self.assertIn(complaint, said)
