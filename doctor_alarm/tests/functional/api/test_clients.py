# SPDX-License-Identifier: Apache-2.0
"""The clients of Aodh, as they are, against a real server on loopback."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.parse

from aodhclient import exceptions as aodh_exc
from aodhclient import noauth
from aodhclient.v2 import client as aodh
from keystoneauth1 import session

from doctor_alarm.api import app
from doctor_alarm.api import server
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import base as api_base

OPENSTACK = pathlib.Path(sys.executable).with_name('openstack')


class ServedTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage())
        self.conf, self.db = stored.conf, stored.db
        for name, value in {'auth_mode': 'noauth', 'host': '127.0.0.1',
                            'port': 0}.items():
            self.conf.set_override(name, value, group='api')
        self.events = api_base.Events()
        self.server = self.serve()
        self.url = self.server.url

    def serve(self):
        served = server.Server(self.conf, app.build_app(
            self.conf, self.db, self.events))
        served.start()
        self.addCleanup(served.stop)
        return served


class LibraryTest(ServedTestCase):

    def client(self, project='p1', roles='member'):
        return aodh.Client(session=session.Session(
            noauth.AodhNoAuthPlugin('u', project, roles, self.url)))

    def test_life_of_an_alarm(self):
        alarms = self.client().alarm
        created = alarms.create({
            'name': 'vm1 down', 'type': 'event', 'event_rule': {
                'event_type': 'compute.instance.*', 'query': [
                    {'field': 'traits.instance_id', 'op': 'eq', 'type': '',
                     'value': 'vm1'}]}})
        alarm_id = created['alarm_id']

        self.assertEqual([created], alarms.list())
        self.assertEqual(created, alarms.get(alarm_id))
        self.assertEqual([created], alarms.query(
            json.dumps({'=': {'name': 'vm1 down'}})))
        self.assertEqual([created], alarms.list(
            filters={'name': 'vm1 down', 'state': 'insufficient data'},
            limit=5, sorts=['name:asc', 'severity:desc']))
        self.assertEqual([], alarms.list(marker=alarm_id))

        updated = alarms.update(alarm_id, {
            'severity': 'critical', 'event_rule': {'event_type': '*'}})
        self.assertEqual('critical', updated['severity'])
        self.assertEqual('*', updated['event_rule']['event_type'])
        self.assertEqual(created['event_rule']['query'],
                         updated['event_rule']['query'])

        self.assertEqual('alarm', alarms.set_state(alarm_id, 'alarm'))
        self.assertEqual('alarm', alarms.get_state(alarm_id))
        self.assertEqual(
            ['state transition', 'rule change', 'creation'],
            [r['type'] for r in self.client().alarm_history.get(alarm_id)])

        alarms.delete(alarm_id)
        self.assertRaises(aodh_exc.NotFound, alarms.get, alarm_id)

    def test_errors_arrive_as_sentences(self):
        alarms = self.client().alarm

        error = self.assertRaises(aodh_exc.BadRequest, alarms.create, {
            'name': 'a', 'type': 'gnocchi_resources_threshold'})
        self.assertIn('belong to Aodh', str(error))
        error = self.assertRaises(aodh_exc.NotFound, alarms.get, 'nope')
        self.assertIn('Alarm nope not found', str(error))
        error = self.assertRaises(
            aodh_exc.Forbidden, self.client(roles='reader').alarm.create,
            {'name': 'a', 'type': 'event', 'event_rule': {}})
        self.assertIn('RBAC Authorization Failed', str(error))

    def test_projects_do_not_see_each_other(self):
        created = self.client().alarm.create({
            'name': 'a', 'type': 'event', 'event_rule': {}})

        self.assertEqual([], self.client('p2').alarm.list())
        self.assertRaises(aodh_exc.NotFound, self.client('p2').alarm.get,
                          created['alarm_id'])
        self.assertEqual([created], self.client('x', 'admin').alarm.list(
            filters={'all_projects': 'true'}))

    def test_capabilities(self):
        self.assertTrue(self.client().capabilities.list()
                        ['api']['alarms:query:simple'])


class CommandLineTest(ServedTestCase):
    """``openstack --os-auth-type none --os-endpoint URL alarm ...``"""

    def run_client(self, *arguments):
        done = subprocess.run(
            [OPENSTACK, '--os-auth-type', 'none', '--os-endpoint', self.url,
             *arguments], capture_output=True, text=True, timeout=120,
            env={name: value for name, value in os.environ.items()
                 if not name.startswith('OS_')})
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def client(self, *arguments):
        return json.loads(self.run_client(*arguments, '-f', 'json') or 'null')

    def test_by_name_and_by_id(self):
        created = self.client(
            'alarm', 'create', '--type', 'event', '--name', 'vm1 down',
            '--event-type', 'compute.instance.*',
            '--query', 'traits.instance_id=string::vm1',
            '--alarm-action', 'http://127.0.0.1:9/')
        alarm_id = created['alarm_id']
        self.assertEqual('compute.instance.*', created['event_type'])

        self.assertEqual('vm1 down', self.client('alarm', 'list')[0]['name'])
        self.assertEqual(alarm_id, self.client(
            'alarm', 'show', 'vm1 down')['alarm_id'])

        updated = self.client('alarm', 'update', 'vm1 down',
                              '--severity', 'critical', '--state', 'ok')
        self.assertEqual(('critical', 'ok', 'Manually set via API'), (
            updated['severity'], updated['state'], updated['state_reason']))
        self.assertEqual('http://127.0.0.1:9/',
                         ''.join(updated['alarm_actions']))

        self.assertEqual({'state': 'alarm'}, self.client(
            'alarm', 'state', 'set', '--state', 'alarm', alarm_id))
        self.assertEqual(3, len(self.client(
            'alarm-history', 'show', alarm_id)))

        self.run_client('alarm', 'delete', 'vm1 down')
        self.assertEqual([], self.client('alarm', 'list'))


class ServerTest(ServedTestCase):

    def connect(self):
        address = urllib.parse.urlsplit(self.url)
        return http.client.HTTPConnection(
            address.hostname, address.port, timeout=30)

    def test_a_taken_port_is_told(self):
        port = urllib.parse.urlsplit(self.url).port
        self.conf.set_override('port', port, group='api')

        for attempt in (self.serve, lambda: server.check_port(self.conf)):
            error = self.assertRaises(exception.ConfigurationError, attempt)
            self.assertIn('127.0.0.1:%d' % port, str(error))
            self.assertIn('taken', str(error))

    def test_a_connection_survives_errors(self):
        """Given answers that were given before the body was needed."""
        connection = self.connect()
        body = json.dumps({'event': {'time': '2026-11-20', 'type': 'a'}})
        chunks = [body[:9].encode(), body[9:].encode()]
        json_type = 'application/json'
        for path, kind, status in [
                ('/nope', json_type, 404), ('/v2/alarms/x', json_type, 405),
                ('/v1/events', 'text/plain', 415),
                ('/v1/events', json_type, 202)]:
            for content in (body, iter(chunks)):
                connection.request('POST', path, content, encode_chunked=True,
                                   headers={'Content-Type': kind})
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(status, answer.status, path)
        self.assertEqual(2, len(self.events.accepted))

    def test_large_bodies(self):
        for content in (b'x' * 1100000, iter([b'x' * 1100000])):
            connection = self.connect()
            connection.request('POST', '/v1/events', content,
                               encode_chunked=True)
            answer = connection.getresponse()
            self.assertEqual(413, answer.status)
            self.assertIn('error_message', json.load(answer))

    def test_broken_chunks(self):
        address = urllib.parse.urlsplit(self.url)
        with socket.create_connection(
                (address.hostname, address.port), 30) as sock:
            sock.sendall(b'POST /v1/events HTTP/1.1\r\nHost: a\r\n'
                         b'Transfer-Encoding: chunked\r\n\r\nnope\r\n')
            self.assertIn(b' 400 ', sock.recv(100))

    def test_head(self):
        connection = self.connect()
        for _ in range(2):
            connection.request('HEAD', '/v2/alarms')
            answer = connection.getresponse()
            self.assertEqual((200, b''), (answer.status, answer.read()))

    def test_stop_answers_what_was_asked(self):
        asked, go_on = threading.Event(), threading.Event()

        def accept(events):
            asked.set()
            go_on.wait(30)

        self.events.accept = accept
        connection = self.connect()
        connection.request('POST', '/v1/events', json.dumps(
            {'event': {'time': '2026-11-20', 'type': 'a'}}))
        self.assertTrue(asked.wait(30))
        stopping = threading.Thread(target=self.server.stop)
        stopping.start()
        go_on.set()

        self.assertEqual(202, connection.getresponse().status)
        stopping.join(30)
        self.assertFalse(stopping.is_alive())
        self.assertRaises(OSError, self.connect().request, 'GET', '/')
