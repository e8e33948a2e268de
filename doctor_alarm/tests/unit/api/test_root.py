# SPDX-License-Identifier: Apache-2.0

import io
import json
import logging
from unittest import mock

import fixtures
from oslo_db import exception as db_exc
import webob

from doctor_alarm.api import app
from doctor_alarm import exception
from doctor_alarm.objects import alarm
from doctor_alarm.tests.unit.api import base


class RootTest(base.ApiTestCase):

    def test_versions(self):
        version, = self.call('get', '/')['versions']['values']

        self.assertEqual(('v2', 'stable'), (version['id'], version['status']))
        self.assertEqual('http://localhost/v2', version['links'][0]['href'])
        self.assertIn('updated', version)
        self.assertIn('media-types', version)

    def test_health(self):
        answer = self.app.get('/healthcheck')

        self.assertEqual((200, 'OK'), (answer.status_int, answer.text))

    def test_metrics(self):
        self.call('get', '/')

        answer = self.app.get('/metrics', headers=base.NO_ROLE)

        self.assertIn('doctor_alarm_api_requests_total'
                      '{method="GET",status="200"}', answer.text)

    def test_capabilities(self):
        for path in ('/v2/capabilities', '/v2/capabilities/'):
            self.assertTrue(self.call(
                'get', path)['api']['alarms:query:simple'])

    def test_unknown_paths(self):
        for path in ('/nope', '/v2', '/v2/nope', '/v2/alarms/a/nope',
                     '/v2/alarms/a/state/b', '/v1', '/get', '/v2/child',
                     '/v2/alarms/a/get', '/_route', '/v2/query'):
            self.assertIn('Unknown path', self.fault(404, 'get', path))

    def test_wrong_methods(self):
        for method, path, allow in [
                ('delete', '/v2/alarms', 'GET, HEAD, POST'),
                ('post', '/v2/alarms/a', 'GET, HEAD, PUT, DELETE'),
                ('delete', '/v2/alarms/a/state', 'GET, HEAD, PUT'),
                ('get', '/v2/query/alarms', 'POST'),
                ('get', '/v1/events', 'POST, PUT'), ('put', '/', 'GET, HEAD')]:
            self.fault(405, method, path, {} if method != 'get'
                       else self.NOTHING)
            self.assertEqual(allow, self.answer.headers['Allow'])

    def test_a_method_in_the_query_is_no_method(self):
        alarm_id = self.create()['alarm_id']

        self.app.post_json('/v2/alarms/%s?_method=delete' % alarm_id, {},
                           headers=base.ALICE, status=405)
        self.call('get', '/v2/alarms/' + alarm_id)

    def test_errors_are_json_whatever_is_accepted(self):
        for accept in ('text/html', 'image/png', ''):
            answer = self.app.get(
                '/v2/alarms/a', status=404,
                headers=dict(base.ALICE, Accept=accept))
            self.assertEqual('application/json', answer.content_type)
            self.assertIsInstance(answer.json['error_message'], dict)

    def test_urls_that_are_none(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        for url, part in (('/v2/alarms?q.value=%ff', 'query'),
                          ('/v2/alarms?limit=1&%ed%a0%80=1', 'query'),
                          ('/v2/alarms/%ff', 'path')):
            self.assertEqual(
                'The %s of the URL is not UTF-8' % part,
                self.fault(400, 'get', url))
        self.fault(404, 'get', '/v2/alarms/%25ff%C3%BC')
        self.assertEqual('', log.output)

    def test_bodies_that_are_none(self):
        for body, words in [
                (b'', 'JSON'), (b'{', 'JSON'), (b'\xff', 'UTF-8'),
                (b'[' * 100000, 'deep'),
                (b'{"a": ' * 60 + b'1' + b'}' * 60, 'deep'),
                (b'{"name": NaN}', 'NaN'),
                (b'{"name": ' + b'9' * 5000 + b'}', 'JSON'),
                (rb'{"name": "a\u0000b"}', 'NUL'),
                (rb'{"a\u0000": 1}', 'NUL'),
                (rb'{"name": "\ud800"}', 'Unicode'),
                (b'[]', 'object'), (b'"x"', 'object'), (b'null', 'object')]:
            answer = self.app.post(
                '/v2/alarms', body, headers=base.ALICE, status=400,
                content_type='application/json')
            self.assertIn(
                words, answer.json['error_message']['faultstring'], body[:20])

    def post_as(self, path, doc, kind):
        return webob.Request.blank(
            path, method='POST', headers=base.ALICE,
            body=json.dumps(doc).encode(), content_type=kind,
        ).get_response(self.app.app)

    def test_bodies_that_say_they_are_json(self):
        for kind in (None, '', 'application/json',
                     'Application/JSON; charset=utf-8',
                     'application/vnd.openstack+json'):
            answer = self.post_as('/v2/alarms', self.alarm(), kind)
            self.assertEqual(201, answer.status_int, kind)

    def test_bodies_that_say_they_are_something_else(self):
        event = {'event': {'time': '2026-11-20', 'type': 'a'}}
        for kind in ('text/plain', 'application/x-www-form-urlencoded',
                     'multipart/form-data; boundary=x', 'application/jsonx',
                     'json', 'text/plain; a=+json'):
            for path, doc in [('/v2/alarms', self.alarm()),
                              ('/v2/query/alarms', {}),
                              ('/v1/events', event)]:
                answer = self.post_as(path, doc, kind)
                self.assertEqual(415, answer.status_int, (kind, path))
                self.assertIn('application/json', answer.json_body[
                    'error_message']['faultstring'])
        self.assertEqual([], self.call('get', '/v2/alarms'))
        self.assertEqual([], self.events.accepted)

    def test_numbers_that_no_number_holds(self):
        for text in ('1e999', '-1e999', 'Infinity'):
            answer = self.app.post(
                '/v1/events', '{"event": {"time": "2026-11-20", "type": "a", '
                '"details": {"x": %s}}}' % text, headers=base.ALICE,
                content_type='application/json', status=400)
            self.assertIn(text, answer.json['error_message']['faultstring'])

    def test_ids_that_are_none(self):
        for name in ('X-User-Id', 'X-Project-Id'):
            for value in ('x' * 129, 'a\x01b', 'a\x7f'):
                self.assertIn('id of a user or a project', self.fault(
                    401, 'get', '/v2/alarms',
                    who=dict(base.ALICE, **{name: value})))
            self.call('get', '/v2/alarms',
                      who=dict(base.ALICE, **{name: 'x' * 128}))

    def test_large_bodies(self):
        self.conf.set_override('max_body_size', 2000, group='api')
        limited = base.webtest.TestApp(
            app.build_app(self.conf, self.db, self.events))
        answer = limited.post('/v2/alarms', b'x' * 2001, headers=base.ALICE,
                              status=413)
        self.assertIn('2000 bytes',
                      answer.json['error_message']['faultstring'])
        limited.post_json('/v2/alarms', self.alarm(), headers=base.ALICE)

    def test_large_bodies_in_chunks(self):
        # As WSGI servers hand them over: without a length, to their end.
        self.conf.set_override('max_body_size', 2000, group='api')
        limited = app.build_app(self.conf, self.db, self.events)
        for size, status in [(2001, 413), (10 ** 7, 413), (2000, 400)]:
            request = webob.Request.blank(
                '/v2/alarms', method='POST', headers=base.ALICE)
            request.environ.update({
                'wsgi.input': io.BytesIO(b'x' * size),
                'wsgi.input_terminated': True})
            request.environ.pop('CONTENT_LENGTH', None)
            answer = request.get_response(limited)
            self.assertEqual(status, answer.status_int, size)

    def test_an_error_of_ours_tells_nothing(self):
        with mock.patch.object(alarm, 'get', side_effect=KeyError('secret')):
            self.assertEqual('An internal error occurred', self.fault(
                500, 'get', '/v2/alarms/a'))
        self.assertNotIn('secret', self.answer.text)

    def test_a_database_that_is_away(self):
        with mock.patch.object(
                alarm, 'get', side_effect=db_exc.DBConnectionError()):
            self.assertIn('database', self.fault(503, 'get', '/v2/alarms/a'))
        self.assertEqual('5', self.answer.headers['Retry-After'])

    def test_request_id(self):
        self.call('get', '/')

        self.assertIn('req-', self.answer.headers['x-openstack-request-id'])

    def test_behind_a_proxy(self):
        self.conf.set_override('enable_proxy_headers_parsing', True,
                               group='oslo_middleware')
        answer = self.app.post_json(
            '/v2/alarms', self.alarm(), headers=dict(
                base.ALICE, **{'X-Forwarded-Proto': 'https',
                               'X-Forwarded-Host': 'alarms.example',
                               'X-Forwarded-Prefix': '/alarming'}))

        self.assertIn('https://alarms.example/alarming/v2/alarms/',
                      answer.location)


class KeystoneTest(base.KeystoneTestCase):

    def test_headers_of_a_client_prove_nothing(self):
        for headers in ({}, base.ADMIN, dict(
                base.ADMIN, **{'X-Identity-Status': 'Confirmed'})):
            self.assertEqual('Authentication required', self.fault(
                401, 'get', '/v2/alarms', who=headers))
            self.assertEqual("Keystone uri=\"http://keystone/\"",
                             self.answer.headers['WWW-Authenticate'])
            self.fault(401, 'post', '/v1/events', {}, who=headers)

    def test_a_token_does(self):
        self.create(dict(base.ADMIN, **self.token_of(base.ALICE)))

        found, = self.call('get', '/v2/alarms', who=self.token_of(
            base.READER))
        self.assertEqual(('p1', 'alice'),
                         (found['project_id'], found['user_id']))
        self.assertEqual([], self.call('get', '/v2/alarms',
                                       who=self.token_of(base.BOB)))
        self.fault(403, 'get', '/v2/alarms',
                   who=self.token_of(base.NO_ROLE))
        self.fault(401, 'get', '/v2/alarms', who={'X-Auth-Token': 'nope'})

    def test_what_needs_no_token(self):
        for path in ('/', '/healthcheck', '/metrics'):
            self.app.get(path)
        self.fault(404, 'get', '/nope')


class MisconfiguredTest(base.ApiTestCase):

    def test_keystone_without_a_user(self):
        self.conf.set_override('auth_mode', 'keystone', group='api')

        error = self.assertRaises(
            exception.ConfigurationError, app.build_app, self.conf, self.db,
            self.events)

        self.assertIn('[keystone_authtoken]: auth_type', str(error))
