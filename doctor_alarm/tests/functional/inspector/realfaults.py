# SPDX-License-Identifier: Apache-2.0
"""What happens when a host of a real nova fails; see test_realnova.py."""

import datetime
import json
import os
import subprocess
import sys
import uuid

from doctor_alarm import fault
from doctor_alarm.inspector import action
from doctor_alarm.inspector import derive
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.realnova import notifications
from doctor_alarm.tests import receiver

PATIENCE = 180
#: Seconds until nova finds that a compute is silent: a minute, when idle.
SILENCE = 300
PARTS = ('agent', 'evaluator', 'notifier', 'api', 'inspector')
_CONFIG = """
[agent]
messaging_urls = %(nova)s
pool = %(pool)s
exchanges = nova
[inspector]
resource_map_ports = false
%(inspector)s
[monitor]
endpoint = http://127.0.0.1:%(port)d
retry_initial = 0.1
[monitor_nova_service]
interval = 1
hold_down = 0
%(inspector)s
"""


def account(nova):
    """Options of whoever asks or tells nova."""
    who = nova.credentials
    return {'auth_type': 'password', 'interface': 'public',
            **{name: who[name] for name in (
                'auth_url', 'username', 'password', 'project_name')}}


class Cloud(deployment.Deployment):
    """All of the service, on a broker beside that of nova.

    It has a queue of its own on nova's, in which nothing of earlier tests
    waits.
    """

    def __init__(self, nova):
        self._options = {
            'nova': nova.transport_url, 'pool': 'test-' + uuid.uuid4().hex,
            'inspector': ''.join('%s = %s\n' % option
                                 for option in account(nova).items())}
        # The port of the API is known later.
        super().__init__(PARTS, _CONFIG % {**self._options, 'port': 0})
        self.monitor = None

    def watch(self):
        """Start the monitor of nova's heartbeats."""
        config = os.path.join(self.directory, 'monitor.conf')
        with open(config, 'w') as target:
            target.write(_CONFIG % {**self._options, 'port': self.port})
        path = os.path.join(self.directory, 'monitor.log')
        with open(path, 'wb') as log:
            self.processes['monitor'] = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.monitor',
                 '--config-file', config, 'nova_service'],
                stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True)


class Faults:
    """Owners and administrators have alarms; then a host fails."""

    def given_the_service(self):
        self.receiver = self.useFixture(receiver.Receiver())
        self.heard = self.useFixture(
            notifications.Notifications(self.nova.amqp_url))
        self.cloud = self.useFixture(Cloud(self.nova))
        self.here, self.there = self.nova.hosts
        self.outcome = self.cloud.create_alarm(
            'admin', alarm_actions=[self.receiver.url], repeat_actions=True,
            event_rule={'scope': 'cloud',
                        'event_type': action.OUTCOME_EVENT})
        self.fault = self.cloud.create_alarm(
            'admin', alarm_actions=[self.receiver.url],
            ok_actions=[self.receiver.url], event_rule={
                'scope': 'cloud', 'event_type': derive.FAULT_EVENT,
                'query': [{'field': 'traits.status', 'op': 'eq',
                           'value': 'down'}],
                'clear': {'event_type': derive.FAULT_EVENT, 'query': [
                    {'field': 'traits.status', 'op': 'eq',
                     'value': 'up'}]}})

    def given_servers(self, **hosts):
        """Boot servers and wait until the inspector knows them."""
        self.ids = {name: self.boot(name, host)
                    for name, host in hosts.items()}
        self.alarms = {
            name: self.cloud.create_alarm(
                self.nova.project_id, event_rule=scenario.rule(server_id),
                alarm_actions=[self.receiver.url],
                ok_actions=[self.receiver.url])
            for name, server_id in self.ids.items()}
        self.repeated = self.cloud.create_alarm(
            self.nova.project_id, alarm_actions=[self.receiver.url],
            repeat_actions=True,
            event_rule=scenario.rule(self.ids['first']))

    def post(self, kind):
        now = datetime.datetime.now(datetime.UTC)
        return self.cloud.api('POST', '/v1/events', {'event': {
            'time': now.isoformat(), 'type': kind, 'details': {
                'hostname': self.here, 'monitor_id': 'test',
                'monitor_event_id': str(uuid.uuid4())}}})

    def told(self, name):
        return [body['current']
                for body in self.receiver.of(self.alarms[name])]

    def expect(self, name, *states):
        self.wait_until(
            lambda: self.told(name) == list(states), PATIENCE,
            lambda: '%s: %s' % (name, self.told(name)))

    def outcomes(self):
        """(action, host or name of the server) -> all that came of it."""
        names = {server_id: name for name, server_id in self.ids.items()}
        found = {}
        for body in self.receiver.of(self.outcome):
            traits = traits_of(body)
            about = traits['resource_id']
            found.setdefault((traits['action'], names.get(about, about)),
                             []).append(traits['outcome'])
        return found

    def expect_outcomes(self, expected):
        self.wait_until(lambda: self.outcomes() == expected, PATIENCE,
                        lambda: self.outcomes())

    def states(self):
        return {name: self.nova.show(server_id)['status']
                for name, server_id in self.ids.items()}

    def forced_down(self):
        return self.nova.service(self.here)['forced_down']

    def echoed(self, alarm):
        """Whether the evaluator heard again what an alarm was told of."""
        return 'alarm %s: told before' % alarm in self.cloud.log('evaluator')

    def play_down(self):
        """A host with two servers fails; nova is told."""
        self.given_the_service()
        self.given_servers(first=self.here, second=self.here,
                           other=self.there)
        self.addCleanup(self._repair, self.here)
        self.post(fault.HOST_DOWN)
        for name in ('first', 'second'):
            self.expect(name, 'alarm')
        self.expect_outcomes({('force_down', self.here): ['done'],
                              ('reset_state', 'first'): ['done'],
                              ('reset_state', 'second'): ['done']})

    def test_a_host_fails_and_comes_back(self):
        self.play_down()

        # then: nova says so itself
        self.assertTrue(self.forced_down())
        self.assertEqual({'first': 'ERROR', 'second': 'ERROR',
                          'other': 'ACTIVE'}, self.states())
        self.wait_until(lambda: [
            told for told in self.heard.heard('service.update')
            if told['host'] == self.here and told['forced_down']], PATIENCE)
        for name in ('first', 'second'):
            self.wait_until(lambda name=name: [
                told for told in self.heard.heard('compute.instance.update')
                if told['instance_id'] == self.ids[name]
                and (told['old_state'], told['state']) == (
                    'active', 'error')], PATIENCE)
            # then: nobody is told again when the echo was heard
            self.wait_until(
                lambda name=name: self.echoed(self.alarms[name]), PATIENCE)
            self.expect(name, 'alarm')
        self.wait_until(lambda: self.echoed(self.repeated), PATIENCE)
        self.assertEqual(1, len(self.receiver.of(self.repeated)))
        self.assertEqual([], self.told('other'))

        self.post(fault.HOST_UP)
        self.expect_outcomes({
            ('force_down', self.here): ['done', 'done'],
            ('reset_state', 'first'): ['done'],
            ('reset_state', 'second'): ['done']})
        self.assertFalse(self.forced_down())
        self.assertEqual(
            'up', self.nova.service(self.here)['state'])
        # then: the servers are in error for nova, until somebody resets them
        self.expect('first', 'alarm')
        self.nova.reset_state(self.ids['first'], 'active')
        self.expect('first', 'alarm', 'ok')
        self.expect('second', 'alarm')
        self.assertEqual([], self.told('other'))
        self.assertEqual(['alarm', 'ok'], [
            body['current'] for body in self.receiver.of(self.fault)])

    def test_after_an_evacuation_nova_wants_the_compute_restarted(self):
        self.play_down()
        # up to this microversion it gets back to the state that it had
        self.nova.evacuate(self.ids['first'], self.there, '2.94')
        self.post(fault.HOST_UP)

        self.wait_until(
            lambda: 'force_down of %s fails, trying on' % self.here
            in self.cloud.log('inspector'), PATIENCE)
        self.assertTrue(self.forced_down())
        self.nova.compute(self.here).kill()
        self.nova.compute(self.here).start()

        self.expect_outcomes({
            ('force_down', self.here): ['done', 'done'],
            ('reset_state', 'first'): ['done'],
            ('reset_state', 'second'): ['done']})
        self.assertFalse(self.forced_down())
        self.assertEqual(self.there, self.nova.show(
            self.ids['first'])['OS-EXT-SRV-ATTR:host'])

    def test_a_compute_is_killed_and_found_by_its_heartbeats(self):
        # Just started, nova may show heartbeats of an earlier life.
        self.wait_until(lambda: {'up'} == {
            self.nova.service(host)['state'] for host in self.nova.hosts},
            SILENCE)
        self.given_the_service()
        self.given_servers(first=self.here, other=self.there)
        self.addCleanup(self._repair, self.here)
        self.addCleanup(self._start, self.nova.compute(self.here))
        self.cloud.watch()
        self.wait_until(lambda: ' works' in self.cloud.log('monitor'),
                        PATIENCE)

        self.nova.compute(self.here).kill()
        self.wait_until(lambda: self.told('first'), SILENCE)

        self.expect_outcomes({('force_down', self.here): ['done'],
                              ('reset_state', 'first'): ['done']})
        self.assertTrue(self.forced_down())
        self.assertEqual({'first': 'ERROR', 'other': 'ACTIVE'},
                         self.states())
        said = json.dumps([body['reason_data'] for body
                           in self.receiver.of(self.alarms['first'])])
        self.assertNotIn(self.here, said)

        # when: it runs again, its heartbeat takes back what was forced
        self.nova.compute(self.here).start()
        self.wait_until(lambda: not self.forced_down(), SILENCE)
        self.expect_outcomes({('force_down', self.here): ['done', 'done'],
                              ('reset_state', 'first'): ['done']})
        self.wait_until(
            lambda: self.nova.service(self.here)['state'] == 'up', SILENCE)
        self.expect('first', 'alarm')
        self.assertEqual([], self.told('other'))

    @staticmethod
    def _start(compute):
        if not compute.running:
            compute.start()


def traits_of(body):
    return {name: value for name, _type, value
            in body['reason_data']['event']['traits']}
