# SPDX-License-Identifier: Apache-2.0
"""The inspector beside a real nova."""

import fixtures

from doctor_alarm.agent import endpoint
from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import cycle
from doctor_alarm.inspector import inventory
from doctor_alarm.inspector import upkeep
from doctor_alarm.tests.functional.inspector import realfaults
from doctor_alarm.tests.realnova import base
from doctor_alarm.tests.realnova import notifications
from doctor_alarm.tests.unit.agent import configuration

NO = {'doctor_alarm:monitored': 'false'}


class InspectorTest(realfaults.Faults, base.TestCase):
    """All tests share one nova, whose start is dear."""

    DEFAULT_TIMEOUT = 1200

    def conf(self, **options):
        return configuration.prepare(
            transport_url=self.nova.transport_url, **{
                'inspector__' + name: value for name, value in {
                    **realfaults.account(self.nova),
                    'resource_map_ports': False, **options}.items()})

    def start(self, **options):
        kept = upkeep.Upkeep(self.conf(**options))
        kept.start()
        self.addCleanup(kept.stop)
        if kept._listener is not None:
            self.wait_until(lambda: all(
                server.listener for server in kept._listener._servers))
        return kept.map

    def expect_on(self, found, host, *ids):
        self.wait_until(
            lambda: [each.id for each in found.servers_of(host)] == list(ids),
            message=lambda: '%s: %s' % (host, found.servers_of(host)))

    def test_what_the_bus_tells_is_what_nova_shows(self):
        here, there = self.nova.hosts
        # it hears the bus, and never asks
        heard = self.start(auth_type=None)
        first = self.boot('first', here)
        self.expect_on(heard, here, first)
        second = self.nova.boot('second', there, **NO)
        self.expect_on(heard, there, second)
        self.assertFalse(heard.server(second).monitored)
        self.nova.reset_state(first, 'error')
        self.wait_until(lambda: heard.server(first).state == 'error')
        self.assertEqual(self.nova.project_id, heard.server(first).project_id)

        self.force_down(here)
        self.nova.evacuate(first, there)
        self.wait_until(lambda: heard.server(first).host == there)
        self.expect_on(heard, here)
        self.compare(heard, first, second)
        self.nova.delete(second)
        self.expect_on(heard, there, first)

    def compare(self, heard, *ids):
        nova = inventory.Inventory(self.conf())
        shown = {each.server.id: each for each in nova.servers()}
        self.assertEqual(set(ids), set(shown))
        for server_id in ids:
            self.wait_until(
                lambda server_id=server_id: (
                    heard.server(server_id).state
                    == shown[server_id].server.state),
                message='%s %s' % (heard.server(server_id), shown[server_id]))
            server = heard.server(server_id)
            self.assertEqual(shown[server_id].server.name, server.name)
            self.assertEqual(shown[server_id].server.host, server.host)
            self.assertEqual(
                shown[server_id].server.project_id, server.project_id)
            self.assertEqual(
                False in shown[server_id].monitored, not server.monitored)

    def test_servers_that_move_while_their_hosts_are_up(self):
        here, there = self.nova.hosts
        heard = self.start(auth_type=None)
        server_id = self.boot('moving', here)
        self.expect_on(heard, here, server_id)

        self.nova._act(server_id, {'os-migrateLive': {
            'host': there, 'block_migration': 'auto'}})
        self.expect_on(heard, there, server_id)
        self.expect_on(heard, here)
        self.nova._wait_for(server_id, 'ACTIVE', there)
        self.nova._act(server_id, {'migrate': {'host': here}})
        self.nova._wait_for(server_id, 'VERIFY_RESIZE', here)
        self.expect_on(heard, here, server_id)
        self.expect_on(heard, there)
        # and one that comes to nothing leaves it where it was
        self.nova._act(server_id, {'revertResize': None})
        self.nova._wait_for(server_id, 'ACTIVE', there)
        self.expect_on(heard, there, server_id)
        self.expect_on(heard, here)
        self.compare(heard, server_id)

    def test_nova_is_asked(self):
        self.useFixture(fixtures.MockPatchObject(cycle, 'FIRST', 0.0))
        here, there = self.nova.hosts
        first = self.boot('first', here)
        asked = self.start(exchanges=[], resource_map_interval=1)
        self.expect_on(asked, here, first)
        # what changed since
        second = self.nova.boot('second', there)
        self.expect_on(asked, there, second)
        self.nova.reset_state(first, 'error')
        self.wait_until(lambda: asked.server(first).state == 'error')
        self.nova.delete(second)
        self.expect_on(asked, there)

    def test_a_host_is_asked_for(self):
        here, there = self.nova.hosts
        first = self.boot('first', here)
        kept = upkeep.Upkeep(self.conf(exchanges=[], lookup_timeout=120))
        # nothing was read yet
        self.assertEqual([first], [
            each.id for each in kept.map.servers_of(here)])
        self.assertEqual([], kept.map.servers_of(there))
        self.assertEqual([], kept.map.servers_of('nowhere'))

    def echoes(self, event_type):
        """Return what the events of all notifications of a type echo."""
        transformer = endpoint.Transformer(configuration.prepare(
            agent__nova_format='both'))
        return [
            event.traits.get(fault.ECHO_OF)
            for wire in list(self.heard.received)
            if wire['event_type'] == event_type
            for event in transformer.events(wire, {
                key.removeprefix('_context_'): value
                for key, value in wire.items()
                if key.startswith('_context_')})]

    def test_nova_hands_on_why_it_was_asked(self):
        host = self.nova.hosts[0]
        server = self.boot('reset', host)
        self.heard = self.useFixture(
            notifications.Notifications(self.nova.amqp_url))
        told = cloud.Cloud(self.conf())
        causes = [event_mod.derived_id('cause', each) for each in 'ab']
        self.addCleanup(self._repair, host)

        self.assertEqual(cloud.Outcome.DONE, told.reset_state(
            server, host, 'error', causes[0]))
        self.assertEqual(cloud.Outcome.DONE,
                         told.force_down(host, True, causes[1]))

        for event_type, cause in (
                ('compute.instance.update', causes[0]),
                ('instance.update', causes[0]),
                ('service.update', causes[1])):
            self.wait_until(
                lambda event_type=event_type: self.echoes(event_type))
            self.assertEqual([cause], self.echoes(event_type))
