# SPDX-License-Identifier: Apache-2.0
"""A host fails, in one process: 202 says that everything is committed."""

import datetime
import json
import signal

import fixtures

from doctor_alarm import fault
from doctor_alarm.tests.functional import test_standalone

MONITOR = {'X-User-Id': 'm', 'X-Project-Id': 'service', 'X-Roles': 'monitor'}


class StandaloneInspectorTest(test_standalone.StandaloneTest):

    def setUp(self):
        self.map = self.useFixture(fixtures.TempDir()).join('map.json')
        self.given_servers(vm1='p1', vm2='p2', vm3='p2')
        self.config = '[inspector]\nresource_map_file = %s\n' % self.map
        super().setUp()
        self.given_running()

    def given_servers(self, **servers):
        with open(self.map, 'w') as file:
            json.dump({'h1': [
                {'id': vm, 'name': vm, 'project_id': project}
                for vm, project in servers.items()]}, file)

    def fault(self, kind, headers=MONITOR):
        answer = self.service.api('POST', '/v1/events', {'event': {
            'time': datetime.datetime.now(datetime.UTC).isoformat(),
            'type': kind, 'details': {
                'hostname': 'h1', 'cause': 'h1 is dead'}}}, headers)
        self.assertEqual(202, answer.status_code, answer.text)

    def state(self, alarm_id):
        return self.service.api(
            'GET', '/v2/alarms/' + alarm_id).json()['state']

    def states(self):
        return [self.state(alarm) for alarm in self.alarms]

    def test_a_host_fails_and_comes_back(self):
        self.alarms = [
            self.given_alarm('vm1'), self.given_alarm('vm2', project_id='p2'),
            self.given_alarm('vm3', project_id='p2')]

        self.fault(fault.HOST_DOWN)
        self.assertEqual(['alarm'] * 3, self.states())
        self.fault(fault.HOST_UP)
        self.assertEqual(['ok'] * 3, self.states())

        for alarm in self.alarms:
            self.wait_until(lambda alarm=alarm: self.told(alarm) == [
                'alarm', 'ok'])
        for body in self.receiver.bodies:
            said = json.dumps(body['reason_data'])
            self.assertNotIn('h1', said)
            self.assertIn('host failure', said)

    def test_a_tenant_has_no_host_fail(self):
        alarm = self.given_alarm('vm1')

        self.fault(fault.HOST_DOWN, test_standalone.MEMBER)

        self.assertNotEqual('alarm', self.state(alarm))

    def test_the_map_is_read_again(self):
        alarm = self.given_alarm('vm9')
        self.given_servers(vm9='p1')

        self.service.child.send_signal(signal.SIGHUP)

        def fires():
            self.fault(fault.HOST_DOWN)
            return self.state(alarm) == 'alarm'

        # The signal takes its time.
        self.wait_until(fires)
