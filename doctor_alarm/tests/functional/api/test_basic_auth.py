# SPDX-License-Identifier: Apache-2.0
"""Names and passwords instead of Keystone."""

import base64
import os

from aodhclient import exceptions as aodh_exc
from aodhclient.v2 import client as aodh
import bcrypt
import fixtures
from keystoneauth1 import http_basic
from keystoneauth1 import session
from oslo_middleware import http_proxy_to_wsgi

from doctor_alarm.api import app
from doctor_alarm.api import basic_auth
from doctor_alarm.api import throttle
from doctor_alarm import exception
from doctor_alarm.tests.functional.api import served
from doctor_alarm.tests.unit.api import base as api_base

EVENT = {'event': {'time': '2026-11-20T12:00:00', 'type': 'a',
                   'details': {'hostname': 'h1'}}}
ALARM = api_base.ApiTestCase.alarm()
UMLAUT = 'gr\xfc\xdfe'


def line(name, password):
    """Return a line of an htpasswd file."""
    return '%s:%s\n' % (name, bcrypt.hashpw(
        password.encode(), bcrypt.gensalt(4)).decode())


class BasicAuthTestCase(served.ServedTestCase):

    options = {'auth_mode': 'http_basic', 'http_basic_users': [
        'alice:p1:member|reader', 'zabbix:service:monitor', 'bob:p2:member',
        'root:admin:admin', 'gone:p1:admin'],
        'http_basic_failures': 50}

    def prepare(self):
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'htpasswd')
        self.write(line('alice', 'secret:1') + line('zabbix', UMLAUT)
                   + line('bob', 'b') + line('root', 'r')
                   + line('stranger', 's'))
        self.conf.register_opts(
            basic_auth.basic_auth.OPTS, group=basic_auth.GROUP)
        self.conf.set_override('http_basic_auth_user_file', self.path,
                               group=basic_auth.GROUP)

    def write(self, text):
        with open(self.path, 'w') as passwords:
            passwords.write(text)

    def call(self, method, path, name=None, password='', **kwargs):
        headers = dict(kwargs.pop('headers', {}))
        if name is not None:
            headers['Authorization'] = 'Basic ' + base64.b64encode(
                ('%s:%s' % (name, password)).encode()).decode()
        return self.request(method, path, headers=headers, **kwargs)

    def assert_refused(self, answer):
        self.assertEqual(401, answer.status_code)
        self.assertEqual('Basic realm="doctor-alarm"',
                         answer.headers['WWW-Authenticate'])
        self.assertEqual(
            {'faultcode': 'Client', 'debuginfo': None,
             'faultstring': 'Authentication required'},
            answer.json()['error_message'])


class BasicAuthTest(BasicAuthTestCase):

    def test_an_alarm(self):
        created = self.call('post', '/v2/alarms', 'alice', 'secret:1',
                            json=ALARM)

        self.assertEqual(201, created.status_code)
        self.assertEqual(('p1', 'alice'), (created.json()['project_id'],
                                           created.json()['user_id']))
        where = '/v2/alarms/' + created.json()['alarm_id']
        self.assertEqual(200, self.call(
            'get', where, 'alice', 'secret:1').status_code)
        self.assertEqual(200, self.call('get', where, 'root', 'r').status_code)
        self.assertEqual(404, self.call('get', where, 'bob', 'b').status_code)
        self.assertEqual(403, self.call(
            'get', '/v2/alarms', 'zabbix', UMLAUT).status_code)

    def test_the_client_library(self):
        def client(name, password):
            return aodh.Client(session=session.Session(
                auth=http_basic.HTTPBasicAuth(
                    endpoint=self.url, username=name, password=password)))

        made = client('alice', 'secret:1').alarm.create(dict(ALARM))

        self.assertEqual([made], client('alice', 'secret:1').alarm.list())
        self.assertEqual([], client('bob', 'b').alarm.list())
        self.assertRaises(
            aodh_exc.Unauthorized, client('bob', 'x').alarm.list)

    def test_an_event_of_a_monitor(self):
        answer = self.call('post', '/v1/events', 'zabbix', UMLAUT, json=EVENT)

        self.assertEqual(202, answer.status_code)
        self.assertEqual(1, len(self.events.accepted))

    def test_who_does_not_prove_it(self):
        claims = {'X-User-Id': 'root', 'X-Project-Id': 'admin', 'X-User': 'r',
                  'X-Roles': 'admin', 'X-Identity-Status': 'Confirmed',
                  'X-Role': 'admin', 'X-Tenant': 'admin',
                  'X-Auth-Token': 'x'}
        for name, password in [
                (None, ''), ('alice', ''), ('alice', 'secret'),
                ('alice', 'secret:1 '), ('root', 'b'), ('nobody', 'x'),
                ('gone', 'x'), ('', ''), ('alice\n', 'secret:1'),
                ('alice', 'x' * 100)]:
            for method, path in [('get', '/v2/alarms'),
                                 ('post', '/v1/events')]:
                self.assert_refused(self.call(
                    method, path, name, password, headers=claims, json=EVENT))
        for header in ('Basic', 'Basic !!', 'Bearer x', 'Basic YQ==', ''):
            self.assert_refused(self.request(
                'get', '/v2/alarms',
                headers={**claims, 'Authorization': header}))
        self.assertEqual([], self.events.accepted)

    def test_claims_beside_a_password_count_nothing(self):
        answer = self.call('get', '/v2/alarms', 'bob', 'b', headers={
            'X-Roles': 'admin', 'X-Role': 'admin', 'X-Project-Id': 'p1'},
            params={'q.field': 'all_projects', 'q.value': 'true'})

        self.assertEqual(403, answer.status_code)

    def test_who_is_not_listed_may_nothing(self):
        for method, path in [('get', '/v2/alarms'), ('post', '/v1/events'),
                             ('get', '/v2/capabilities')]:
            self.assertEqual(403, self.call(
                method, path, 'stranger', 's', json=EVENT, headers={
                    'X-Roles': 'admin', 'X-Project-Id': 'p1'}).status_code)

    def test_what_needs_no_password(self):
        for path in ('/', '/healthcheck', '/metrics'):
            self.assertEqual(200, self.call('get', path).status_code)
            self.assertEqual(200, self.call(
                'get', path, 'alice', 'wrong').status_code)

    def test_a_password_that_changed(self):
        for _time in range(2):
            self.assertEqual(200, self.call(
                'get', '/v2/alarms', 'alice', 'secret:1').status_code)

        self.write(line('alice', 'new'))

        self.assert_refused(self.call(
            'get', '/v2/alarms', 'alice', 'secret:1'))
        self.assertEqual(200, self.call(
            'get', '/v2/alarms', 'alice', 'new').status_code)
        os.unlink(self.path)
        self.assert_refused(self.call('get', '/v2/alarms', 'alice', 'new'))

    def refused_at_start(self):
        return str(self.assertRaises(
            exception.ConfigurationError, app.build_app, self.conf, self.db,
            self.events))

    def test_files_that_are_none(self):
        where = '[oslo_middleware] http_basic_auth_user_file = ' + self.path
        for text in ('alice:secret\n', 'alice:$apr1$x\n', '\xff:x\n'):
            self.write(text)
            self.assertIn(where + ': not an htpasswd file with bcrypt',
                          self.refused_at_start())
        os.unlink(self.path)
        self.assertEqual(where + ': No such file or directory',
                         self.refused_at_start())

    def test_users_that_are_none(self):
        for entries in (['alice'], ['alice:p1'], ['alice:p1:'], [':p1:a'],
                        ['a:b:c:d'], ['a:p:r', 'a:q:r']):
            self.conf.set_override(
                'http_basic_users', entries, group='api')
            self.assertIn('[api] http_basic_users: %r is not' % entries[-1],
                          self.refused_at_start())


class ThrottleTestCase(BasicAuthTestCase):

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        auth = self.application
        while not isinstance(auth, basic_auth.BasicAuth):
            auth = getattr(auth, '_app', None) or auth.application
        auth._throttle = throttle.Throttle(3, lambda: self.now)
        self.checked = self.useFixture(fixtures.MockPatch(
            'doctor_alarm.api.basic_auth.basic_auth.authenticate',
            wraps=basic_auth.basic_auth.authenticate)).mock

    def alarms(self, password, name='alice', path='/v2/alarms', **kwargs):
        return self.call('get', path, name, password, **kwargs)

    def guess(self, times=3):
        for number in range(times):
            self.assert_refused(self.alarms('guess %d' % number))


class ThrottleTest(ThrottleTestCase):
    """Who guesses has to wait."""

    def test_wrong_and_right_ones_wait(self):
        # given: a password that is remembered
        self.assertEqual(200, self.alarms('secret:1').status_code)
        self.guess()
        self.checked.reset_mock()

        for password in ('secret:1', 'wrong'):
            answer = self.alarms(password)
            self.assertEqual((429, '1'), (
                answer.status_code, answer.headers['Retry-After']))
            self.assertEqual(
                {'faultcode': 'Client', 'debuginfo': None, 'faultstring':
                    'Too many logins failed, try again later'},
                answer.json()['error_message'])
        self.checked.assert_not_called()

        self.now += 1.1
        self.assertEqual(200, self.alarms('secret:1').status_code)

    def test_others_do_not(self):
        self.guess()

        self.assertEqual(200, self.alarms('b', 'bob').status_code)
        self.assertEqual(200, self.alarms('wrong', path='/').status_code)

    def test_a_password_is_checked_once(self):
        for _time in range(5):
            self.assertEqual(200, self.alarms('secret:1').status_code)

        self.checked.assert_called_once()

    def test_a_file_that_is_gone_is_nobodys_failure(self):
        os.rename(self.path, self.path + '.away')
        for _time in range(5):
            self.assert_refused(self.alarms('secret:1'))
        os.rename(self.path + '.away', self.path)

        self.assertEqual(200, self.alarms('secret:1').status_code)


class BehindProxyTest(ThrottleTestCase):

    def prepare(self):
        super().prepare()
        self.conf.register_opts(
            http_proxy_to_wsgi.OPTS, group=basic_auth.GROUP)
        self.conf.set_override('enable_proxy_headers_parsing', True,
                               group=basic_auth.GROUP)

    def test_clients_are_told_apart(self):
        self.guess()

        self.assertEqual(429, self.alarms('secret:1').status_code)
        self.assertEqual(200, self.alarms('secret:1', headers={
            'X-Forwarded-For': '192.0.2.9'}).status_code)

    def test_who_claims_to_be_another_one_each_time_is_not(self):
        for number in range(4):
            self.alarms('wrong', headers={
                'Forwarded': 'for=10.1.0.%d' % number,
                'X-Forwarded-For': '10.0.0.%d, 192.0.2.7' % number})

        self.assertEqual(429, self.alarms('secret:1', headers={
            'X-Forwarded-For': '10.0.0.9, 192.0.2.7'}).status_code)
