# SPDX-License-Identifier: Apache-2.0
"""Tokens of a real Keystone: whose they are, what they allow, their end."""

import datetime
import json

from aodhclient.v2 import client as aodh
from keystoneauth1.identity import v3
from keystoneauth1 import loading
from keystonemiddleware import opts as keystone_opts
import webtest

from doctor_alarm.api import app
from doctor_alarm.api import server
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.api import commands
from doctor_alarm.tests import matrix
from doctor_alarm.tests import realkeystone
from doctor_alarm.tests.realnova import configuration
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import base as api_base

PASSWORD = configuration.PASSWORD


class KeystoneTest(base.TestCase):
    """The tests share one Keystone."""

    DEFAULT_TIMEOUT = 600

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keystone = realkeystone.Keystone()
        cls.keystone.setUp()
        cls.addClassCleanup(cls.keystone.cleanUp)
        cls.roles = cls.keystone.roles()
        for name in ('monitor', 'unrelated'):
            cls.roles[name] = cls.keystone.create('role', name=name)
        cls.projects = {
            name: cls.keystone.create(
                'project', name=name, domain_id='default')
            for name in (matrix.OWN, matrix.OTHER, matrix.SERVICE)}
        cls.users = {
            caller: cls.user('a ' + caller, *found)
            for caller, found in matrix.CALLERS.items() if found}

    @classmethod
    def user(cls, name, project, role):
        user_id = cls.keystone.create(
            'user', name=name, password=PASSWORD, domain_id='default')
        cls.keystone.request('PUT', '/projects/%s/users/%s/roles/%s' % (
            cls.projects[project], user_id, cls.roles[role or 'unrelated']))
        return user_id

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage())
        self.conf, self.db = stored.conf, stored.db
        for group, opts in keystone_opts.list_auth_token_opts():
            self.conf.register_opts(opts, group=group)
        loading.register_auth_conf_options(self.conf, 'keystone_authtoken')
        self.conf.register_opts(loading.get_auth_plugin_conf_options(
            'password'), group='keystone_authtoken')
        for name, value in {
                **self.keystone.deployment.credentials('admin', 'admin'),
                'auth_type': 'password',
                'www_authenticate_uri': self.keystone.deployment.auth_url,
                'region_name': configuration.REGION,
                # What is remembered of a token outlives its revocation.
                'token_cache_time': -1}.items():
            self.conf.set_override(name, value, group='keystone_authtoken')
        self.build()

    def build(self):
        self.app = webtest.TestApp(
            app.build_app(self.conf, self.db, api_base.Events()))

    def session(self, caller):
        return self.keystone.session(
            username='a ' + caller, project_name=matrix.CALLERS[caller][0])

    def ask(self, token, method='GET', path='/v2/alarms', doc=None):
        send = getattr(self.app, method.lower() + (
            '' if doc is None else '_json'))
        return send(path, headers={'X-Auth-Token': token} if token else {},
                    expect_errors=True,
                    **({} if doc is None else {'params': doc}))

    def test_the_table_of_the_documents(self):
        # As deployed: every token is asked for once.
        self.conf.clear_override('token_cache_time', 'keystone_authtoken')
        self.build()
        own = self.projects[matrix.OWN]
        tokens = {caller: self.session(caller).get_token() if found else None
                  for caller, found in matrix.CALLERS.items()}

        def given():
            alarm_id = self.ask(tokens['admin'], 'POST', '/v2/alarms', {
                **matrix.ALARM, 'project_id': own}).json['alarm_id']
            return alarm_id, matrix.dead_delivery(self.db, alarm_id, own)

        def ask(caller, method, path, doc):
            return self.ask(tokens[caller], method, path, doc).status_int

        matrix.fault(self.db)
        self.assertEqual(matrix.read(), matrix.walk(ask, given, own))

    def assert_refused(self, answer):
        self.assertEqual(401, answer.status_int)
        self.assertEqual('Authentication required',
                         answer.json['error_message']['faultstring'])
        self.assertEqual(
            'Keystone uri="%s"' % self.keystone.deployment.auth_url,
            answer.headers['WWW-Authenticate'])

    def test_whose_it_is(self):
        token = self.session('member').get_token()

        made = self.ask(token, 'POST', '/v2/alarms', matrix.ALARM).json
        self.assertEqual(
            (self.projects[matrix.OWN], self.users['member']),
            (made['project_id'], made['user_id']))

    def test_revoked(self):
        session = self.session('member')
        token = session.get_token()
        self.assertEqual(200, self.ask(token).status_int)

        self.keystone.request('DELETE', '/auth/tokens', session=session,
                              headers={'X-Subject-Token': token})
        self.assert_refused(self.ask(token))

    def test_expired(self):
        # A token does not outlive the credential that it was made with.
        until = datetime.datetime.now(
            datetime.timezone.utc) + datetime.timedelta(seconds=15)
        made = self.keystone.request(
            'POST', '/users/%s/application_credentials'
            % self.users['member'], {'application_credential': {
                'name': 'brief', 'secret': PASSWORD, 'expires_at':
                    until.replace(tzinfo=None).isoformat()}},
            session=self.session('member'))['application_credential']
        session = self.keystone.session()
        session.auth = v3.ApplicationCredential(
            self.keystone.deployment.auth_url,
            application_credential_id=made['id'],
            application_credential_secret=PASSWORD)
        token = session.get_token()
        self.assertEqual(200, self.ask(token).status_int)

        self.wait_until(lambda: self.ask(token).status_int != 200)
        self.assertLessEqual(until, datetime.datetime.now(
            datetime.timezone.utc) + datetime.timedelta(seconds=1))
        self.assert_refused(self.ask(token))

    def test_of_a_user_who_was_disabled(self):
        user_id = self.user('leaver', matrix.OWN, 'member')
        token = self.keystone.session(
            username='leaver', project_name=matrix.OWN).get_token()
        self.assertEqual(200, self.ask(token).status_int)

        self.keystone.request('PATCH', '/users/' + user_id, {
            'user': {'enabled': False}})
        self.assert_refused(self.ask(token))

    def test_that_are_none(self):
        for token in ('nope', 'x' * 2000, 'gAAAAABh'):
            self.assert_refused(self.ask(token))
            self.assertEqual(200, self.ask(token, path='/').status_int)

    def test_without_a_project(self):
        scopes = [{'project_name': None, 'project_domain_id': None,
                   'unscoped': True},
                  {'project_name': None, 'project_domain_id': None,
                   'system_scope': 'all'}]
        for scope in scopes:
            token = self.keystone.session(**scope).get_token()
            for method, path, doc in [
                    ('GET', '/v2/alarms', None),
                    ('POST', '/v2/alarms', matrix.ALARM),
                    ('POST', '/v1/events', {'event': matrix.EVENT})]:
                answer = self.ask(token, method, path, doc)
                self.assertEqual(403, answer.status_int, scope)

    def given_an_endpoint(self):
        """Serve the API where the catalog says."""
        self.conf.set_override('host', '127.0.0.1', group='api')
        self.conf.set_override('port', 0, group='api')
        served = server.Server(self.conf, app.build_app(
            self.conf, self.db, api_base.Events()))
        served.start()
        self.addCleanup(served.stop)
        service = self.keystone.create(
            'service', type='alarming', name='doctor_alarm')
        self.addCleanup(
            self.keystone.request, 'DELETE', '/services/' + service)
        self.keystone.create(
            'endpoint', service_id=service, interface='public',
            region_id=configuration.REGION, url=served.url)

    def run_client(self, client, caller, command, *arguments, status=0):
        """Run a command as a user would; return what it says."""
        found, output, errors = client.run(
            *command.split(), *arguments, OS_AUTH_TYPE='password',
            OS_AUTH_URL=self.keystone.deployment.auth_url,
            OS_IDENTITY_API_VERSION='3', OS_USERNAME='a ' + caller,
            OS_PASSWORD=PASSWORD, OS_REGION_NAME=configuration.REGION,
            OS_PROJECT_NAME=matrix.CALLERS[caller][0],
            OS_USER_DOMAIN_ID='default', OS_PROJECT_DOMAIN_ID='default',
            no_proxy='*')
        self.assertEqual(status, found, errors)
        return output or errors

    def test_the_command_lines(self):
        self.given_an_endpoint()
        for program in commands.MODULES:
            client = self.useFixture(commands.Client(program))

            def ask(*args, client=client):
                return json.loads(self.run_client(
                    client, *args, '-f', 'json'))

            created = ask('member', 'alarm create', '--type', 'event',
                          '--name', 'vm1 down')
            self.assertEqual(self.projects[matrix.OWN], created['project_id'])
            alarm_id = created['alarm_id']
            for called in 'vm1 down', alarm_id:
                self.assertEqual(alarm_id, ask(
                    'reader', 'alarm show', called)['alarm_id'])
            self.assertEqual([], ask('other project', 'alarm list'))
            self.assertIn('not found', self.run_client(
                client, 'other project', 'alarm show', alarm_id, status=1))
            self.assertIn('RBAC Authorization Failed', self.run_client(
                client, 'reader', 'alarm delete', alarm_id, status=1))
            self.run_client(client, 'member', 'alarm delete', 'vm1 down')

    def test_the_library(self):
        self.given_an_endpoint()
        alarms = aodh.Client(session=self.session('member')).alarm

        created = alarms.create({
            'name': 'a', 'type': 'event', 'event_rule': {}})

        self.assertEqual(self.users['member'], created['user_id'])
        self.assertEqual([created], alarms.list())
        self.assertEqual([], aodh.Client(
            session=self.session('other project')).alarm.list())
