# SPDX-License-Identifier: Apache-2.0

import collections
import uuid

import fixtures
from keystoneauth1 import loading
from keystonemiddleware import fixture
from keystonemiddleware import opts as keystone_opts
import webtest

from doctor_alarm.api import app
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests import storage

ADMIN = {'X-User-Id': 'root', 'X-Project-Id': 'admin', 'X-Roles': 'admin'}
ALICE = {'X-User-Id': 'alice', 'X-Project-Id': 'p1', 'X-Roles': 'member'}
BOB = {'X-User-Id': 'bob', 'X-Project-Id': 'p2', 'X-Roles': 'member'}
READER = {'X-User-Id': 'rita', 'X-Project-Id': 'p1', 'X-Roles': 'reader'}
MONITOR = {'X-User-Id': 'zabbix', 'X-Project-Id': 'service',
           'X-Roles': 'monitor'}
NO_ROLE = {'X-User-Id': 'eve', 'X-Project-Id': 'p1', 'X-Roles': ''}

RULE = {'event_type': 'compute.instance.update', 'query': [
    {'field': 'traits.instance_id', 'op': 'eq', 'value': 'vm1',
     'type': 'string'}]}


class Events:
    """Takes events; ``broken``: as if the broker were away."""

    def __init__(self):
        self.accepted = []
        self.broken = False

    def accept(self, events):
        if self.broken:
            raise exception.PublishFailed(topic='t', reason='away')
        self.accepted.extend(events)


class ApiTestCase(base.TestCase):
    """The application on SQLite, without authentication."""

    auth_mode = 'noauth'
    #: host -> addresses of it
    addresses = collections.defaultdict(set)
    NOTHING = object()

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage(self.url()))
        self.conf, self.db = stored.conf, stored.db
        self.conf.set_override('auth_mode', self.auth_mode, group='api')
        # Tests post the same event as often as they like.
        self.conf.set_override('repetition_interval', 0.0, group='event')
        # No name server is asked about the receivers of examples.
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.guard._addresses', lambda names: {
                name: self.addresses[name] for name in names}))
        self.prepare()
        self.events = Events()
        self.app = webtest.TestApp(
            app.build_app(self.conf, self.db, self.events))

    def url(self):
        """Return the URL of the database; None: SQLite."""

    def prepare(self):
        """Change the configuration before the application is built."""

    def call(self, method, path, doc=NOTHING, who=ALICE, status=None):
        """Send a request; return the document of the answer."""
        send = (self.app.get if method == 'get'
                else getattr(self.app, method + '_json'))
        extra = {} if doc is self.NOTHING else {'params': doc}
        self.answer = send(path, headers=dict(who), status=status, **extra)
        return self.answer.json if self.answer.body else None

    def fault(self, status, method, path, doc=NOTHING, who=ALICE):
        """Send a request that is refused; return the sentence."""
        found = self.call(method, path, doc, who, status)
        self.assertEqual({'error_message'}, set(found))
        self.assertEqual({'faultcode', 'faultstring', 'debuginfo'},
                         set(found['error_message']))
        return found['error_message']['faultstring']

    def create(self, who=ALICE, **values):
        return self.call('post', '/v2/alarms', self.alarm(**values), who)

    @staticmethod
    def alarm(**values):
        return {'name': 'vm1 down', 'type': 'event', 'event_rule': RULE,
                **values}


class KeystoneTestCase(ApiTestCase):
    """The application behind keystonemiddleware; Keystone is a stand-in."""

    auth_mode = 'keystone'

    def prepare(self):
        for group, opts in keystone_opts.list_auth_token_opts():
            self.conf.register_opts(opts, group=group)
        loading.register_auth_conf_options(self.conf, 'keystone_authtoken')
        self.conf.register_opts(loading.get_auth_plugin_conf_options(
            'password'), group='keystone_authtoken')
        for name, value in {'auth_type': 'password',
                            'auth_url': 'http://keystone/',
                            'www_authenticate_uri': 'http://keystone/'
                            }.items():
            self.conf.set_override(name, value, group='keystone_authtoken')
        self.tokens = self.useFixture(fixture.AuthTokenFixture())

    def token_of(self, who):
        token = uuid.uuid4().hex
        self.tokens.add_token_data(
            token_id=token, user_id=who['X-User-Id'],
            project_id=who['X-Project-Id'],
            role_list=who['X-Roles'].split(',') if who['X-Roles'] else [])
        return {'X-Auth-Token': token}
