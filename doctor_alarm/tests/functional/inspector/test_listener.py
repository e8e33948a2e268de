# SPDX-License-Identifier: Apache-2.0
"""The resource map and the bus."""

import logging

import amqp
import fixtures
import kombu

from doctor_alarm.inspector import listener
from doctor_alarm.inspector import upkeep
from doctor_alarm.tests.functional.agent import base
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications

SERVER = '0e42a57d-bbbd-46da-b07b-93b35905cf69'
EVERYTHING = [name for names in notifications.PAIRS for name in names]


class ListenerTest(base.AgentCase):

    def setUp(self):
        super().setUp()
        self.log_output = self.useFixture(
            fixtures.FakeLogger(level=logging.INFO))
        self.nova = self.service()
        self.neutron = self.service(exchange='neutron')

    def start_map(self):
        kept = upkeep.Upkeep(configuration.prepare(transport_url=self.bus))
        kept.start()
        self.addCleanup(kept.stop)
        name = kept._listener._queue
        self.wait_until(lambda: self.exists(name))
        return kept.map, name

    def exists(self, name):
        # Who asks over AMQP makes it last longer.
        count = self.virtual_host.server.evaluate(
            'length([Name || {resource, _, queue, Name}'
            ' <- rabbit_amqqueue:list_names(), Name =:= <<"%s">>])' % name)
        return count == '1'

    def port(self, event_type, **fields):
        self.send(self.neutron, notifications.message(
            event_type, {'port': {'id': 'p1', **fields}, 'port_id': 'p1'}))

    def test_servers_and_ports_come_and_go(self):
        found, _queue = self.start_map()
        self.send_captured(self.nova, EVERYTHING[:2])
        self.wait_until(lambda: found.servers_of('fakehost1'))
        self.assertEqual('error', found.server(SERVER).state)
        self.port('port.update.end', device_owner='compute:nova',
                  device_id=SERVER)
        self.wait_until(lambda: found.server_of_port('p1'))
        self.assertEqual(('p1',), found.server(SERVER).ports)
        self.port('port.delete.end')
        self.wait_until(lambda: not found.server_of_port('p1'))
        self.send_captured(self.nova, EVERYTHING[2:])
        self.wait_until(lambda: not found.server(SERVER))

    def test_every_inspector_and_the_agents_hear_everything(self):
        maps = [self.start_map() for _ in range(2)]
        taken = self.evaluator()
        self.start_agent()
        self.send_captured(self.nova, EVERYTHING[:2])
        for found, queue in maps:
            self.wait_until(lambda found=found: found.server(SERVER))
            self.wait_until(lambda queue=queue: not self.waiting(queue))
        self.wait_until(lambda: taken)

    def test_what_is_malformed_stops_nobody(self):
        found, queue = self.start_map()
        for payload in (None, 7, 'x', [1], {'instance_id': []},
                        {'instance_id': 's', 'tenant_id': 'p', 'host': 7}):
            self.send(self.nova, notifications.message(
                'compute.instance.update', payload))
        self.send_captured(self.nova, EVERYTHING[:1])
        self.wait_until(lambda: found.server(SERVER))
        self.wait_until(lambda: not self.waiting(queue))
        self.assertNotIn('broke the resource map', self.log_output.output)

    def test_the_queue_does_not_outlive_its_inspector(self):
        _found, name = self.start_map()
        with self.connection() as connection:
            # the broker refuses other arguments than those it has
            kombu.Queue(
                name, channel=connection, durable=False, auto_delete=False,
                queue_arguments={
                    'x-expires': listener.EXPIRES * 1000,
                    'x-max-length': listener.LENGTH}).queue_declare()
            self.assertRaises(amqp.PreconditionFailed, kombu.Queue(
                name, channel=connection.channel(), durable=False,
                queue_arguments={}).queue_declare)

    def test_a_short_one_is_gone_soon(self):
        self.useFixture(fixtures.MockPatchObject(listener, 'EXPIRES', 10))
        kept = upkeep.Upkeep(configuration.prepare(transport_url=self.bus))
        kept.start()
        name = kept._listener._queue
        self.wait_until(lambda: self.exists(name))
        kept.stop()
        self.wait_until(lambda: not self.exists(name), 120)

    def test_the_broker_goes_and_returns(self):
        found, _name = self.start_map()
        self.virtual_host.server.kill()
        self.virtual_host.server.start()
        self.send_captured(self.nova, EVERYTHING[:1])

        def arrived():
            # until its queue is there again, nobody keeps what is sent
            self.send_captured(self.nova, EVERYTHING[:1])
            return found.server(SERVER)
        self.wait_until(arrived, 120)

    def test_no_broker_keeps_nobody_from_starting_and_ending(self):
        kept = upkeep.Upkeep(configuration.prepare(
            transport_url='rabbit://guest:guest@127.0.0.1:1/'))
        kept.start()
        self.assertEqual([], kept.map.servers_of('h1'))
        kept.stop()
