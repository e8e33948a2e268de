# SPDX-License-Identifier: Apache-2.0

import json

import sqlalchemy as sa

from doctor_alarm.api import alarm_export
from doctor_alarm.api import alarm_import
from doctor_alarm import composite
from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import change
from doctor_alarm.objects import orphan
from doctor_alarm.tests.unit.api import base

LEAF = {'type': 'event', 'event_type': 'fault', 'query': [
    {'field': 'traits.vm', 'op': 'eq', 'value': 'a', 'type': ''}]}
BOTH = {'and': [LEAF, {**LEAF, 'event_type': 'other'}]}


class CompositeTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.engine = engine.Engine(self.db, lambda hint: None, lease=15)
        self.events.accept = self.engine.process

    def alarm(self, rule=BOTH, **values):
        return {'name': 'both', 'type': 'composite', 'composite_rule': rule,
                **values}

    def add(self, rule=BOTH, who=base.ALICE, **values):
        return self.call('post', '/v2/alarms', self.alarm(rule, **values),
                         who, 201)

    def happens(self, kind, vm='a'):
        self.call('post', '/v1/events', {'event': {
            'time': '2036-01-01T00:00:00', 'type': kind,
            'details': {'vm': vm}}}, status=202)

    def test_it_is_shown_as_it_was_given(self):
        created = self.add()

        self.assertEqual(BOTH, created['composite_rule'])
        self.assertEqual(
            ('composite', 'composite alarm rule', None, []), tuple(
                created[name] for name in (
                    'type', 'description', 'resource_id',
                    'time_constraints')))
        path = '/v2/alarms/' + created['alarm_id']
        self.assertEqual(created, self.call('get', path))
        self.assertEqual([created], self.call(
            'get', '/v2/alarms?q.field=type&q.value=composite'))
        self.assertEqual([created], self.call(
            'post', '/v2/query/alarms', {
                'filter': json.dumps({'!=': {'type': 'event'}})}))
        changed = self.call('put', path, {**created, 'name': 'new'})
        self.assertEqual((BOTH, 'new'), (
            changed['composite_rule'], changed['name']))

    def test_defaults_of_a_leaf_are_those_of_a_rule(self):
        created = self.add({'or': [{'type': 'event', 'query': [
            {'field': 'n', 'value': 1}]}]})
        self.assertEqual({'or': [
            {'type': 'event', 'event_type': '*', 'query': [
                {'field': 'n', 'op': 'eq', 'value': '1', 'type': ''}]}]},
            created['composite_rule'])

    def test_a_leaf_is_an_event_rule(self):
        rule = {'or': [
            {**LEAF, 'clear': {'event_type': 'back', 'query': []}},
            {**LEAF, 'timeout': 60, 'after': {
                'event_type': 'start', 'query': []}},
            {**LEAF, 'resource_id': 'a'}]}
        self.assertEqual(rule, self.add(rule)['composite_rule'])

    def test_the_life_of_one(self):
        path = '/v2/alarms/' + self.add(
            alarm_actions=['http://h.example/'])['alarm_id']
        self.happens('fault')
        self.assertEqual('ok', self.call('get', path)['state'])
        self.happens('other')
        shown = self.call('get', path)
        self.assertEqual('alarm', shown['state'])
        self.assertIn('(rule1 and rule2) transition to alarm, due to rules: '
                      'rule1, rule2', shown['state_reason'])
        self.assertEqual(
            ['state transition', 'state transition', 'creation'],
            [one['type'] for one in self.call('get', path + '/history')])
        self.assertEqual(3, len(self.call(
            'post', '/v2/query/alarms/history', {}, base.ADMIN)))
        self.assertEqual(1, len(self.call('get', path + '/deliveries')))
        self.assertEqual({path.rpartition('/')[2]}, {
            one['alarm_id'] for one in self.call(
                'get', '/v2/metrics')['evaluation_results']})
        self.call('put', path + '/state', 'ok')
        self.happens('fault')
        self.assertEqual('ok', self.call('get', path)['state'])
        self.call('delete', path, status=204)
        with self.db.reader() as conn:
            self.assertEqual([], conn.execute(sa.select(
                models.alarm.c.id)).all())

    def test_leaves_are_no_alarms(self):
        self.add()
        with self.db.reader() as conn:
            ids = conn.execute(sa.select(models.alarm.c.id).where(
                models.alarm.c.type == 'leaf')).scalars().all()
        self.assertEqual(2, len(ids))
        for path in ('', '/state', '/history', '/deliveries'):
            answer = self.app.get('/v2/alarms/%s%s' % (ids[0], path),
                                  headers=base.ADMIN, expect_errors=True)
            self.assertTrue(answer.status_int == 404 or answer.json == [],
                            path)
        self.fault(404, 'delete', '/v2/alarms/' + ids[0])
        self.fault(400, 'get', '/v2/alarms?marker=' + ids[0])
        self.assertEqual({'p1': 1}, orphan.projects(self.db))
        self.assertEqual(1, len(list(alarm_export.lines(self.db))))
        self.assertEqual([], self.call(
            'get', '/v2/alarms?q.field=type&q.value=leaf'))
        self.assertEqual(1, orphan.purge(self.db, 'p1'))

    def test_it_counts_as_one(self):
        self.conf.set_override('project_alarm_quota', 2, group='api')
        self.add()
        self.add()
        self.fault(403, 'post', '/v2/alarms', self.alarm())

    def test_what_is_wrong_has_a_sentence(self):
        deep = LEAF
        for _ in range(composite.MAX_DEPTH + 1):
            deep = {'or': [deep]}
        query = [{'field': 'f', 'value': 'x' * 1000}] * 70
        for rule, words in [
                (LEAF, 'Value must be an object with "and" or "or"'),
                ({}, 'Value must be an object with "and" or "or"'),
                ({'and': []}, "composite_rule.and. Value: '[]'. Value must"),
                ({'and': LEAF}, 'Value must be a list of at least one rule'),
                ({'and': [1]}, 'composite_rule.and[0]'),
                ({'and': [LEAF], 'or': [LEAF]}, 'composite_rule. Value'),
                ({'not': [LEAF]}, 'Value must be an object with "and" or'),
                ({'and': [{'event_type': 'x'}]},
                 'composite_rule.and[0].type. Value: \'None\'. Mandatory'),
                ({'or': [LEAF, {'and': [{'type': 'nope'}]}]},
                 'composite_rule.or[1].and[0].type'),
                ({'or': [{'type': ['x']}]}, 'one of: event, alarm'),
                ({'or': [{'type': 'prometheus', 'query': 'up'}]},
                 'belong to Aodh'),
                ({'or': [{**LEAF, 'foo': 1}]}, 'composite_rule.or[0].foo'),
                ({'or': [{**LEAF, 'query': [{'field': 'a', 'value': 'b',
                                             'op': 'x'}]}]},
                 'composite_rule.or[0].query[0].op'),
                ({'or': [{**LEAF, 'timeout': 5, 'clear': BOTH['and'][0]}]},
                 'composite_rule.or[0].clear'),
                ({'or': [{'type': 'alarm'}]},
                 'composite_rule.or[0].alarm_id'),
                ({'or': [{'type': 'alarm', 'alarm_id': 'n\u00f6'}]},
                 'must be the id of an alarm'),
                ({'or': [{'type': 'alarm', 'alarm_id': 'no'}]},
                 'The project has no such alarm'),
                (deep, 'nested more than 10 levels'),
                ({'or': [LEAF] * 101}, '101 rules, of at most 100'),
                ({'or': [{**LEAF, 'query': query}]}, 'longer than 65535')]:
            self.assertIn(words, self.fault(
                400, 'post', '/v2/alarms', self.alarm(rule)))
        self.assertIn('resource_id', self.fault(
            400, 'post', '/v2/alarms', self.alarm(resource_id='a')))
        for other in ({}, {'query': [{'field': 'a', 'value': 'b'}]}):
            self.assertIn('cannot be set at the same time', self.fault(
                400, 'post', '/v2/alarms', self.alarm(event_rule=other)))

    def test_an_alarm_of_another_project_is_not_there(self):
        own = self.create()
        foreign = self.create(dict(base.ALICE, **{'X-Project-Id': 'p2'}))
        self.add({'or': [{'type': 'alarm', 'alarm_id': own['alarm_id']}]})
        self.assertIn('The project has no such alarm', self.fault(
            400, 'post', '/v2/alarms', self.alarm({'or': [
                {'type': 'alarm', 'alarm_id': foreign['alarm_id']}]})))

    def test_events_of_the_cloud_are_for_admins(self):
        rule = {'and': [LEAF, {'or': [{**LEAF, 'scope': 'cloud'}]}]}
        self.fault(403, 'post', '/v2/alarms', self.alarm(rule))
        self.fault(403, 'post', '/v2/alarms/test', {
            'composite_rule': rule, 'event': {
                'type': 'a', 'time': '2036-01-01T00:00:00'}})
        self.add(rule, base.ADMIN)

    def test_an_alarm_it_refers_to_may_go(self):
        own = self.create()
        path = '/v2/alarms/' + self.add({'or': [
            {'type': 'alarm', 'alarm_id': own['alarm_id']}]})['alarm_id']
        self.call('delete', '/v2/alarms/' + own['alarm_id'], status=204)

        shown = self.call('get', path)
        shown = self.call('put', path, {**shown, 'enabled': False})

        self.assertFalse(shown['enabled'])

    def test_it_is_not_evaluated_before_its_own_alarm(self):
        created = self.add()
        path = '/v2/alarms/' + created['alarm_id']
        self.assertIn('depends on this one', self.fault(
            400, 'put', path, self.alarm({'or': [
                LEAF, {'type': 'alarm', 'alarm_id': created['alarm_id']}]})))

    def test_exported_ones_can_be_imported(self):
        own = self.create()
        self.add({'and': [LEAF, {
            'type': 'alarm', 'alarm_id': own['alarm_id']}]})
        lines = list(alarm_export.lines(self.db))
        orphan.purge(self.db, 'p1')

        # Whichever comes first.
        for text in sorted(lines, key=lambda one: own['alarm_id'] not in one):
            alarm_import.load(self.db, [text], alarm_import.Terms(
                schemes=frozenset(), vault=None))

        self.assertEqual(sorted(lines), sorted(alarm_export.lines(self.db)))
        with self.db.reader() as conn:
            self.assertTrue(alarm_obj.get(conn, own['alarm_id']).composed)

    def test_trial(self):
        said = self.call('post', '/v2/alarms/test', {
            'composite_rule': {'or': [BOTH, {
                'type': 'alarm', 'alarm_id': 'x'}]},
            'event': {'type': 'fault', 'time': '2036-01-01T00:00:00',
                      'details': {'vm': 'a'}}})

        self.assertEqual('((rule1 and rule2) or rule3)',
                         said['composition_form'])
        self.assertIsNone(said['verdict'])
        self.assertEqual(['raise', None], [
            said['rules'][name]['verdict'] for name in ('rule1', 'rule2')])
        self.assertFalse(
            said['rules']['rule2']['raise']['event_type']['holds'])
        self.assertEqual({'type': 'alarm', 'alarm_id': 'x'},
                         said['rules']['rule3'])
        self.assertEqual('raise', self.call('post', '/v2/alarms/test', {
            'composite_rule': {'or': [BOTH, LEAF]},
            'event': {'type': 'fault', 'time': '2036-01-01T00:00:00',
                      'details': {'vm': 'a'}}})['verdict'])

    def test_the_history_of_a_leaf_is_kept_from_everybody(self):
        self.add()
        self.happens('fault')
        with self.db.reader() as conn:
            kinds = {row.type for row in conn.execute(
                sa.select(models.change))}
        self.assertIn(str(change.Type.LEAF), kinds)
        self.assertNotIn('leaf', json.dumps(self.call(
            'post', '/v2/query/alarms/history', {}, base.ADMIN)))
