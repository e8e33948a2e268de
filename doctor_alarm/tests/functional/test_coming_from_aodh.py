# SPDX-License-Identifier: Apache-2.0
"""The way from Aodh to here, as its page describes it."""

import http.server
import json
import pathlib
import sys
import threading
import urllib.parse

import fixtures
import yaml

import doctor_alarm
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import recipes
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.functional import shell
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import receiver

TOP = pathlib.Path(doctor_alarm.__file__).parents[1]
#: What an Aodh 23.0.0 answered.
ALARMS = json.loads((
    TOP / 'doctor_alarm/tests/data/aodh/alarms.json').read_text())
#: Of a type, or with an action, that is not here.
FOREIGN = ('cpu', 'Heat')
STEPS = recipes.sections(
    (TOP / 'doc/source/coming-from-aodh.rst').read_text())
_MANAGE = """#!/bin/sh
exec %s -m doctor_alarm.cmd.manage --state-path "$STATE" "$@"
"""


def steps(heading, kind):
    """Return what a section of the page has of a kind."""
    return [value for found, value in STEPS[heading] if found == kind]


class Aodh(fixtures.Fixture):
    """Answers what is asked on the way, with the words of an Aodh.

    :ivar url: its endpoint
    :ivar tokens: that it was shown
    """

    def _setUp(self):
        self.tokens = set()
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
        server.aodh = self
        self.url = 'http://127.0.0.1:%d' % server.server_address[1]
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True,
                         kwargs={'poll_interval': 0.02}).start()


class _Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        self.server.aodh.tokens.add(self.headers['X-Auth-Token'])
        path, _, query = self.path.partition('?')
        # Without it those of one project.
        if path == '/v2/alarms' and urllib.parse.parse_qs(query) == {
                'q.field': ['all_projects'], 'q.op': ['eq'],
                'q.value': ['true']}:
            self.answer(ALARMS)

    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing on stderr."""


class MigrationTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.aodh = self.useFixture(Aodh())
        self.receiver = self.useFixture(receiver.Receiver())
        self.service = self.useFixture(test_standalone.Standalone())
        self.service.start()
        self.wait_until(lambda: self.service.up, 180)
        self.shell = self.useFixture(shell.Shell(
            {'doctor-alarm-manage': _MANAGE % sys.executable},
            PYTHONPATH=str(TOP), STATE=self.service.folder,
            OS_AUTH_TYPE='none', OS_ENDPOINT=self.aodh.url,
            AODH=self.aodh.url, DOCTOR=self.service.url, TOKEN='a-token',
            RECEIVER=self.receiver.url))
        self.shell.run('cd ' + self.service.folder)

    def run_step(self, heading):
        """Run what a section says; return what it printed."""
        return ''.join(map(self.shell.run, steps(heading, 'run')))

    def test_alarms_are_taken_over(self):
        self.assertEqual(
            ['4', 'event', '1', 'prometheus'],
            self.run_step('1. See what there is').split())
        self.assertIn('a-token', self.aodh.tokens)
        exported = pathlib.Path(self.service.folder, 'alarms.json')
        self.assertEqual(0, exported.stat().st_mode & 0o077)

        error = self.assertRaises(
            AssertionError, self.run_step, '4. Switch')
        self.assertIn('item 2: Unsupported action zaqar', str(error))
        self.assertEqual([], self.alarms())

        self.shell.begin()
        self.shell.run('cd ' + self.service.folder)
        command, = steps('4. Switch', 'run')
        said = self.shell.run(command.replace(' import', ' import --partial'))
        self.assertIn('3 alarms\n2 left out:\n', said)
        self.assertIn('(prometheus): Metric alarms belong to Aodh', said)
        self.check_same()

    def alarms(self):
        return self.service.api(
            'GET', '/v2/alarms?q.field=all_projects&q.value=true').json()

    def check_same(self):
        there = {alarm['alarm_id']: alarm for alarm in self.alarms()}
        for alarm in ALARMS:
            if alarm['name'] in FOREIGN:
                continue
            here = there.pop(alarm['alarm_id'])
            self.assertEqual(None, here.pop('resource_id'))
            self.assertEqual({}, here.pop('delivery'))
            for name in ('ok_actions', 'alarm_actions'):
                self.assertEqual(
                    list(map(place, alarm[name])),
                    list(map(place, here.pop(name))))
            self.assertEqual({
                name: value for name, value in alarm.items()
                if name not in ('ok_actions', 'alarm_actions')}, here)
        self.assertEqual({}, there)

    def test_a_trial_beside_it(self):
        self.assertEqual(steps('3. Try it', 'output'), [
            self.shell.run(steps('3. Try it', 'run')[0])])
        self.service.api('POST', '/v1/events', {'event': {
            'time': '2036-01-01T00:00:00', 'type': 'compute.instance.update',
            'details': {'instance_id': 'web-1'}}})
        self.wait_until(lambda: self.receiver.bodies)

        deliveries = json.loads(self.shell.run(
            steps('3. Try it', 'run')[1]))
        self.assertEqual([self.receiver.url], [
            delivery['action'] for delivery in deliveries])


def place(url):
    """Where an action leads, without its credentials."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.path


class SideBySideTest(scenario.Story):
    """One Ceilometer, an Aodh and we, configured as the page says."""

    parts = ('evaluator', 'notifier', 'api')
    extra, = steps('2. Install it', 'ini')

    def publish(self, url):
        """As Ceilometer does for a publisher of its pipeline."""
        parts = urllib.parse.urlsplit(url)
        topic = dict(urllib.parse.parse_qsl(parts.query))['topic']
        self.assertEqual('notifier', parts.scheme)
        self.cloud.notifier('ceilometer', topic, 'telemetry').sample(
            {}, 'event', [{
                'message_id': 'm1', 'event_type': 'compute.instance.update',
                'generated': '2036-11-20T12:00:00.000001', 'raw': {},
                'message_signature': '', 'traits': [
                    ['instance_id', 1, 'vm1'], ['state', 1, 'error'],
                    ['tenant_id', 1, 'p1']]}])
        return topic

    def test_each_gets_everything(self):
        pipeline, = map(yaml.safe_load, steps('2. Install it', 'yaml'))
        alarm = self.given_alarm('vm1')

        topics = list(map(self.publish, pipeline['sinks'][0]['publishers']))

        self.assertEqual(['alarm.all', 'alarm.doctor'], topics)
        self.expect(alarm, 'alarm')
        # That of Aodh waits for it, that of ours does not.
        self.assertEqual(1, self.cloud.waiting('alarm.all.sample'))
        self.wait_until(
            lambda: self.cloud.waiting('alarm.doctor.sample') == 0)
