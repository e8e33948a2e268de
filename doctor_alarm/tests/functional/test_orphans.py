# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-manage alarm orphans: what Keystone has to say first."""

import contextlib
import http.server
import io
import json
import threading
import urllib.parse
import uuid

from keystoneauth1 import fixture as keystone_fixture
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import alarm
from doctor_alarm.objects import change
from doctor_alarm.objects import orphan
from doctor_alarm.objects import quota
from doctor_alarm.tests import realkeystone
from doctor_alarm.tests.realnova import configuration
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit import test_manage

RULE = {'event_type': 'x', 'query': [], 'clear': {
    'event_type': 'y', 'query': []}}


class OrphansTestCase(test_manage.CommandTestCase):

    def setUp(self):
        super().setUp()
        self.storage = self.useFixture(storage.Storage(self.database_url()))
        self.db = self.storage.db

    def database_url(self):
        return None

    def add(self, project_id, count=1):
        return [alarm.create(self.db, alarm.Alarm(
            name='a', type='event', rule=RULE, project_id=project_id)).id
            for _time in range(count)]

    def alarms(self):
        return orphan.projects(self.db)

    def credentials(self):
        raise NotImplementedError

    def orphans(self, *arguments):
        """Return the status, what was printed and what was complained."""
        config = self.write('keystone.conf', '[keystone_authtoken]\n'
                            'auth_type = password\n' + ''.join(
                                '%s = %s\n' % item
                                for item in self.credentials().items()))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status, errors = self.run_command(
                '--config-file', config, 'alarm', 'orphans', *arguments,
                url=self.storage.url)
        self.assertNotIn(configuration.PASSWORD, errors)
        return status, printed.getvalue(), errors


class RealTest(OrphansTestCase):
    """A real Keystone."""

    DEFAULT_TIMEOUT = 600

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keystone = realkeystone.Keystone()
        cls.keystone.setUp()
        cls.addClassCleanup(cls.keystone.cleanUp)

    def setUp(self):
        super().setUp()
        self.as_user = {}
        self.name = str(uuid.uuid4())
        self.known, self.disabled, self.gone, self.also_gone = [
            self.keystone.create(
                'project', name='%s %d' % (self.name, number),
                domain_id='default') for number in range(4)]
        for project_id in (self.known, self.disabled, self.gone,
                           self.also_gone):
            self.add(project_id, 2)
        self.keystone.request('PATCH', '/projects/' + self.disabled, {
            'project': {'enabled': False}})
        for project_id in (self.gone, self.also_gone):
            self.keystone.request('DELETE', '/projects/' + project_id)

    def credentials(self):
        return {**self.keystone.deployment.credentials('admin', 'admin'),
                'region_name': configuration.REGION, **self.as_user}

    def test_listed_and_deleted(self):
        self.add('never/was?', 1)
        expected = ['%s  %d alarms' % item for item in sorted([
            (self.gone, 2), (self.also_gone, 2)])]

        status, printed, errors = self.orphans()
        self.assertEqual((1, [*expected, '2 of 5 projects are gone']),
                         (status, printed.splitlines()), errors)
        self.assertIn('never/was?', errors)
        self.assertEqual(5, len(self.alarms()))

        status, printed, errors = self.orphans('--purge', self.gone)
        self.assertEqual((0, '%s  2 alarms deleted\n1 of 1 projects are gone\n'
                          % self.gone), (status, printed), errors)
        self.assertEqual({self.known, self.disabled, self.also_gone,
                          'never/was?'}, set(self.alarms()))

        self.orphans('--purge')
        self.assertEqual({self.known, self.disabled, 'never/was?'},
                         set(self.alarms()))

    def test_who_may_not_know(self):
        user_id = self.keystone.create(
            'user', name=self.name, password=configuration.PASSWORD,
            domain_id='default')
        self.keystone.request('PUT', '/projects/%s/users/%s/roles/%s' % (
            self.known, user_id, self.keystone.roles()['member']))
        self.as_user = {'username': self.name,
                        'project_name': '%s 0' % self.name}

        status, printed, errors = self.orphans('--purge')

        self.assertEqual((1, '0 of 4 projects are gone\n'), (status, printed))
        for project_id in (self.gone, self.also_gone, self.disabled):
            self.assertIn('%s (Keystone answers 403)' % project_id, errors)
        self.assertEqual(4, len(self.alarms()))

    def test_a_wrong_password(self):
        self.as_user = {'password': 'wrong'}

        status, printed, errors = self.orphans('--purge')

        self.assertEqual((1, ''), (status, printed))
        self.assertIn('can not be asked', errors)
        self.assertEqual(4, len(self.alarms()))


def not_found(project_id):
    """What Keystone says of a project that there is not."""
    return 404, json.dumps({'error': {
        'code': 404, 'title': 'Not Found',
        'message': 'Could not find project: %s.' % project_id}})


class Fake(http.server.BaseHTTPRequestHandler):
    """As much of Keystone as is asked; ``server.say`` answers the rest."""

    def do_GET(self):
        if self.path.rstrip('/') in ('', '/v3'):
            version = {'id': 'v3.14', 'status': 'stable', 'links': [
                {'rel': 'self', 'href': self.server.url + '/v3/'}]}
            self.answer(200, json.dumps(
                {'version': version} if self.path.startswith('/v3')
                else {'versions': {'values': [version]}}))
            return
        project_id = urllib.parse.unquote(self.path.rpartition('/')[2])
        if project_id == 'own':
            self.answer(200, '{"project": {"id": "own"}}')
            return
        found = self.server.say(project_id)
        if found is None:
            self.close_connection = True
        else:
            self.answer(*found)

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        token = keystone_fixture.V3Token(project_id='own')
        token.add_service('identity').add_endpoint(
            'public', self.server.url + '/v3')
        self.answer(201, json.dumps(token), ('X-Subject-Token', 't'))

    def answer(self, status, text, *headers):
        self.send_response(status)
        for name, value in (('Content-Length', str(len(text))),
                            ('Content-Type', 'application/json'), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_args):
        pass


class FailureTest(OrphansTestCase):
    """What is no "no"."""

    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Fake)
        self.server.url = 'http://127.0.0.1:%d' % self.server.server_port
        self.server.say = not_found
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def credentials(self):
        return {'auth_url': self.server.url + '/v3', 'username': 'u',
                'password': configuration.PASSWORD, 'project_name': 'p',
                'user_domain_id': 'default', 'project_domain_id': 'default'}

    def check(self, say, words, status=1):
        self.server.say = say
        found, _printed, errors = self.orphans('--purge')
        self.assertEqual(status, found, errors)
        self.assertIn(words, errors)

    def test_a_clear_no(self):
        self.add('p1')

        self.check(not_found, '', 0)

        self.assertEqual({}, self.alarms())

    def test_everything_else(self):
        self.add('p1')
        nobody = {'error': {'code': 404, 'message': 'No such path.'}}
        for status, text in [
                (404, '<html>not found</html>'), (404, ''), (404, '[]'),
                (404, json.dumps(nobody)), (404, '{"error": "p1"}'),
                (404, '{"error": {"code": 404, "message": ["p1"]}}'),
                (403, not_found('p1')[1]), (410, not_found('p1')[1]),
                (200, not_found('p1')[1]), (200, '{"project": null}'),
                (200, '{"project": {"id": "p2"}}'), (204, '')]:
            self.check(lambda _id, found=(status, text): found,
                       'not clear: p1 (Keystone answers %d)' % status)

        self.assertEqual({'p1': 1}, self.alarms())

    def test_one_that_is_not_clear_keeps_no_other(self):
        for project_id in ('p1', 'p2', 'p3'):
            self.add(project_id)

        self.check(lambda id_: (403, '{}') if id_ == 'p2' else not_found(id_),
                   'not clear: p2 (')

        self.assertEqual({'p2': 1}, self.alarms())

    def test_one_that_ceases_to_answer_deletes_nothing(self):
        for project_id in ('p1', 'p2'):
            self.add(project_id)
        for found, words in (((500, '{}'), 'answers 500'),
                             ((401, '{}'), '401'), ((429, '{}'), '429'),
                             (None, 'can not be asked')):
            self.check(lambda id_, found=found: not_found(id_)
                       if id_ == 'p1' else found, words)

        self.assertEqual({'p1': 1, 'p2': 1}, self.alarms())

    def test_one_that_denies_our_own_project(self):
        self.add('p1')
        found = Fake.do_GET

        def deny(handler):
            if handler.path.endswith('/own'):
                handler.answer(*not_found('own'))
            else:
                found(handler)

        self.server.RequestHandlerClass = type(
            'Denying', (Fake,), {'do_GET': deny})
        self.check(not_found, 'project of [keystone_authtoken] itself')

        self.assertEqual({'p1': 1}, self.alarms())

    def test_where_projects_are_others(self):
        self.add('p1')
        config = self.write('basic.conf', '[api]\nauth_mode = http_basic\n')

        self.assertIn('http_basic', self.refused(
            '--config-file', config, 'alarm', 'orphans', '--purge',
            url=self.storage.url))

    def test_without_an_account(self):
        self.assertIn('[keystone_authtoken]: auth_type', self.refused(
            'alarm', 'orphans', url=self.storage.url))

    def test_a_project_without_alarms(self):
        self.assertIn('p9 has no alarms', self.orphans('p9')[2])


class PurgeTest(OrphansTestCase):
    """What goes with an alarm, and what stays."""

    def test_as_the_api_deletes(self):
        gone, kept = self.add('p1', 3), self.add('p2', 1)
        quota.set_project(self.db, 'p1', {quota.ALARMS: 5})

        self.assertEqual(3, orphan.purge(self.db, 'p1'))

        with self.db.reader() as conn:
            self.assertEqual(set(kept), set(conn.execute(
                sa.select(models.alarm_key.c.alarm_id)).scalars()))
            self.assertEqual({}, quota.of_project(conn, 'p1'))
            for alarm_id in gone:
                self.assertEqual('deletion', change.of_alarm(
                    conn, alarm_id)[0].type)

    def test_what_was_given_to_another_project_meanwhile(self):
        moved, = self.add('p1')

        def ids(db, project_id):
            with db.writer() as conn:
                conn.execute(sa.update(models.alarm).values(project_id='p2'))
            return [moved, 'gone']

        self.useFixture(test_manage.fixtures.MonkeyPatch(
            'doctor_alarm.objects.orphan._ids', ids))

        self.assertEqual(0, orphan.purge(self.db, 'p1'))
        self.assertEqual({'p2': 1}, self.alarms())

    def test_more_than_a_chunk(self):
        self.useFixture(test_manage.fixtures.MonkeyPatch(
            'doctor_alarm.objects.orphan.CHUNK', 2))
        self.add('p1', 5)

        self.assertEqual(5, orphan.purge(self.db, 'p1'))
        self.assertEqual({}, self.alarms())


class MariaDBPurgeTest(PurgeTest):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLPurgeTest(PurgeTest):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
