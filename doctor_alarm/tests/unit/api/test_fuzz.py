# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in, the answer is one of the service, and never 500."""

import datetime
import json
import urllib.parse

import hypothesis
from hypothesis import strategies as st
import prometheus_client

from doctor_alarm.evaluator import engine
from doctor_alarm import event as event_mod
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests import matrix
from doctor_alarm.tests.unit.api import base

#: Names that mean something, so that what is built gets deep.
NAMES = st.sampled_from((
    'name', 'type', 'event_rule', 'composite_rule', 'or', 'event_type',
    'query', 'clear', 'timeout', 'after', 'field', 'op', 'value', 'state',
    'severity', 'enabled',
    'alarm_actions', 'time_constraints', 'start', 'duration', 'timezone',
    'project_id', 'delivery', 'max_age', 'latest_only',
    'user_id', 'description', 'state_timestamp', 'event', 'events', 'time',
    'details', 'hostname', 'tenant_id', 'filter', 'orderby', 'limit', '=',
    'and', 'in', 'not', '=~', 'detail', 'on_behalf_of')) | st.text(max_size=5)
SCALARS = (
    fuzzing.SCALARS | st.sampled_from(('event', 'eq', 'integer', 'alarm', 'http://a/',
                       '2026-11-20T10:00:00', '* * * * *', 'low')))
DOCS = fuzzing.docs(NAMES, SCALARS)
ALARMS = st.fixed_dictionaries(
    {'name': SCALARS, 'type': st.just('event'), 'event_rule': DOCS},
    optional=dict.fromkeys((
        'state', 'time_constraints', 'alarm_actions', 'description',
        'project_id', 'enabled', 'state_timestamp', 'delivery'), DOCS))
CONDITIONS = st.fixed_dictionaries(
    {'field': st.sampled_from((
        'traits.host', 'traits.state', 'traits.n', 'event_type', 'message_id',
        'generated', 'traits.')) | fuzzing.TEXTS,
     'value': SCALARS},
    optional={'op': st.sampled_from(('eq', 'ne', 'lt', 'le', 'gt', 'ge')),
              'type': st.sampled_from((
                  '', 'string', 'integer', 'float', 'boolean', 'datetime'))})
PATTERNS = {'event_type': st.sampled_from(('*', 'a', 'a.*', '[', '?', ''))
            | fuzzing.TEXTS, 'query': st.lists(CONDITIONS, max_size=3)}
RULES = st.fixed_dictionaries(
    {}, optional={
        **PATTERNS, 'scope': st.sampled_from(('project', 'cloud', None)),
        'clear': st.fixed_dictionaries({}, optional=PATTERNS) | st.none(),
        'timeout': st.integers(0, 9) | SCALARS,
        'after': st.fixed_dictionaries({}, optional=PATTERNS) | st.none()})
CONSTRAINTS = st.lists(st.fixed_dictionaries(
    {'name': st.sampled_from('ab') | fuzzing.TEXTS,
     'start': st.sampled_from((
         '* * * * *', '0 8 * * mon-fri', '*/5 * 31 2 *', '0 0 29 2 * 5',
         '@daily', '0 0 l * *', '61 * * * *')) | fuzzing.TEXTS,
     'duration': st.integers(-1, 10 ** 18) | st.sampled_from((
         '10', '', '1e3', '\u0661', 1.5))},
    optional={'timezone': st.sampled_from((
        '', 'Europe/Berlin', 'Mars/Base', '../../etc/passwd', None)),
        'description': fuzzing.TEXTS}), max_size=2)
GOOD_ALARMS = st.fixed_dictionaries(
    {'name': fuzzing.TEXTS, 'type': st.just('event'), 'event_rule': RULES},
    optional={
        'description': fuzzing.TEXTS, 'enabled': st.booleans(),
        'repeat_actions': st.booleans(),
        'severity': st.sampled_from(('low', 'moderate', 'critical')),
        'state': st.sampled_from(('ok', 'alarm', 'insufficient data')),
        'resource_id': fuzzing.TEXTS | st.none(),
        'time_constraints': CONSTRAINTS,
        'alarm_actions': st.lists(st.sampled_from((
            'http://r.example.org/%s?a=b#c', 'http://u:p@r.example.org:1/',
            'log://', 'https://[::2]/')) | fuzzing.TEXTS, max_size=3)})
LEAVES = st.fixed_dictionaries(
    {'type': st.just('alarm'), 'alarm_id': SCALARS}) | RULES.map(
        lambda rule: {'type': 'event', **rule}) | DOCS
#: Whose parts are good, so that many of them are taken.
GOOD_COMPOSITES = st.recursive(
    st.fixed_dictionaries({'type': st.just('event')}, optional=PATTERNS),
    lambda below: st.lists(below, min_size=1, max_size=3).flatmap(
        lambda many: st.sampled_from(('and', 'or')).map(
            lambda join: {join: many})), max_leaves=4)
COMPOSITES = st.recursive(LEAVES, lambda below: st.dictionaries(
    st.sampled_from(('and', 'or', 'not')),
    st.lists(below, max_size=3) | below, max_size=2), max_leaves=5)
COMPOSITE_ALARMS = st.fixed_dictionaries(
    {'name': st.just('x'), 'type': st.just('composite'),
     'composite_rule': COMPOSITES | GOOD_COMPOSITES},
    optional={'event_rule': DOCS, 'resource_id': SCALARS,
              'repeat_actions': st.booleans()})
EVENTS = st.fixed_dictionaries({'event': st.fixed_dictionaries(
    {'time': SCALARS, 'type': SCALARS}, optional={'details': DOCS})})
#: As receivers and buses have them.
WIRES = st.fixed_dictionaries({'event_type': SCALARS}, optional={
    'generated': SCALARS, 'message_id': SCALARS, 'project_id': SCALARS,
    'publisher_id': SCALARS, 'traits': DOCS | st.lists(st.tuples(
        NAMES, st.integers(0, 5), SCALARS).map(list), max_size=3)})
TRIALS = st.fixed_dictionaries(
    {'event_rule': RULES | DOCS,
     'event': EVENTS.map(lambda doc: doc['event']) | WIRES | DOCS},
    optional={'resource_id': SCALARS, 'time_constraints': CONSTRAINTS}
) | st.fixed_dictionaries(
    {'composite_rule': COMPOSITES | GOOD_COMPOSITES,
     'event': EVENTS.map(lambda doc: doc['event']) | WIRES | DOCS})
QUOTAS = st.fixed_dictionaries({'project_id': SCALARS, 'quotas': st.lists(
    st.fixed_dictionaries({'resource': st.just('alarms'), 'limit': SCALARS}),
    max_size=3)})
FILTERS = DOCS.map(lambda doc: {'filter': json.dumps(doc)})

PARAMETERS = st.lists(st.tuples(
    st.sampled_from(('q.field', 'q.op', 'q.value', 'sort', 'limit',
                     'marker')) | fuzzing.TEXTS,
    SCALARS | NAMES | st.sampled_from(('all_projects', 'name:asc'))),
    max_size=6)
LISTS = ('/v2/alarms', '%s/history', '%s/deliveries', '/v2/deliveries',
         '/v2/metrics', '/v2/quotas', '/v1/faults')
HEADERS = st.dictionaries(
    st.sampled_from(('If-Match', 'Content-Type', 'Accept', 'Content-Encoding',
                     'X-Roles', 'X-Project-Id', 'X-User-Id',
                     'X-Openstack-Request-Id')),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
    max_size=3)


def broken_rules():
    return prometheus_client.REGISTRY.get_sample_value(
        'doctor_alarm_broken_rules_total')


class FuzzTest(base.ApiTestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def setUp(self):
        super().setUp()
        self.path = '/v2/alarms/' + self.create(
            who=base.ADMIN)['alarm_id']

    def check(self, method, path, doc):
        answer = getattr(self.app, method + '_json')(
            path, doc, headers=base.ADMIN, expect_errors=True)
        return self.judge(answer, doc)

    def judge(self, answer, said):
        self.assertLess(answer.status_int, 500, said)
        if answer.status_int >= 400:
            self.assertIsInstance(answer.json['error_message'], dict)
        return answer

    @fuzzing.settings
    @hypothesis.given(DOCS | ALARMS)
    def test_post_alarm(self, doc):
        self.check('post', '/v2/alarms', doc)

    @fuzzing.settings
    @hypothesis.given(GOOD_ALARMS | COMPOSITE_ALARMS)
    def test_an_alarm_that_is_taken_is_evaluated(self, doc):
        answer = self.check('post', '/v2/alarms', doc)
        hypothesis.assume(answer.status_int == 201)
        path = '/v2/alarms/' + answer.json['alarm_id']
        self.assertEqual(answer.json, self.call('get', path, who=base.ADMIN))
        before = broken_rules()
        now = datetime.datetime.now(datetime.UTC)
        engine.Engine(self.db, lambda hint: None, 15).process([
            event_mod.build(event_mod.Parts(
                message_id=answer.json['alarm_id'] + kind, event_type=kind,
                generated=now, project_id=answer.json['project_id'],
                traits={'host': 'h', 'state': 'error', 'n': number}),
                received=now)
            for kind, number in (('a', 1), ('a.b', 2.5), ('0', 'x'))])
        self.assertEqual(before, broken_rules())
        for suffix in ('/history', '/deliveries'):
            self.call('get', path + suffix, who=base.ADMIN, status=200)
        self.app.delete(path, headers=base.ADMIN, status=204)

    @fuzzing.settings
    @hypothesis.given(DOCS | ALARMS | GOOD_ALARMS | COMPOSITE_ALARMS)
    def test_put_alarm(self, doc):
        self.check('put', self.path, doc)
        self.check('put', self.path + '/state', doc)

    @fuzzing.settings
    @hypothesis.given(DOCS | EVENTS | st.fixed_dictionaries(
        {'events': st.lists(EVENTS, max_size=3)}))
    def test_post_events(self, doc):
        self.events.accepted.clear()
        self.check('post', '/v1/events', doc)
        # The evaluator takes what was taken.
        for event in self.events.accepted:
            wire = json.dumps(event.to_wire())
            again = event_mod.Event.from_wire(
                json.loads(wire), clean=True,
                received=datetime.datetime.now(datetime.UTC))
            self.assertEqual(wire, json.dumps(again.to_wire()))

    @fuzzing.settings
    @hypothesis.given(DOCS | TRIALS)
    def test_trial(self, doc):
        answer = self.check('post', '/v2/alarms/test', doc)
        if answer.status_int == 200:
            self.assertIn(answer.json['verdict'], ('raise', 'clear', None))

    @fuzzing.settings
    @hypothesis.given(DOCS)
    def test_retry(self, doc):
        delivery = matrix.dead_delivery(
            self.db, self.create()['alarm_id'], 'p1')
        answer = self.check(
            'post', '/v2/deliveries/%s/retry' % delivery, doc)
        self.assertEqual(202, answer.status_int)

    @fuzzing.settings
    @hypothesis.given(DOCS | FILTERS)
    def test_query(self, doc):
        self.check('post', '/v2/query/alarms', doc)
        self.check('post', '/v2/query/alarms/history', doc)

    @fuzzing.settings
    @hypothesis.given(fuzzing.TEXTS | st.text(
        '.*+?|^$\\!%_[(a', max_size=30))
    def test_pattern(self, pattern):
        self.check('post', '/v2/query/alarms', {
            'filter': json.dumps({'=~': {'name': pattern}})})

    @fuzzing.settings
    @hypothesis.given(DOCS | QUOTAS)
    def test_post_quotas(self, doc):
        self.check('post', '/v2/quotas', doc)

    @fuzzing.settings
    @hypothesis.given(PARAMETERS)
    def test_list(self, params):
        for path in LISTS:
            self.judge(self.app.get(
                path.replace('%s', self.path),
                urllib.parse.urlencode(
                    [(name, str(value)) for name, value in params],
                    errors='surrogatepass'),
                headers=base.ADMIN, expect_errors=True), params)

    @fuzzing.settings
    @hypothesis.given(
        st.sampled_from((
            '/v2/alarms', '/v2/alarms/test', '/v1/events', '/events',
            '/v1/events/alertmanager', '/v2/quotas',
            '/v2/query/alarms', '/v2/query/alarms/history')),
        st.binary(max_size=40) | st.text(
            alphabet='{}[]",:\\u0dntrue1e9- ', max_size=40).map(str.encode),
        HEADERS)
    def test_any_bytes(self, path, data, headers):
        self.judge(self.app.request(
            path, method='POST', body=data, expect_errors=True,
            headers={**base.ADMIN, **headers}), (data, headers))

    @fuzzing.settings
    @hypothesis.given(st.text(max_size=30))
    def test_paths(self, text):
        for path in ('/%s', '/v2/alarms/%s', '/v2/alarms/%s/history',
                     '/v2/alarms/%s/deliveries', '/v2/deliveries/%s',
                     '/v2/quotas/%s', '/v1/faults/%s'):
            answer = self.app.get(
                path % urllib.parse.quote(
                    text.encode('utf-8', 'surrogatepass')),
                headers=base.ADMIN, expect_errors=True)
            self.assertLess(answer.status_int, 500, text)
