# SPDX-License-Identifier: Apache-2.0
"""Alarms move from one service to another, by the commands of operators."""

import http.server
import json
import os
import threading

import fixtures

from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import query
from doctor_alarm import standalone
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.api import commands
from doctor_alarm.tests.functional.api import served
from doctor_alarm.tests.functional import test_manage
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import base as api_base

ADMIN = {**api_base.ADMIN, 'Accept': 'application/json'}


class MoveTestCase(test_manage.Managed, base.TestCase):

    def setUp(self):
        super().setUp()
        self.target = self.useFixture(storage.Storage())
        self.prepare(
            database=('connection', self.target.url),
            credential=('key_file', self.target.key_file))

    def stored(self):
        with self.target.db.reader() as conn:
            return sorted(alarm.id for alarm in alarm_list.find(
                conn, None, query.Page()))

    def load(self, doc, *arguments, **options):
        return self.run_command(
            'alarm', 'import', *arguments, '-', text=json.dumps(doc),
            **options)


class AodhListTest(MoveTestCase, served.ServedTestCase):
    """What ``aodh alarm list -f json`` shows of another service."""

    def alarm(self, name, **values):
        answer = self.request('post', '/v2/alarms', headers=ADMIN, json={
            **api_base.ApiTestCase.alarm(), 'name': name,
            'project_id': 'p1', **values})
        self.assertEqual(201, answer.status_code, answer.text)
        return answer.json()['alarm_id']

    def listed(self):
        client = self.useFixture(commands.Client('aodh'))
        status, shown, errors = client.run(
            '--os-auth-type', 'aodh-noauth', '--aodh-endpoint', self.url,
            '--user-id', 'root', '--project-id', 'admin', '--roles', 'admin',
            'alarm', 'list', '--filter', 'all_projects=true', '-f', 'json')
        self.assertEqual(0, status, errors)
        return json.loads(shown)

    def test_the_rest_is_read_from_there(self):
        known = [self.alarm(str(number)) for number in range(3)]
        rows = self.listed()
        self.request('delete', '/v2/alarms/' + known[0], headers=ADMIN)
        rows.append({'alarm_id': 'x', 'type': 'threshold', 'name': 'cpu',
                     'state': 'ok', 'severity': 'low', 'enabled': True})

        said = self.load(rows, '--aodh', self.url)

        self.assertEqual(sorted(known[1:]), self.stored())
        self.assertIn('2 alarms\n2 left out:\n', said)
        self.assertIn('%s: Aodh has no such alarm' % known[0], said)
        self.assertIn('item 4: x "cpu" (threshold): Metric alarms', said)

    def test_alone_it_is_not_enough(self):
        alarm_id = self.alarm('a')

        said = self.load(self.listed())

        self.assertIn('0 alarms\n1 left out:\n  item 1: %s "a": it has no rule'
                      % alarm_id, said)
        self.assertEqual([], self.stored())

    def test_the_list_of_the_api(self):
        known = self.alarm('a')
        docs = self.request('get', '/v2/alarms', headers=ADMIN, params={
            'q.field': 'all_projects', 'q.value': 'true'}).json()

        self.assertEqual('1 alarms\n', self.load(docs))
        self.assertEqual([known], self.stored())


class AwayTest(MoveTestCase):
    """An Aodh that does not say what it has: nothing is stored."""

    ROW = {'alarm_id': 'x', 'type': 'event', 'name': 'a'}

    def serve(self, status, body=b'', **headers):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):

            def do_GET(self):
                seen.append((self.path, self.headers['X-Auth-Token']))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return 'http://127.0.0.1:%d' % server.server_address[1]

    def test_what_it_may_say(self):
        self.useFixture(fixtures.EnvironmentVariable('OS_TOKEN', 't1'))
        for status, body in ((500, b''), (403, b''), (401, b''),
                             (200, b'<html>')):
            url = self.serve(status, body)
            said = self.load([self.ROW], '--aodh', url, status=1)

            self.assertIn('did not show alarm x', said)
            self.assertEqual([('/v2/alarms/x', 't1')], self.seen)
        self.assertIn('did not show', self.load(
            [self.ROW], '--aodh', 'http://127.0.0.1:1', status=1))
        self.assertIn('no http', self.load(
            [self.ROW], '--aodh', 'file:///', status=1))
        self.assertEqual([], self.stored())

    def test_a_token_goes_nowhere_else(self):
        self.useFixture(fixtures.EnvironmentVariable('OS_TOKEN', 't1'))
        other = self.serve(200, b'{}')
        elsewhere = self.seen
        url = self.serve(302, b'', Location=other + '/v2/alarms/x')

        self.load([self.ROW], '--aodh', url, status=1)

        self.assertEqual([('/v2/alarms/x', None)], elsewhere)


class ExportTest(MoveTestCase):

    def setUp(self):
        super().setUp()
        self.lines = [{
            **api_base.ApiTestCase.alarm(), 'name': str(number),
            'project_id': 'p%d' % number,
            'alarm_actions': ['http://u:hush@192.0.2.1/']}
            for number in range(3)]
        self.load(self.lines)

    def test_there_and_back(self):
        path = os.path.join(self.folder, 'export')
        self.assertEqual('3 alarms\n', self.run_command(
            'alarm', 'export', path))
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        self.assertIn('exists', self.run_command(
            'alarm', 'export', path, status=1))

        other = self.useFixture(storage.Storage())
        self.prepare(database=('connection', other.url),
                     credential=('key_file', self.target.key_file))
        self.assertEqual('3 alarms\n', self.run_command(
            'alarm', 'import', path))

        with open(path) as file:
            exported = file.read()
        self.assertEqual(exported, self.run_command('alarm', 'export'))
        self.assertNotIn('hush', exported)

    def test_in_clear(self):
        line, = self.run_command(
            'alarm', 'export', '--clear', '--project', 'p1').splitlines()

        self.assertEqual(self.lines[1]['alarm_actions'],
                         json.loads(line)['alarm_actions'])


class BlockedTest(MoveTestCase):

    def line(self, url):
        return [{**api_base.ApiTestCase.alarm(), 'project_id': 'p1',
                 'alarm_actions': [url]}]

    def test_receivers_where_none_may_be(self):
        for url in ('http://169.254.169.254/', 'http://localhost/'):
            self.assertIn('is not allowed', self.load(
                self.line(url), status=1))
        self.assertIn('is not allowed', self.load(
            self.line('http://127.0.0.1/'), '--no-look-up', status=1))

        self.assertEqual('1 alarms\n', self.load(
            self.line('http://localhost/'), '--no-look-up'))

    def test_a_standalone_service_calls_its_own_host(self):
        path = os.path.join(self.folder, 'state')
        self.useFixture(storage.Storage(standalone.database_url(path)))
        self.prepare()

        self.assertEqual('1 alarms\n', self.run_command(
            '--state-path', path, 'alarm', 'import', '-',
            text=json.dumps(self.line('http://127.0.0.1/'))))
