# SPDX-License-Identifier: Apache-2.0
"""A host fails, in one process: 202 says that everything is committed."""

import datetime
import json
import signal

import fixtures

from doctor_alarm import fault
from doctor_alarm.inspector import action
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import toldcloud

SERVERS = {'vm1': 'p1', 'vm2': 'p2', 'vm3': 'p2'}
MONITOR = {'X-User-Id': 'm', 'X-Project-Id': 'service', 'X-Roles': 'monitor'}


class Scene(test_standalone.StandaloneTest):

    """Three servers on a host."""

    options = ''

    def setUp(self):
        self.map = self.useFixture(fixtures.TempDir()).join('map.json')
        self.given_servers(**SERVERS)
        self.config = '[inspector]\nresource_map_file = %s\n%s' % (
            self.map, self.options)
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


class StandaloneInspectorTest(Scene):

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


class StandaloneActionsTest(Scene):
    """Nova is told, whatever happens to the process."""

    def setUp(self):
        self.nova = toldcloud.ToldCloud()
        self.nova.setUp()
        self.addCleanup(self.nova.cleanUp)
        self.nova.forced = {'h1': False}
        self.nova.servers = {vm: ['h1', 'active'] for vm in SERVERS}
        self.options = ''.join(
            '%s = %s\n' % option for option in self.nova.options().items())
        super().setUp()
        self.outcomes = self.given_alarm(repeat_actions=True, event_rule={
            'scope': 'cloud', 'event_type': action.OUTCOME_EVENT},
            project_id='admin')

    def done(self):
        """Return what came of what, as administrators were told."""
        found = []
        for body in self.receiver.of(self.outcomes):
            traits = {name: value for name, _type, value
                      in body['reason_data']['event']['traits']}
            found.append((traits['action'], traits['resource_id'],
                          traits['outcome']))
        return sorted(found)

    def test_down_and_up(self):
        self.fault(fault.HOST_DOWN)

        self.wait_until(lambda: self.done() == [
            ('force_down', 'h1', 'done'),
            *(('reset_state', vm, 'done') for vm in SERVERS)])
        self.assertEqual({'h1': True}, self.nova.forced)
        self.assertEqual({vm: ['h1', 'error'] for vm in SERVERS},
                         self.nova.servers)

        self.fault(fault.HOST_UP)
        self.wait_until(lambda: self.nova.forced == {'h1': False})
        self.assertEqual([], self.nova.wrong)

    def test_kill(self):
        owner = self.given_alarm('vm1')
        # given: a nova that hangs
        self.nova.released.clear()
        self.fault(fault.HOST_DOWN)
        self.wait_until(lambda: self.nova.under_way)
        # then: the owner hears of it nevertheless
        self.wait_until(lambda: self.told(owner) == ['alarm'])
        # when: the process dies before nova has answered
        self.service.kill()
        self.nova.released.set()
        self.given_running()

        self.wait_until(lambda: len(self.done()) == 4)
        self.assertLessEqual({outcome for _name, _target, outcome
                              in self.done()}, {'done', 'unchanged'})
        self.assertEqual({'h1': True}, self.nova.forced)
        self.assertEqual({vm: ['h1', 'error'] for vm in SERVERS},
                         self.nova.servers)
        # then: what is done is not done again
        before = len(self.nova.told)
        self.service.kill()
        self.given_running()
        self.fault(fault.HOST_UP)
        self.wait_until(lambda: self.nova.forced == {'h1': False})
        self.assertEqual(before + 1, len(self.nova.told))

    def test_the_newer_fault_wins_over_the_older_one(self):
        # given: nova is away while the host fails and is back
        self.nova.failures['GET', '/compute/v2.1/os-services'] = failures = (
            10 ** 6 * [503])
        self.fault(fault.HOST_DOWN)
        self.wait_until(lambda: len(failures) < 10 ** 6)
        self.service.kill()
        self.given_running()
        self.fault(fault.HOST_UP)
        self.service.kill()
        self.nova.forced['h1'] = True
        self.nova.failures.clear()
        self.given_running()

        self.wait_until(lambda: self.nova.forced == {'h1': False})
        self.wait_until(lambda: ('force_down', 'h1', 'done') in self.done())
        self.assertEqual({'h1': False}, self.nova.forced)

