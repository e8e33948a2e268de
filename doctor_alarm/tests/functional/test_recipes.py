# SPDX-License-Identifier: Apache-2.0
"""Every recipe of the user guide, run as it is printed there."""

import json
import pathlib
import re
import ssl
import urllib.parse
import uuid

import fixtures

import doctor_alarm
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.api import test_basic_auth
from doctor_alarm.tests.functional import recipes
from doctor_alarm.tests.functional import shell
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import receiver
from doctor_alarm.tests.unit.notifier.plugins import test_http

PAGE = pathlib.Path(doctor_alarm.__file__).parents[1].joinpath(
    'doc', 'source', 'recipes.rst')
SETTING_UP = 'Before you start'

_CONFIG = """
ca_file = %(certificate)s
[api]
auth_mode = http_basic
http_basic_users = tenant:p1:member, root:admin:admin
[oslo_middleware]
http_basic_auth_user_file = %(passwords)s
"""
_CLOUDS = {
    'clouds': {name: {'auth_type': 'http_basic', 'auth': {
        'username': user, 'password': 'secret', 'endpoint': '%(url)s'}}
        for name, user in (('mine', 'tenant'), ('admin', 'root'))}}
#: base64 of name:secret
_AUTH = 'Authorization: Basic '
ONE, TWO = (str(uuid.uuid4()) for _ in range(2))
TENANT, ADMIN = _AUTH + 'dGVuYW50OnNlY3JldA==', _AUTH + 'cm9vdDpzZWNyZXQ='


class RecipesTest(base.TestCase):
    """One service for all of them."""

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        tls = self.certificate()
        self.vnfm = self.useFixture(receiver.Receiver(tls=tls))
        self.noc = self.useFixture(receiver.Receiver())
        self.service = self.useFixture(test_standalone.Standalone(
            _CONFIG % {'certificate': self.folder / 'cert.pem',
                       'passwords': self.passwords()}))
        self.service.start()
        self.wait_until(lambda: self.service.up, 180)
        clouds = self.folder / 'clouds.yaml'
        clouds.write_text(json.dumps(_CLOUDS) % {'url': self.service.url})
        self.shell = self.useFixture(shell.Shell(
            OS_CLIENT_CONFIG_FILE=str(clouds), OS_CLOUD='mine'))

    def certificate(self):
        files = [self.folder / name for name in ('cert.pem', 'key.pem')]
        test_http.write_certificate(*files)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
        return tls

    def passwords(self):
        path = self.folder / 'htpasswd'
        path.write_text(test_basic_auth.line('tenant', 'secret')
                        + test_basic_auth.line('root', 'secret'))
        return path

    def test_every_recipe(self):
        found = recipes.sections(PAGE.read_text())
        beginning = dict(found.pop(SETTING_UP))
        self.assertEqual({'Yours', 'Always'}, set(beginning))
        self.variables = {
            'ALARMING': self.service.url, 'AUTH': TENANT, 'ADMIN': ADMIN,
            'VNFM': self.vnfm.url.rstrip('/'),
            'NOC': self.noc.url.rstrip('/').replace(
                '//', '//doctor:NOC_PASS@')}
        self.assertEqual(
            {*self.variables, 'OS_CLOUD'},
            set(re.findall(r'(?m)^(?:export )?(\w+)=', beginning['Yours'])))
        self.hosts = {
            urllib.parse.urlsplit(self.variables[name]).netloc.rpartition(
                '@')[2]: urllib.parse.urlsplit(url).netloc.rpartition('@')[2]
            for name, url in re.findall(
                '(?m)^(VNFM|NOC)=(.*)$', beginning['Yours'])}
        self.assertGreater(len(found), 10)

        wrong = {}
        for heading, steps in found.items():
            if complaint := Recipe(self, beginning['Always'], steps).follow():
                wrong[heading] = complaint
        self.assertEqual({}, wrong)

    def as_admin(self, method, path):
        answer = self.service.api(method, path, headers=dict(
            [ADMIN.split(': ')]))
        self.assertTrue(answer.ok, answer.text)
        return answer.json() if answer.content else None


class ComparisonTest(base.TestCase):
    """What is not on the page is told."""

    def test_what_may_differ(self):
        for page, came in [
                ({'a': 1}, {'a': 1, 'b': 2}), ('x...z', 'xyz'),
                ('2026-11-20T11:01:49', '2027-01-01T00:00:00.123456'),
                ([{'id': ONE}, {'id': ONE}], [{'id': TWO}, {'id': TWO}])]:
            self.assertIsNone(recipes.Comparison().difference(page, came))

    def test_what_may_not(self):
        for page, came in [
                ({'a': 1}, {'b': 1}), ([1], [1, 2]), (None, 'x'), ('1', 1),
                ('x...z', 'xy'), ('2026-11-20T11:01:49', 'now'),
                ('alarm', 'ok'), (ONE, 'x'), ({'a': {'b': [1]}}, {'a': {}}),
                ([{'id': ONE}, {'id': ONE}], [{'id': ONE}, {'id': TWO}])]:
            self.assertIsNotNone(
                recipes.Comparison().difference(page, came), page)

    def test_a_block_that_is_not_understood(self):
        self.assertRaises(ValueError, recipes.sections,
                          'A\n===\n\n.. code-block:: perl\n\n    a: 1\n')


class Recipe:
    """A recipe at work."""

    def __init__(self, test, beginning, steps):
        self._test = test
        self._beginning = beginning
        self._steps = steps
        self._receivers = (test.vnfm, test.noc)
        self._comparison = recipes.Comparison()

    def follow(self):
        """Do all of it and clean up; return what is wrong, or None."""
        self._printed = None
        self._expected = []
        self._wrong = []
        for one in self._receivers:
            one.bodies.clear()
            one.headers.clear()
        self._test.shell.begin(**self._test.variables)
        try:
            self._test.shell.run(self._beginning)
            for kind, value in self._steps:
                getattr(self, '_do_' + kind)(value)
            self._compare_calls()
        except AssertionError as exc:
            self._wrong.append(str(exc))
        finally:
            self._clean_up()
        return '\n'.join(filter(None, self._wrong))

    def _do_run(self, script):
        self._await_calls()
        self._printed = self._test.shell.run(script)
        for here, page in self._test.hosts.items():
            self._printed = self._printed.replace(here, page)
        self._settle()

    def _settle(self):
        """Wait until nothing waits that a receiver would take."""
        if self._test.vnfm.status < 500:
            self._test.wait_until(lambda: not self._test.as_admin(
                'GET', '/v2/deliveries?status=pending&q.field=all_projects'
                '&q.value=true'), message='deliveries that wait')

    def _do_output(self, text):
        if self._printed.split() != text.split():
            self._wrong.append('printed: %s\nnot: %s' % (self._printed, text))

    def _do_answer(self, document):
        self._wrong.append(self._comparison.difference(
            document, json.loads(self._printed), 'answer'))

    def _do_receiver(self, status):
        away = self._test.vnfm
        if away.status >= 500:
            # What is under way by now began when all had happened.
            refused = away.refused
            self._test.wait_until(lambda: away.refused > refused + 1)
        for one in self._receivers:
            one.status = status
        self._settle()

    def _do_call(self, call):
        self._expected.append(call)

    def _await_calls(self):
        """Wait for what should have come by now: it may be time that calls."""
        self._test.wait_until(
            lambda: sum(len(one.bodies) for one in self._receivers) >= len(
                self._expected), message='calls of %s' % self._expected)

    def _compare_calls(self):
        """Each URL has an order of its own."""
        self._await_calls()
        came = {}
        for one in self._receivers:
            for headers, body in zip(one.headers, one.bodies, strict=True):
                came.setdefault(body['_path'], []).append((headers, body))
        expected = {}
        for call in self._expected:
            expected.setdefault(call.path, []).append(call)
        self._wrong.append(self._comparison.difference(
            {path: len(calls) for path, calls in expected.items()},
            {path: len(calls) for path, calls in came.items()}, 'calls'))
        for path in set(came) - set(expected):
            self._wrong.append('nobody expects %s: %s' % (path, came[path]))
        for path, calls in expected.items():
            for call, (headers, body) in zip(
                    calls, came.get(path, ()), strict=False):
                self._wrong += [
                    self._comparison.difference(
                        call.headers, headers, path + ' headers'),
                    self._comparison.difference(call.body, body, path)]

    def _clean_up(self):
        for one in self._receivers:
            one.status = 204
        for alarm in self._test.as_admin(
                'GET', '/v2/alarms?q.field=all_projects&q.value=true'):
            self._test.as_admin('DELETE', '/v2/alarms/' + alarm['alarm_id'])
