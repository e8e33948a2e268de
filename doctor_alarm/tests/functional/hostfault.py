# SPDX-License-Identifier: Apache-2.0
"""A host that is pinged goes away; its owners are told, over RabbitMQ.

This runs in a network of its own, see test_hostfault.py.
"""

import json
import pathlib

import fixtures

from doctor_alarm.inspector import derive
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional.monitors import stories
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import namespace
from doctor_alarm.tests import receiver

HOST = 'compute-1'
PARTS = ('evaluator', 'notifier', 'api', 'inspector')
PATIENCE = 180


class Scene(fixtures.Fixture):
    """A host with servers, who pings it, and the service between.

    :param ping: further options of the monitor
    :ivar servers: ids of servers -> projects
    """

    def __init__(self, servers, ping='', debug=True):
        self.servers = {'vm-%02d' % number: 'p%d' % (number % 4)
                        for number in range(servers)}
        self._ping, self._debug = ping, debug

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'map.json').write_text(json.dumps({HOST: [
            {'id': server, 'name': server, 'project_id': project,
             'state': 'active'} for server, project in self.servers.items()
        ], 'compute-2': [{'id': 'other', 'project_id': 'p0'}]}))
        self.host = self.useFixture(namespace.Host())
        self.cloud = self.useFixture(deployment.Deployment(
            PARTS, '[inspector]\nresource_map_file = %s\n' % (
                folder / 'map.json'), debug=self._debug))
        self.monitor = self.useFixture(stories.Monitor(self.cloud.url))

    def watch(self):
        """Start to ping."""
        self.monitor.configure({HOST: self.host.address}, ping=self._ping)
        self.monitor.start()
        base.wait_until(self.monitor.at_work, PATIENCE)


class HostFaultTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def test_the_scenario_of_doctor(self):
        scene = self.useFixture(Scene(20))
        target = self.useFixture(receiver.Receiver())
        urls = {'alarm_actions': [target.url], 'ok_actions': [target.url]}
        alarms = {server: scene.cloud.create_alarm(
            project, event_rule=scenario.rule(server), **urls)
            for server, project in [*scene.servers.items(), ('other', 'p0')]}
        admin = scene.cloud.create_alarm('admin', event_rule={
            'scope': 'cloud', 'event_type': derive.FAULT_EVENT}, **urls)

        def told(server):
            return [body['current'] for body in target.of(alarms[server])]

        def expect(*states):
            for server in scene.servers:
                self.wait_until(
                    lambda server=server: told(server) == list(states),
                    PATIENCE, lambda server=server: '%s %s\n%s' % (
                        server, told(server), scene.monitor.log))

        scene.watch()
        self.assertEqual([], target.bodies)
        scene.host.go_away()
        expect('alarm')
        scene.host.come_back()
        expect('alarm', 'ok')

        self.assertEqual([], told('other'))
        # each has the same time, that of the monitor, and knows no host
        times = {body['reason_data']['event']['generated']
                 for server in scene.servers
                 for body in target.of(alarms[server])
                 if body['current'] == 'alarm'}
        self.assertEqual(1, len(times))
        for server in scene.servers:
            for body in target.of(alarms[server]):
                said = json.dumps(body['reason_data'])
                self.assertNotIn(HOST, said)
                self.assertNotIn(scene.host.address, said)
        body = self.wait_until(lambda: target.of(admin), PATIENCE)[0]
        traits = {name: value for name, _type, value
                  in body['reason_data']['event']['traits']}
        self.assertEqual((20, HOST), (
            traits['affected'], traits['hostname']))
        self.assertIn('no answer to', traits['cause'])
        self.check_time_line(scene.cloud, traits['correlation_id'])

    def check_time_line(self, cloud, fault_id):
        """From the first ping without an answer to the last owner."""
        def delivered():
            found = cloud.api('GET', '/v1/faults/' + fault_id)
            # The owners, and the administrator
            return found if found['delivered'] == 21 else None

        found = self.wait_until(delivered, PATIENCE)
        times = {stage: item['first']
                 for stage, item in found['timeline'].items()}
        self.assertEqual((None, None), (times.pop('T03'), times.pop('T04')))
        self.assertEqual(sorted(times.values()), list(times.values()))
        self.assertLess(times['T00'], times['T01'])
        self.assertEqual(
            ('down', HOST, 20, 20), (
                found['status'], found['host'], found['affected'],
                len({item['resource_id'] for item in found['notifications']
                     if item['resource_id'] != HOST})))
