# SPDX-License-Identifier: Apache-2.0
"""The way of a fault, over RabbitMQ, from what was posted to the table."""

import datetime
import subprocess
import sys

import fixtures
import requests

from doctor_alarm import fault
from doctor_alarm.tests import base
from doctor_alarm.tests import faults
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import receiver
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import toldcloud

PATIENCE = 180
SERVERS = {'vm1': 'p1', 'vm2': 'p2', 'vm3': 'p2'}
STAGES = ['T%02d' % number for number in range(10)]


class FaultsTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def given_cloud(self, **kwargs):
        self.nova = self.useFixture(toldcloud.ToldCloud())
        self.nova.forced = {'h1': False}
        self.nova.servers = {vm: ['h1', 'active'] for vm in SERVERS}
        path = self.useFixture(fixtures.TempDir()).join('map.json')
        faults.map_file(path, SERVERS)
        options = {'resource_map_file': path, **self.nova.options()}
        self.receiver = self.useFixture(receiver.Receiver())
        self.cloud = self.useFixture(deployment.Deployment(
            parts=('evaluator', 'notifier', 'api', 'inspector'),
            extra='[inspector]\n' + ''.join(
                '%s = %s\n' % option for option in options.items()),
            **kwargs))
        self.alarms = [self.cloud.create_alarm(
            project, event_rule=scenario.rule(vm), repeat_actions=True,
            alarm_actions=[self.receiver.url])
            for vm, project in SERVERS.items()]

    def post(self, kind=fault.HOST_DOWN):
        """Post a fault; return its id."""
        now = datetime.datetime.now(datetime.UTC)
        return self.cloud.api('POST', '/v1/events', {'event': {
            'time': now.isoformat(), 'type': kind, 'details': {
                'hostname': 'h1', 'source': 'ping', 'occurred_at': (
                    now - datetime.timedelta(seconds=1)).isoformat()}}},
        )['message_ids'][0]

    def shown(self, id_):
        """Return the fault when all has happened that will."""
        self.found = {}

        def complete():
            answer = requests.get(
                '%s/v1/faults/%s' % (self.cloud.url, id_),
                headers=deployment.ADMIN, timeout=60)
            if answer.status_code == 404:
                return False
            self.found = answer.json()
            return (self.found['delivered'] == len(SERVERS)
                    and self.found['actions']
                    and len(self.found['servers']) == len(SERVERS)
                    and all(server['actions']
                            for server in self.found['servers']))

        self.wait_until(complete, PATIENCE, lambda: str(self.found))
        return self.found

    def test_the_way_of_a_fault(self):
        self.given_cloud()
        id_ = self.post()

        found = self.shown(id_)

        self.assertEqual(STAGES, list(found['timeline']))
        times = {
            stage: [datetime.datetime.fromisoformat(item[name])
                    for name in ('first', 'last')]
            for stage, item in found['timeline'].items()}
        for way in (['T00', 'T01', 'T02', 'T05', 'T06', 'T07', 'T08', 'T09'],
                    ['T02', 'T03'], ['T02', 'T04']):
            steps = [times[stage][0] for stage in way]
            self.assertEqual(sorted(steps), steps, way)
        for first, last in times.values():
            self.assertLessEqual(first, last)
        self.assertEqual((times['T09'][1] - times['T00'][0]).total_seconds(),
                         found['duration'])
        self.assertEqual(
            ('down', 'host failure: h1', 'h1', 'ping', 3, 3),
            (found['status'], found['root_cause'], found['host'],
             found['source'], found['affected'], found['notified']))
        self.assertEqual(
            [('force_down', 'done')],
            [(item['action'], item['outcome']) for item in found['actions']])
        self.assertEqual(
            {vm: (project, [('reset_state', 'done')])
             for vm, project in SERVERS.items()},
            {server['server_id']: (server['project_id'], [
                (item['action'], item['outcome'])
                for item in server['actions']])
             for server in found['servers']})
        self.check_commands(id_)

    def check_commands(self, id_):
        up = self.post(fault.HOST_UP)

        listed = self.wait_until(
            lambda: [line.split() for line in self.manage('list').split('\n')
                     if up in line], PATIENCE)
        self.assertEqual('up', listed[0][2])
        table = self.manage('show', id_)
        for stage in STAGES:
            self.assertRegex(table, r'(?m)^\| %s .*:.* \d+\.\d \|$' % stage)
        for said in ('host failure: h1', 'of ping', 'force_down: done',
                     'the vm1', '3 of 3 notifications received'):
            self.assertIn(said, table)

    def manage(self, *arguments):
        return subprocess.run(
            [sys.executable, '-m', 'doctor_alarm.cmd.manage',
             '--config-file', self.cloud.config, 'fault', *arguments],
            check=True, capture_output=True, text=True,
            timeout=PATIENCE).stdout

    def test_although_everybody_is_killed(self):
        self.given_cloud(database=postgresql.Database)
        # given: the inspector ends before the evaluator has heard of it
        self.cloud.kill('evaluator')
        ids = [self.post() for _ in range(3)]
        self.wait_until(lambda: self.nova.forced['h1'], PATIENCE)
        self.cloud.kill('inspector')
        self.cloud.start('evaluator')
        self.cloud.start('inspector')
        # and: an evaluator amidst its work
        for _ in range(3):
            ids.append(self.post())
            self.wait_until(
                lambda: len(self.receiver.bodies) >= len(ids), PATIENCE)
            self.cloud.kill('evaluator')
            self.cloud.start('evaluator')

        for id_ in ids:
            found = self.shown(id_)
            self.assertEqual((3, 1, 3, 3), (
                found['notified'], len(found['actions']),
                len(found['servers']), len(found['notifications'])))
            for server in found['servers']:
                self.assertEqual(1, len(server['actions']))
