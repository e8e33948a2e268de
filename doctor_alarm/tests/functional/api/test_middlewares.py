# SPDX-License-Identifier: Apache-2.0
"""What every OpenStack service has around it: CORS, request ids, proxies."""

import uuid

import fixtures
from oslo_middleware import cors
from oslo_middleware import http_proxy_to_wsgi

from doctor_alarm.tests.functional.api import served
from doctor_alarm.tests.unit.api import base as api_base

ORIGIN = 'https://horizon.example.com'
PREFLIGHT = {'Origin': ORIGIN, 'Access-Control-Request-Method': 'PUT',
             'Access-Control-Request-Headers': 'x-auth-token,if-match'}


class NoCorsTest(served.ServedTestCase):

    def test_nobody_is_allowed_until_configured(self):
        answer = self.request('options', '/v2/alarms', headers=PREFLIGHT)
        self.assertEqual(405, answer.status_code)
        shared = self.request('get', '/v2/alarms', headers={
            **api_base.ALICE, 'Origin': ORIGIN})
        for found in (answer, shared):
            self.assertEqual([], [name for name in found.headers
                                  if name.startswith('Access-Control')])


class CorsTest(served.ServedTestCase):

    def prepare(self):
        self.conf.register_opts(cors.OPTS, group='cors')
        self.conf.set_override('allowed_origin', [ORIGIN], group='cors')

    def test_a_browser_asks_first(self):
        # It does so without a token.
        answer = self.request('options', '/v2/alarms/a', headers=PREFLIGHT)

        self.assertEqual(200, answer.status_code)
        self.assertEqual(
            (ORIGIN, 'PUT', 'x-auth-token,if-match'), tuple(
                answer.headers['Access-Control-Allow-' + name]
                for name in ('Origin', 'Methods', 'Headers')))

    def test_other_origins_and_methods(self):
        for changed in ({'Origin': 'https://evil.example.com'},
                        {'Access-Control-Request-Method': 'PATCH'},
                        {'Access-Control-Request-Headers': 'x-roles'}):
            answer = self.request('options', '/v2/alarms',
                                  headers={**PREFLIGHT, **changed})
            self.assertNotIn('Access-Control-Allow-Origin', answer.headers)

    def test_answers_and_errors_are_shared(self):
        for path, status in [('/v2/alarms', 200), ('/v2/alarms/x', 404)]:
            answer = self.request('get', path, headers={
                **api_base.ALICE, 'Origin': ORIGIN})
            self.assertEqual(status, answer.status_code)
            self.assertEqual(
                ORIGIN, answer.headers['Access-Control-Allow-Origin'])
            self.assertIn('ETag', answer.headers[
                'Access-Control-Expose-Headers'])
        # ... but not with others.
        answer = self.request('get', '/v2/alarms', headers={
            **api_base.ALICE, 'Origin': 'https://evil.example.com'})
        self.assertNotIn('Access-Control-Allow-Origin', answer.headers)


class RequestIdTest(served.ServedTestCase):

    def ask(self, **headers):
        return self.request('get', '/v2/alarms', headers={
            **api_base.ALICE, **headers}).headers['X-Openstack-Request-Id']

    def test_each_has_its_own(self):
        given = 'req-%s' % uuid.uuid4()
        ids = {self.ask(), self.ask(),
               self.ask(**{'X-Openstack-Request-Id': given})}

        self.assertEqual(3, len(ids))
        self.assertNotIn(given, ids)
        for found in ids:
            self.assertRegex(found, '^req-[0-9a-f-]{36}$')
        self.assertIn('X-Openstack-Request-Id',
                      self.request('get', '/nope').headers)

    def test_that_of_the_caller_is_kept_beside_it(self):
        seen = []
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.api.controllers.base.caller_of', self.spy(seen)))
        given = 'req-%s' % uuid.uuid4()

        own = self.ask(**{'X-Openstack-Request-Id': given})
        self.assertEqual({(own, given)}, set(seen))

        seen.clear()
        own = self.ask(**{'X-Openstack-Request-Id': 'req-1\x0b; rm'})
        self.assertEqual({(own, None)}, set(seen))

    @staticmethod
    def spy(seen):
        def caller_of(request):
            caller = request.context['caller']
            seen.append((caller.request_id, caller.global_request_id))
            return caller
        return caller_of


class ProxyTest(served.ServedTestCase):

    HEADERS = {**api_base.ALICE, 'X-Forwarded-Proto': 'https',
               'X-Forwarded-Host': 'alarms.example',
               'X-Forwarded-Prefix': '/alarming'}

    def prepare(self):
        self.conf.register_opts(
            http_proxy_to_wsgi.OPTS, group='oslo_middleware')
        self.conf.set_override('enable_proxy_headers_parsing', True,
                               group='oslo_middleware')

    def test_links_lead_through_it(self):
        for name in ('a', 'b'):
            made = self.request('post', '/v2/alarms', headers=self.HEADERS,
                                json=api_base.ApiTestCase.alarm(name=name))
            self.assertTrue(made.headers['Location'].startswith(
                'https://alarms.example/alarming/v2/alarms/'))
        versions = self.request('get', '/', headers=self.HEADERS).json()
        page = self.request('get', '/v2/alarms?limit=1', headers=self.HEADERS)

        self.assertEqual(
            'https://alarms.example/alarming/v2',
            versions['versions']['values'][0]['links'][0]['href'])
        self.assertIn('https://alarms.example/alarming/v2/alarms?',
                      page.headers['Link'])


class NoProxyTest(served.ServedTestCase):

    def test_nobody_is_believed_to_be_one(self):
        answer = self.request('get', '/', headers=ProxyTest.HEADERS)

        self.assertEqual(self.url + '/v2', answer.json()[
            'versions']['values'][0]['links'][0]['href'])
