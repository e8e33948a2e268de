# SPDX-License-Identifier: Apache-2.0
"""Nova is told of a failed host, over RabbitMQ, whoever dies meanwhile."""

import datetime
import json

import fixtures

from doctor_alarm import fault
from doctor_alarm.inspector import action
from doctor_alarm.tests import base
from doctor_alarm.tests import toldcloud
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests import receiver

PATIENCE = 180
SERVERS = ('vm1', 'vm2', 'vm3')


class ActionsTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(toldcloud.ToldCloud())
        self.nova.forced = {'h1': False}
        self.nova.servers = {vm: ['h1', 'active'] for vm in SERVERS}
        path = self.useFixture(fixtures.TempDir()).join('map.json')
        with open(path, 'w') as file:
            json.dump({'h1': [{'id': vm, 'name': vm, 'project_id': 'p1'}
                              for vm in SERVERS]}, file)
        options = {'resource_map_file': path, 'action_retry_max': 2,
                   **self.nova.options()}
        self.receiver = self.useFixture(receiver.Receiver())
        self.cloud = self.useFixture(deployment.Deployment(
            parts=('evaluator', 'notifier', 'api', 'inspector'),
            extra='[inspector]\n' + ''.join(
                '%s = %s\n' % option for option in options.items())))

    def given_alarm(self, **rule):
        return self.cloud.create_alarm(
            'admin', event_rule={'scope': 'cloud', **rule},
            repeat_actions=True, alarm_actions=[self.receiver.url])

    def post(self, kind, hostname='h1'):
        self.cloud.api('POST', '/v1/events', {'event': {
            'time': datetime.datetime.now(datetime.UTC).isoformat(),
            'type': kind, 'details': {'hostname': hostname}}})

    def outcomes(self, alarm):
        found = set()
        for body in self.receiver.of(alarm):
            traits = {name: value for name, _type, value
                      in body['reason_data']['event']['traits']}
            found.add((traits['action'], traits['resource_id'],
                       traits['outcome']))
        return found

    def test_down_and_up_although_it_is_killed(self):
        alarm = self.given_alarm(event_type=action.OUTCOME_EVENT)
        owner = self.cloud.create_alarm(
            'p1', alarm_actions=[self.receiver.url], event_rule={
                'event_type': 'compute.instance.update'})
        # given: a nova that hangs
        self.nova.released.clear()
        self.post(fault.HOST_DOWN)
        self.wait_until(lambda: self.nova.under_way, PATIENCE)
        # then: the owner hears of it nevertheless
        self.wait_until(lambda: self.receiver.of(owner), PATIENCE)
        # when: the inspector dies
        self.cloud.kill('inspector')
        self.nova.released.set()
        self.cloud.start('inspector')

        self.wait_until(
            lambda: {(name, target) for name, target, _outcome
                     in self.outcomes(alarm)}
            == {('force_down', 'h1'),
                *(('reset_state', vm) for vm in SERVERS)}, PATIENCE)
        self.assertLessEqual(
            {outcome for _name, _target, outcome in self.outcomes(alarm)},
            {'done', 'unchanged'})
        self.assertEqual({'h1': True}, self.nova.forced)
        self.assertEqual({vm: ['h1', 'error'] for vm in SERVERS},
                         self.nova.servers)

        self.post(fault.HOST_UP)
        self.wait_until(lambda: self.nova.forced == {'h1': False}, PATIENCE)
        self.assertEqual([], self.nova.wrong)

    def test_killed_when_a_part_is_done(self):
        alarm = self.given_alarm(event_type=action.OUTCOME_EVENT)
        # given: a nova that does all but one thing
        self.nova.hanging.add(('POST', '/compute/v2.1/servers/vm2/action'))
        self.post(fault.HOST_DOWN)
        self.wait_until(lambda: (
            self.nova.forced, self.nova.servers['vm1'],
            self.nova.servers['vm3']) == (
                {'h1': True}, ['h1', 'error'], ['h1', 'error']), PATIENCE)
        self.assertEqual(['h1', 'active'], self.nova.servers['vm2'])
        self.cloud.kill('inspector')
        self.nova.hanging.clear()
        self.cloud.start('inspector')

        self.wait_until(lambda: ('reset_state', 'vm2', 'done')
                        in self.outcomes(alarm), PATIENCE)
        # then: nothing was done twice, and all of it is reported
        self.wait_until(lambda: len(self.outcomes(alarm)) >= 4, PATIENCE)
        self.assertEqual(
            sorted((method, path.rpartition('v2.1')[2]) for method, path, _
                   in self.nova.told),
            [('POST', '/servers/vm%d/action' % n) for n in (1, 2, 3)]
            + [('PUT', '/os-services/service-h1')])
        self.wait_until(lambda: self.cloud.unfinished(
            'doctor_alarm_inspector_actions') == 0, PATIENCE)
        self.assertEqual(0, self.cloud.stop('inspector'))
        self.assertEqual(
            0, self.cloud.waiting('doctor_alarm_inspector_actions'))

    def working(self):
        """Return the one of two inspectors that talks to nova."""
        return [name for name in ('inspector', 'second')
                if ' of h1 fails, trying on' in self.cloud.log(name)]

    def test_of_two_the_older_fault_never_wins(self):
        alarm = self.given_alarm(event_type=action.OUTCOME_EVENT)
        self.cloud.start('inspector', 'second')
        self.wait_until(
            lambda: 'listens' in self.cloud.log('second'), PATIENCE)
        path = '/compute/v2.1/os-services'
        # given: nova is away while the host fails, is back, and fails again
        self.nova.failures['GET', path] = failures = 10 ** 6 * [503]
        self.post(fault.HOST_DOWN)
        first, = self.wait_until(self.working, PATIENCE)
        self.post(fault.HOST_UP)
        self.wait_until(lambda: ('force_down', 'h1', 'superseded')
                        in self.outcomes(alarm), PATIENCE)
        # when: whoever has the newer one dies
        self.cloud.kill(first)
        second, = {'inspector', 'second'} - {first}
        self.wait_until(lambda: second in self.working(), PATIENCE)
        # and: the other one, while nobody listens
        self.post(fault.HOST_DOWN)
        self.cloud.kill(second)
        self.post(fault.HOST_UP)
        self.nova.forced['h1'] = True
        self.cloud.start('inspector')
        self.cloud.start('inspector', 'second')
        before = len(failures)
        self.wait_until(lambda: len(failures) < before, PATIENCE)
        self.nova.failures.clear()

        self.wait_until(lambda: self.nova.forced == {'h1': False}, PATIENCE)
        queue = 'doctor_alarm_inspector_actions'
        self.wait_until(lambda: self.cloud.unfinished(queue) == 0, PATIENCE)
        for name in ('inspector', 'second'):
            self.assertEqual(0, self.cloud.stop(name))
        self.assertEqual(0, self.cloud.waiting(queue))
        self.assertEqual({'h1': False}, self.nova.forced)
        self.assertEqual([], self.nova.wrong)

    def test_a_host_that_nova_does_not_know(self):
        alarm = self.given_alarm(
            event_type=action.OUTCOME_EVENT, query=[
                {'field': 'traits.outcome', 'op': 'eq', 'value': 'unknown'}])

        self.post(fault.HOST_DOWN, 'h9')

        self.wait_until(lambda: self.outcomes(alarm) == {
            ('force_down', 'h9', 'unknown')}, PATIENCE)
        self.assertIn('force_down of h9: unknown',
                      self.cloud.log('inspector'))
