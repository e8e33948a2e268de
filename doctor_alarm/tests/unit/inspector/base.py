# SPDX-License-Identifier: Apache-2.0
"""Hosts, servers and faults for tests."""

import dataclasses
import datetime

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import resource_map
from doctor_alarm.tests import base

NOW = datetime.datetime(2036, 11, 20, 8, 0, tzinfo=datetime.timezone.utc)
SERVERS = [
    resource_map.Server(
        'vm1', 'one', 'p1', 'h1', 'active', True, ('port1',)),
    resource_map.Server('vm2', 'two', 'p2', 'h1', 'stopped', True, ()),
    resource_map.Server('vm3', 'three', 'p2', 'h1', 'active', True, ()),
    resource_map.Server('vm4', 'four', 'p2', 'h1', 'active', False, ()),
    resource_map.Server('vm5', 'five', 'p1', 'h2', 'active', True, ()),
]


def event(event_type=fault.HOST_DOWN, trusted=True, project_id='service',
          **traits):
    """Return an event as the API makes it of a post."""
    if not traits:
        traits = {'hostname': 'h1'}
    if 'hostname' in traits:
        traits['host'] = traits['hostname']
    return dataclasses.replace(event_mod.build(event_mod.Parts(
        message_id='m1', event_type=event_type, generated=NOW,
        traits={'severity': 'critical', 'cause': 'h1 is dead',
                'monitor_id': 'ping@h9', 'source': 'ping', **traits},
        project_id=project_id, publisher_id='ping'), received=NOW),
        trusted=trusted)


class Map:
    """Knows these servers."""

    def servers_of(self, host):
        return [server for server in SERVERS if server.host == host]

    def server(self, server_id):
        return next((server for server in SERVERS
                     if server.id == server_id), None)

    def server_of_port(self, port_id):
        return next((server for server in SERVERS
                     if port_id in server.ports), None)


class InspectorTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.map = Map()
