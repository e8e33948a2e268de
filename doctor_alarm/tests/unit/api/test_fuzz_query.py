# SPDX-License-Identifier: Apache-2.0
"""Lists and complex queries: whatever is asked, never a 500.

What is made up here is mostly what a client may say, so that it gets as far
as the database; what nobody says is in ``test_fuzz``.
"""

import json
import urllib.parse

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import change
from doctor_alarm.objects import delivery_list
from doctor_alarm.objects import fault_list
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests import matrix
from doctor_alarm.tests.unit.api import base

FIELDS = st.sampled_from(sorted(
    {*alarm_list.FIELDS, *change.FIELDS, *delivery_list.FIELDS,
     *fault_list.FIELDS}))
#: Values that some field takes, and some that none does.
VALUES = st.sampled_from((
    'ok', 'alarm', 'low', 'critical', 'event', 'creation', 'p1', 'p2', 'true',
    True, False, 0, 1, -1, 1.5, 'vm1 down', '2026-11-20T10:00:00',
    '2026-11-20T10:00:00+01:00', '^vm', 'vm.*$', 'a|b')) | fuzzing.SCALARS
COMPARISONS = st.one_of(
    st.builds(lambda op, field, value: {op: {field: value}},
              st.sampled_from(('=', '!=', '<', '>', '<=', '=<', '>=', '=>',
                               '=~', 'LIKE', '==')), FIELDS, VALUES),
    st.builds(lambda field, values: {'in': {field: values}},
              FIELDS, st.lists(VALUES, max_size=4)))
FILTERS = st.recursive(COMPARISONS, lambda below: st.one_of(
    st.builds(lambda op, parts: {op: parts},
              st.sampled_from(('and', 'or', 'AND')),
              st.lists(below, max_size=3)),
    st.builds(lambda part: {'not': part}, below)), max_leaves=10)
ORDERS = st.lists(st.dictionaries(
    FIELDS, st.sampled_from(('asc', 'desc', 'ASC', 'up')),
    min_size=1, max_size=1), max_size=3)
QUERIES = st.fixed_dictionaries({}, optional={
    'filter': FILTERS.map(json.dumps), 'orderby': ORDERS.map(json.dumps),
    'limit': st.integers(-1, 5) | st.none()})

CONDITIONS = st.lists(st.tuples(
    FIELDS | st.just('all_projects'),
    st.sampled_from(('eq', 'ne', 'lt', 'le', 'gt', 'ge')) | fuzzing.TEXTS,
    VALUES.map(str)), max_size=3)
PAGES = st.lists(st.one_of(
    st.tuples(st.just('sort'), st.builds(
        '%s%s'.__mod__, st.tuples(FIELDS, st.sampled_from((
            '', ':', ':asc', ':desc', ':DESC', ':up'))))),
    st.tuples(st.just('limit'), st.sampled_from((
        '1', '2', '0', '-1', '', '\u0661', '1e3', '9' * 30))),
    st.tuples(st.just('marker'), st.sampled_from((
        'first', 'delivery', matrix.FAULT, '', 'x')) | fuzzing.TEXTS),
    st.tuples(st.just('status'), st.sampled_from((
        'dead', 'pending', 'delivered', 'down', 'up', '')) | fuzzing.TEXTS),
    st.tuples(st.sampled_from(('all_projects', 'project_id')), VALUES.map(
        str))), max_size=4)
LISTS = st.sampled_from((
    '/v2/alarms', '/v2/alarms/%(alarm)s/history', '/v2/deliveries',
    '/v2/alarms/%(alarm)s/deliveries', '/v2/metrics', '/v2/quotas',
    '/v1/faults'))
CALLERS = st.sampled_from((base.ALICE, base.READER, base.ADMIN))


class FuzzQueryTest(base.ApiTestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def setUp(self):
        super().setUp()
        self.own = self.create()['alarm_id']
        self.create(name='vm2 down', severity='critical')
        self.create(who=base.BOB)
        self.delivery = matrix.dead_delivery(self.db, self.own, 'p1')
        matrix.fault(self.db)

    def judge(self, answer, who, said):
        """No error of the service, and nothing of another project."""
        self.assertLess(answer.status_int, 500, said)
        if answer.status_int >= 400:
            self.assertIsInstance(answer.json['error_message'], dict)
        elif who is not base.ADMIN:
            self.assertNotIn('bob', answer.text, said)
            self.assertNotIn('"p2"', answer.text, said)

    @fuzzing.settings
    @hypothesis.given(
        st.sampled_from(('', '/history')), CALLERS, QUERIES)
    def test_query(self, path, who, query):
        answer = self.app.post_json(
            '/v2/query/alarms' + path, query, headers=who,
            expect_errors=True)

        self.judge(answer, who, query)
        if answer.status_int == 200 and query.get('limit'):
            self.assertLessEqual(len(answer.json), query['limit'])

    @fuzzing.settings
    @hypothesis.given(CALLERS, FILTERS)
    def test_a_filter_and_its_opposite_find_each_alarm_once(
            self, who, expression):
        found = []
        for doc in (expression, {'not': expression}):
            answer = self.app.post_json(
                '/v2/query/alarms', {'filter': json.dumps(doc)}, headers=who,
                expect_errors=True)
            self.judge(answer, who, doc)
            hypothesis.assume(answer.status_int == 200)
            found += [alarm['alarm_id'] for alarm in answer.json]

        everything = self.call('post', '/v2/query/alarms', {}, who)
        self.assertEqual(
            sorted(alarm['alarm_id'] for alarm in everything), sorted(found))

    @fuzzing.settings
    @hypothesis.given(LISTS, CALLERS, CONDITIONS, PAGES, st.booleans())
    def test_list(self, path, who, conditions, pages, with_operators):
        params = [
            part for field, op, value in conditions for part in (
                ('q.field', field), ('q.op', op), ('q.value', value))
            if with_operators or part[0] != 'q.op']
        params += [
            (name, {'first': self.own, 'delivery': self.delivery}.get(
                value, value)) for name, value in pages]

        self.judge(self.app.get(
            path % {'alarm': self.own},
            urllib.parse.urlencode(params, errors='surrogatepass'),
            headers=who, expect_errors=True), who, params)
