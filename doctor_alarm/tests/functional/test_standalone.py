# SPDX-License-Identifier: Apache-2.0
"""The standalone service: one process, SQLite, no bus inside."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid

import fixtures
import requests

from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import receiver
from doctor_alarm.tests.services import process
from doctor_alarm.tests.services import rabbitmq

MEMBER = {'X-User-Id': 'u', 'X-Project-Id': 'p1', 'X-Roles': 'member'}


class Standalone(fixtures.Fixture):
    """The process; ``start`` again keeps its state."""

    def __init__(self, config='', *arguments):
        self._config = config
        self._arguments = arguments

    def _setUp(self):
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.port = process.free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        self.config = os.path.join(self.folder, 'test.conf')
        with open(self.config, 'w') as config:
            config.write('[notifier]\ntimeout = 6\nlease = 15\n'
                         'retry_initial = 0.2\n' + self._config)
        self.child = None
        open(os.path.join(self.folder, 'log'), 'ab').close()
        self.addCleanup(self.kill)

    def start(self, *arguments):
        with open(os.path.join(self.folder, 'log'), 'ab') as log:
            self.child = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.standalone',
                 '--config-file', self.config, '--state-path', self.folder,
                 '--port', str(self.port), *arguments],
                stdout=log, stderr=subprocess.STDOUT)

    @property
    def up(self):
        if self.child.poll() is not None:
            raise AssertionError(self.log)
        try:
            return requests.get(self.url + '/healthcheck', timeout=60).ok
        except requests.ConnectionError:
            return False

    @property
    def log(self):
        with open(os.path.join(self.folder, 'log')) as log:
            return log.read()

    def kill(self):
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()

    def api(self, method, path, doc=None, headers=None):
        return requests.request(method, self.url + path, json=doc,
                                headers=headers, timeout=60)


class StandaloneTest(base.TestCase):

    DEFAULT_TIMEOUT = 600
    config = ''

    def setUp(self):
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        self.service = self.useFixture(Standalone(self.config))

    def given_running(self):
        self.service.start()
        self.wait_until(lambda: self.service.up, 180)

    def given_alarm(self, vm=None, **alarm):
        answer = self.service.api('POST', '/v2/alarms', {
            'name': 'vm', 'type': 'event', 'event_rule': scenario.rule(vm),
            'alarm_actions': [self.receiver.url],
            'ok_actions': [self.receiver.url], 'project_id': 'p1', **alarm})
        self.assertEqual(201, answer.status_code, answer.text)
        return answer.json()['alarm_id']

    def post(self, vm, state, time, headers=MEMBER):
        return self.service.api('POST', '/v1/events', {'event': {
            'time': time, 'type': 'compute.instance.update',
            'details': {'instance_id': vm, 'state': state}}}, headers)

    def told(self, alarm_id):
        return [body['current'] for body in self.receiver.of(alarm_id)]


class TestStandalone(StandaloneTest):

    def test_accepted_means_committed(self):
        self.given_running()
        alarm = self.given_alarm('vm1')

        self.assertEqual(202, self.post(
            'vm1', 'error', '2036-01-01T00:00:00').status_code)

        shown = self.service.api('GET', '/v2/alarms/' + alarm).json()
        self.assertEqual('alarm', shown['state'])
        self.wait_until(lambda: self.told(alarm) == ['alarm'])

    def test_kill_in_a_burst_loses_nothing_that_was_accepted(self):
        self.given_running()
        alarms = {'vm%d' % n: self.given_alarm('vm%d' % n)
                  for n in range(10)}
        accepted = {vm: [] for vm in alarms}

        def burst(vm):
            for n in range(100):
                state = ('error', 'active')[n % 2]
                try:
                    answer = self.post(
                        vm, state, '2036-01-01T00:%02d:%02d' % divmod(n, 60))
                except requests.ConnectionError:
                    return      # not accepted; a monitor would repeat it
                if answer.status_code == 202:
                    accepted[vm].append(('alarm', 'ok')[n % 2])

        threads = [threading.Thread(target=burst, args=(vm,))
                   for vm in alarms]
        for thread in threads:
            thread.start()
        self.wait_until(lambda: len(self.receiver.bodies) > 200, 60)
        self.service.kill()
        for thread in threads:
            thread.join()
        self.service.start()

        # The one under way when it was killed may have been committed
        # without an answer: at most one more than accepted.
        for vm, alarm in alarms.items():
            self.assertGreater(len(accepted[vm]), 0)
            self.wait_until(
                lambda vm=vm, alarm=alarm:
                len(self.told(alarm)) >= len(accepted[vm]), 60,
                lambda vm=vm, alarm=alarm: '%s: %d of %d' % (
                    vm, len(self.told(alarm)), len(accepted[vm])))
            told = self.told(alarm)
            self.assertLessEqual(len(told), len(accepted[vm]) + 1)
            self.assertEqual(accepted[vm], told[:len(accepted[vm])])
            self.assertEqual(
                list(range(1, len(told) + 1)),
                [body['sequence'] for body in self.receiver.of(alarm)])

    def test_sigterm_and_ctrl_c_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.given_running()
            self.service.child.send_signal(number)
            self.assertEqual(0, self.service.child.wait(60))
        with socket.socket() as sock:
            self.assertNotEqual(0, sock.connect_ex(
                ('127.0.0.1', self.service.port)))

    def test_sighup_reads_the_options_again(self):
        self.given_running()
        with open(self.service.config, 'a') as config:
            config.write('[DEFAULT]\ndebug = true\n')
        self.service.child.send_signal(signal.SIGHUP)

        def fired():
            self.post('vm1', 'error', '2036-01-01T00:00:00')
            return 'DEBUG doctor_alarm.evaluator' in self.service.log

        self.given_alarm('vm1')
        self.wait_until(fired)

    def test_the_log_has_the_ids_of_a_request(self):
        self.service.start('--debug')
        self.wait_until(lambda: self.service.up, 180)
        given = 'req-%s' % uuid.uuid4()

        answer = self.service.api(
            'GET', '/v2/alarms/nope?a=hush-hush',
            headers={**MEMBER, 'X-OpenStack-Request-ID': given})
        own = answer.headers['X-OpenStack-Request-ID']

        def logged():
            return [line for line in self.service.log.splitlines()
                    if ' GET /v2/alarms/nope: 404' in line]

        line, = self.wait_until(logged)
        self.assertIn('[%s %s ' % (given, own), line)
        self.assertNotIn('hush-hush', self.service.log)

    def test_metrics_tell_what_happened(self):
        self.given_running()
        alarm = self.given_alarm('vm1')
        self.post('vm1', 'error', '2036-01-01T00:00:00')
        self.wait_until(lambda: self.told(alarm) == ['alarm'])

        def counted():
            metrics = self.service.api('GET', '/metrics').text
            return all(line in metrics for line in (
                'doctor_alarm_transitions_total{reason="raised"} 1.0',
                'doctor_alarm_deliveries_total{outcome="delivered",'
                'scheme="http"} 1.0',
                'doctor_alarm_stage_seconds_count{stage="received"} 1.0'))
        self.wait_until(counted)

    def test_credentials_stay_out_of_log_and_answers(self):
        self.given_running()
        url = self.receiver.url.replace('//', '//bob:hush-hush@')
        alarm = self.given_alarm('vm1', alarm_actions=[url])
        self.post('vm1', 'error', '2036-01-01T00:00:00')
        self.wait_until(lambda: self.told(alarm) == ['alarm'])
        self.assertIn('Authorization', self.receiver.headers[0])
        self.receiver.stop()
        self.post('vm1', 'active', '2036-01-01T00:00:01')
        self.wait_until(lambda: 'last_error": "' in self.service.api(
            'GET', '/v2/alarms/%s/deliveries' % alarm).text)
        for path in ('deliveries', 'history'):
            self.assertNotIn('hush-hush', self.service.api(
                'GET', '/v2/alarms/%s/%s' % (alarm, path)).text)
        self.assertNotIn('hush-hush', json.dumps(self.receiver.bodies))
        self.assertNotIn('hush-hush', self.service.log)


class Refusals(StandaloneTest):

    def refused(self, *arguments):
        self.service.start(*arguments)
        self.assertEqual(1, self.service.child.wait(60))
        errors = [line for line in self.service.log.splitlines()
                  if line.startswith('ERROR: ')]
        self.assertEqual(1, len(errors), self.service.log)
        self.assertNotIn('Traceback', self.service.log)
        return errors[0]


class TestRefusals(Refusals):

    def test_a_taken_port(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', self.service.port))
            taken.listen()
            line = self.refused()
        self.assertIn(str(self.service.port), line)
        self.assertIn('taken', line)

    def test_a_folder_that_another_one_works_on(self):
        self.given_running()
        first = self.service.child
        self.service.port = process.free_port()
        self.assertIn('another service', self.refused())
        first.kill()
        first.wait()

    def test_options_that_can_not_be_read(self):
        for text, where in (
                ('garbage\n', 'configuration: '),
                ('[api]\nauth_mode = foo\n', '[api] auth_mode: '),
                ('[notifier]\nretry_initial = -5\n',
                 '[notifier] retry_initial: ')):
            with open(self.service.config, 'w') as config:
                config.write(text)
            os.truncate(os.path.join(self.service.folder, 'log'), 0)
            self.assertIn('ERROR: ' + where, self.refused())

    def test_no_authentication_on_the_network(self):
        self.assertIn('--host 0.0.0.0', self.refused('--host', '0.0.0.0'))


class TestBadOptions(Refusals):
    config = '[notifier]\nlease = 3\n'

    def test_options_that_contradict_each_other(self):
        self.assertIn('lease', self.refused())


class TestSourceBus(StandaloneTest):
    """A nova on a real broker in front of the one process."""

    def setUp(self):
        super().setUp()
        self.bus = self.useFixture(rabbitmq.VirtualHost())
        with open(self.service.config, 'a') as config:
            config.write('[DEFAULT]\ntransport_url = %s\n' % self.bus.url)

    def test_a_notification_is_acknowledged_after_the_commit(self):
        self.given_running()
        alarm = self.given_alarm('vm1')
        nova = deployment.notifier(self, self.bus.url)
        nova.info({}, 'compute.instance.update',
                  scenario.update_of('vm1', 'error'))
        self.wait_until(lambda: self.told(alarm) == ['alarm'])
        nova.info({}, 'compute.instance.update', {'no': 'instance'})
        nova.info({}, 'compute.instance.update',
                  scenario.update_of('vm1', 'active'))
        self.wait_until(lambda: self.told(alarm) == ['alarm', 'ok'])
