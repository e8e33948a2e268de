# SPDX-License-Identifier: Apache-2.0

import json
import logging
import os

import fixtures

from doctor_alarm import exception
from doctor_alarm.inspector import upkeep
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import configuration

SERVER = {'id': 's1', 'project_id': 'p'}


class MapFileTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'map.json')
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

    def write(self, content):
        text = content if isinstance(content, str) else json.dumps(content)
        with open(self.path, 'w', encoding='utf-8') as stream:
            stream.write(text)

    def load(self, content):
        self.write(content)
        return upkeep.Upkeep(configuration.prepare(
            inspector__resource_map_file=self.path))

    def test_servers_and_ports(self):
        found = self.load({
            'h1': [{**SERVER, 'name': 'n', 'state': 'error',
                    'monitored': False, 'ports': ['a', 'b']},
                   {'id': 's2', 'project_id': 'q'}],
            'h2': []}).map

        first, second = found.servers_of('h1')
        self.assertEqual(('s1', 'n', 'p', 'h1', 'error', False, ('a', 'b')), (
            first.id, first.name, first.project_id, first.host, first.state,
            first.monitored, first.ports))
        self.assertEqual(('s2', 'active', True), (
            second.id, second.state, second.monitored))
        self.assertEqual(first, found.server_of_port('b'))
        self.assertEqual([], found.servers_of('h2'))
        self.assertFalse(found.is_stale('h3'))

    def test_it_is_read_again(self):
        kept = self.load({'h1': [{**SERVER, 'ports': ['a'],
                                  'monitored': False},
                                 {'id': 's2', 'project_id': 'p'}]})
        self.write({'h2': [{**SERVER, 'ports': ['b']}]})
        kept.reload()

        self.assertEqual([], kept.map.servers_of('h1'))
        moved, = kept.map.servers_of('h2')
        self.assertEqual((True, ('b',)), (moved.monitored, moved.ports))
        self.assertIsNone(kept.map.server('s2'))
        self.assertIsNone(kept.map.server_of_port('a'))
        # and what left may return
        self.write({'h1': [{'id': 's2', 'project_id': 'p', 'ports': ['a']}]})
        kept.reload()
        self.assertEqual('s2', kept.map.server_of_port('a').id)

    def test_a_wrong_one_changes_nothing(self):
        kept = self.load({'h1': [SERVER]})
        for content in ('{', {'h1': [{}]}):
            self.write(content)
            kept.reload()
            self.assertEqual(1, len(kept.map.servers_of('h1')))
        os.remove(self.path)
        kept.reload()
        self.assertEqual(1, len(kept.map.servers_of('h1')))
        self.assertEqual(3, self.log.output.count('stays as it was'))
        self.assertIn('No such file', self.log.output)

    def test_errors_name_the_entry(self):
        second = {'id': 's2', 'project_id': 'p'}
        for content, expected in (
                ('{', 'is no JSON'),
                ('[' * 100000, 'is no JSON'),
                ('{"h1": [], "h1": []}', 'h1 stands twice'),
                ([], 'must be an object: {host: [server, ...], ...}'),
                ({'': []}, 'a host without a name'),
                ({'h1': {}}, 'host h1: must have a list of servers'),
                ({'h1': [1]}, 'host h1, server 0: must be an object'),
                ({'h1': [SERVER, {'id': 's2'}]},
                 'host h1, server 1: project_id must be a text'),
                ({'h1': [{**SERVER, 'id': ''}]}, 'id must be a text'),
                ({'h1': [{**SERVER, 'name': 1}]}, 'name must be a text'),
                ({'h1': [{**SERVER, 'state': None}]},
                 'state must be a text'),
                ({'h1': [{**SERVER, 'monitored': 'no'}]},
                 'monitored must be true or false'),
                ({'h1': [{**SERVER, 'ports': 'a'}]},
                 'ports must be a list of texts'),
                ({'h1': [{**SERVER, 'ports': ['']}]},
                 'ports must be a list of texts'),
                ({'h1': [{**SERVER, 'uuid': 'x'}]}, "unknown key 'uuid'"),
                ({'h1': [SERVER], 'h2': [second, SERVER]},
                 'host h2, server 1: s1 is that of host h1, server 0'),
                ({'h1': [{**SERVER, 'ports': ['a', 'a']}]},
                 'a is that of host h1, server 0 already')):
            error = self.assertRaises(
                exception.ConfigurationError, self.load, content)
            self.assertIn(expected, str(error))
            self.assertIn(self.path, str(error))
            self.assertIn('resource_map_file', str(error))

    def test_no_utf_8(self):
        with open(self.path, 'wb') as stream:
            stream.write(b'{"\xff": []}')
        error = self.assertRaises(
            exception.ConfigurationError, upkeep.Upkeep,
            configuration.prepare(inspector__resource_map_file=self.path))
        self.assertIn('is no JSON', str(error))


class WhereFromTest(base.TestCase):

    def test_without_a_bus_and_without_nova(self):
        kept = upkeep.Upkeep(configuration.prepare(transport_url=''))
        kept.start()
        self.addCleanup(kept.stop)

        self.assertEqual([], kept.map.servers_of('h1'))
        self.assertIsNone(kept._listener)
