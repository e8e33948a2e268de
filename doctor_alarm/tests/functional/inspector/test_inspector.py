# SPDX-License-Identifier: Apache-2.0
"""A host fails, over RabbitMQ: its owners hear of it, and of nothing else."""

import datetime
import json
import signal

import fixtures

from doctor_alarm import fault
from doctor_alarm.inspector import derive
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import receiver

EXTRA = """
[inspector]
resource_map_file = %s
[event]
# What is posted twice comes twice.
repetition_interval = 0
"""
SERVERS = {'vm1': 'p1', 'vm2': 'p2', 'vm3': 'p2'}
PATIENCE = 180


class InspectorTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        path = self.useFixture(fixtures.TempDir()).join('map.json')
        with open(path, 'w') as file:
            json.dump({'h1': [
                {'id': vm, 'name': 'server ' + vm, 'project_id': project}
                for vm, project in SERVERS.items()]}, file)
        self.times = {}
        self.receivers = {
            project: self.useFixture(receiver.Receiver())
            for project in ('p1', 'p2', 'admin')}
        self.cloud = self.useFixture(deployment.Deployment(
            parts=('agent', 'evaluator', 'notifier', 'api', 'inspector'),
            extra=EXTRA % path))
        self.alarms = {vm: self.given_alarm(project, scenario.rule(vm))
                       for vm, project in SERVERS.items()}
        self.admin = self.given_alarm('admin', {
            'event_type': derive.FAULT_EVENT, 'scope': 'cloud', 'query': [
                {'field': 'traits.status', 'op': 'eq', 'value': 'down'}],
            'clear': {'event_type': derive.FAULT_EVENT, 'query': [
                {'field': 'traits.status', 'op': 'eq', 'value': 'up'}]}})

    def given_alarm(self, project, rule, **alarm):
        url = self.receivers[project].url
        return self.cloud.create_alarm(
            project, event_rule=rule, alarm_actions=[url], ok_actions=[url],
            **alarm)

    def post(self, kind, number, hostname='h1'):
        """Post what a monitor says; the same number: the same again."""
        return self.cloud.api('POST', '/v1/events', {'event': {
            'time': self.time(number), 'type': kind, 'details': {
                'hostname': hostname, 'severity': 'critical',
                'cause': '%s is dead' % hostname, 'project_id': '',
                'source': 'ping', 'monitor_id': 'ping@h9',
                'monitor_event_id': str(number)}}})

    def time(self, number):
        return self.times.setdefault(
            number, datetime.datetime.now(datetime.UTC).isoformat())

    def told(self, vm):
        return [body['current'] for body in self.receivers[
            SERVERS[vm]].of(self.alarms[vm])]

    def expect(self, *states):
        """Wait until each owner was told so, and no more."""
        for vm in SERVERS:
            self.wait_until(
                lambda vm=vm: len(self.told(vm)) >= len(states), PATIENCE,
                lambda vm=vm: '%s: %s' % (vm, self.told(vm)))
            self.assertEqual(list(states), self.told(vm))

    def test_down_and_up(self):
        first, = self.post(fault.HOST_DOWN, 1)['message_ids']
        self.expect('alarm')

        # then: the owners know everything but the host
        for project in ('p1', 'p2'):
            for body in self.receivers[project].bodies:
                said = json.dumps(body['reason_data'])
                for secret in ('h1', 'h9'):
                    self.assertNotIn(secret, said)
                traits = {name: value for name, _type, value
                          in body['reason_data']['event']['traits']}
                self.assertEqual(
                    ('host failure', 'False', first, project, 'critical'),
                    (traits['root_cause'], traits['is_root_cause'],
                     traits['correlation_id'], traits['project_id'],
                     traits['severity']))
        # then: the administrator knows the host
        admin = self.receivers['admin']
        body, = self.wait_until(lambda: admin.of(self.admin), PATIENCE)
        traits = {name: value for name, _type, value
                  in body['reason_data']['event']['traits']}
        self.assertEqual(
            ('host failure: h1', 'True', first, 3),
            (traits['root_cause'], traits['is_root_cause'],
             traits['correlation_id'], traits['affected']))

        self.post(fault.HOST_UP, 2)
        self.expect('alarm', 'ok')
        self.wait_until(lambda: len(admin.of(self.admin)) == 2, PATIENCE)

    def test_the_echo_of_nova_is_not_told(self):
        self.post(fault.HOST_DOWN, 1)
        self.expect('alarm')

        nova = self.cloud.notifier()
        for vm, project in SERVERS.items():
            nova.info({}, 'compute.instance.update',
                      scenario.update_of(vm, 'error', project))
        # then: what comes after it is the next thing that is told
        self.wait_until(
            lambda: all(self.cloud.log('evaluator').count(
                'alarm %s: unchanged' % alarm)
                for alarm in self.alarms.values()), PATIENCE)
        self.post(fault.HOST_UP, 2)
        self.expect('alarm', 'ok')

    def test_kill(self):
        # given: alarms that tell whatever comes twice
        self.alarms = {
            vm: self.given_alarm(project, {
                'event_type': 'compute.instance.update', 'query': [
                    {'field': 'traits.instance_id', 'op': 'eq',
                     'value': vm}]}, repeat_actions=True)
            for vm, project in SERVERS.items()}
        # when: the inspector dies before it is done
        self.cloud.processes['inspector'].send_signal(signal.SIGSTOP)
        for number in range(5):
            self.post(fault.HOST_DOWN, number)
        self.cloud.kill('inspector')
        # and: all that comes is what was told before
        for number in range(5):
            self.post(fault.HOST_DOWN, number)
        self.cloud.start('inspector')
        # and: it dies amidst its work
        self.wait_until(lambda: self.told('vm1'), PATIENCE)
        self.cloud.kill('inspector')
        self.post(fault.HOST_UP, 9)
        self.cloud.start('inspector')

        # then: each fault was told once
        self.expect(*6 * ['alarm'])
        queue = 'doctor_alarm_inspector'
        self.wait_until(lambda: self.cloud.waiting(queue) == 0, PATIENCE)
        self.assertEqual(0, self.cloud.stop('inspector'))
        self.assertEqual(0, self.cloud.waiting(queue))
        self.expect(*6 * ['alarm'])
