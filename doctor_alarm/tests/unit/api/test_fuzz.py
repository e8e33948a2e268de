# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in, the answer is one of the service, and never 500."""

import json
import urllib.parse

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.tests.unit.api import base

#: Names that mean something, so that what is built gets deep.
NAMES = st.sampled_from((
    'name', 'type', 'event_rule', 'event_type', 'query', 'clear', 'field',
    'op', 'value', 'state', 'severity', 'enabled', 'alarm_actions',
    'time_constraints', 'start', 'duration', 'timezone', 'project_id',
    'user_id', 'description', 'state_timestamp', 'event', 'events', 'time',
    'details', 'hostname', 'tenant_id', 'filter', 'orderby', 'limit', '=',
    'and', 'in', 'not', '=~', 'detail', 'on_behalf_of')) | st.text(max_size=5)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(('event', 'eq', 'integer', 'alarm', 'http://a/',
                       '2026-11-20T10:00:00', '* * * * *', 'low')))
DOCS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        NAMES, inner, max_size=5), max_leaves=20)
ALARMS = st.fixed_dictionaries(
    {'name': SCALARS, 'type': st.just('event'), 'event_rule': DOCS},
    optional=dict.fromkeys((
        'state', 'time_constraints', 'alarm_actions', 'description',
        'project_id', 'enabled', 'state_timestamp'), DOCS))
EVENTS = st.fixed_dictionaries({'event': st.fixed_dictionaries(
    {'time': SCALARS, 'type': SCALARS}, optional={'details': DOCS})})
FILTERS = DOCS.map(lambda doc: {'filter': json.dumps(doc)})

settings = hypothesis.settings(
    deadline=None, max_examples=150,
    suppress_health_check=list(hypothesis.HealthCheck))


class FuzzTest(base.ApiTestCase):

    def check(self, method, path, doc):
        answer = getattr(self.app, method + '_json')(
            path, doc, headers=base.ADMIN, expect_errors=True)
        self.assertLess(answer.status_int, 500, doc)
        if answer.status_int >= 400:
            self.assertIsInstance(answer.json['error_message'], dict)

    @settings
    @hypothesis.given(DOCS | ALARMS)
    def test_post_alarm(self, doc):
        self.check('post', '/v2/alarms', doc)

    @settings
    @hypothesis.given(DOCS | ALARMS)
    def test_put_alarm(self, doc):
        if not hasattr(self, 'path'):
            self.path = '/v2/alarms/' + self.create()['alarm_id']
        self.check('put', self.path, doc)
        self.check('put', self.path + '/state', doc)

    @settings
    @hypothesis.given(DOCS | EVENTS)
    def test_post_events(self, doc):
        self.check('post', '/v1/events', doc)

    @settings
    @hypothesis.given(DOCS | FILTERS)
    def test_query(self, doc):
        self.check('post', '/v2/query/alarms', doc)
        self.check('post', '/v2/query/alarms/history', doc)

    @settings
    @hypothesis.given(st.text(max_size=30) | st.text('.*+?|^$\\\\!%_[(a',
                                                     max_size=30))
    def test_pattern(self, pattern):
        self.check('post', '/v2/query/alarms', {
            'filter': json.dumps({'=~': {'name': pattern}})})

    @settings
    @hypothesis.given(st.lists(st.tuples(
        st.sampled_from(('q.field', 'q.op', 'q.value', 'sort', 'limit',
                         'marker')),
        SCALARS | NAMES | st.sampled_from(('all_projects', 'name:asc'))),
        max_size=6))
    def test_list(self, params):
        answer = self.app.get(
            '/v2/alarms', [(name, str(value)) for name, value in params],
            headers=base.ADMIN, expect_errors=True)
        self.assertLess(answer.status_int, 500, params)

    @settings
    @hypothesis.given(st.text(max_size=30))
    def test_paths(self, text):
        for path in ('/%s', '/v2/alarms/%s', '/v2/alarms/%s/history',
                     '/v2/alarms/%s/deliveries'):
            answer = self.app.get(
                path % urllib.parse.quote(
                    text.encode('utf-8', 'surrogatepass')),
                headers=base.ADMIN, expect_errors=True)
            self.assertLess(answer.status_int, 500, text)
