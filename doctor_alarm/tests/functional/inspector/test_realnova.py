# SPDX-License-Identifier: Apache-2.0
"""The resource map beside a real nova."""

import fixtures

from doctor_alarm.inspector import cycle
from doctor_alarm.inspector import inventory
from doctor_alarm.inspector import upkeep
from doctor_alarm.tests.realnova import base
from doctor_alarm.tests.unit.agent import configuration

NO = {'doctor_alarm:monitored': 'false'}


class ResourceMapTest(base.TestCase):

    def conf(self, **options):
        who = self.nova.credentials
        return configuration.prepare(
            transport_url=self.nova.transport_url, **{
                'inspector__' + name: value for name, value in {
                    'auth_type': 'password', 'interface': 'public',
                    'auth_url': who['auth_url'],
                    'username': who['username'],
                    'password': who['password'],
                    'project_name': who['project_name'],
                    'resource_map_ports': False, **options}.items()})

    def start(self, **options):
        kept = upkeep.Upkeep(self.conf(**options))
        kept.start()
        self.addCleanup(kept.stop)
        if kept._listener is not None:
            self.wait_until(lambda: all(
                server.listener for server in kept._listener._servers))
        return kept.map

    def expect(self, found, host, *ids):
        self.wait_until(
            lambda: [each.id for each in found.servers_of(host)] == list(ids),
            message=lambda: '%s: %s' % (host, found.servers_of(host)))

    def test_what_the_bus_tells_is_what_nova_shows(self):
        here, there = self.nova.hosts
        # it hears the bus, and never asks
        heard = self.start(auth_type=None)
        first = self.boot('first', here)
        self.expect(heard, here, first)
        second = self.nova.boot('second', there, **NO)
        self.expect(heard, there, second)
        self.assertFalse(heard.server(second).monitored)
        self.nova.reset_state(first, 'error')
        self.wait_until(lambda: heard.server(first).state == 'error')
        self.assertEqual(self.nova.project_id, heard.server(first).project_id)

        self.force_down(here)
        self.nova.evacuate(first, there)
        self.wait_until(lambda: heard.server(first).host == there)
        self.expect(heard, here)
        self.compare(heard, first, second)
        self.nova.delete(second)
        self.expect(heard, there, first)

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

    def test_nova_is_asked(self):
        self.useFixture(fixtures.MockPatchObject(cycle, 'FIRST', 0.0))
        here, there = self.nova.hosts
        first = self.boot('first', here)
        asked = self.start(exchanges=[], resource_map_interval=1)
        self.expect(asked, here, first)
        # what changed since
        second = self.nova.boot('second', there)
        self.expect(asked, there, second)
        self.nova.reset_state(first, 'error')
        self.wait_until(lambda: asked.server(first).state == 'error')
        self.nova.delete(second)
        self.expect(asked, there)

    def test_a_host_is_asked_for(self):
        here, there = self.nova.hosts
        first = self.boot('first', here)
        kept = upkeep.Upkeep(self.conf(exchanges=[], lookup_timeout=120))
        # nothing was read yet
        self.assertEqual([first], [
            each.id for each in kept.map.servers_of(here)])
        self.assertEqual([], kept.map.servers_of(there))
        self.assertEqual([], kept.map.servers_of('nowhere'))
