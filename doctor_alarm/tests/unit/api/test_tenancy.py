# SPDX-License-Identifier: Apache-2.0
"""A tenant who wants to see, or to change, what belongs to another one."""

import datetime
import json
import uuid

from doctor_alarm.evaluator import engine
from doctor_alarm import event
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.tests import matrix
from doctor_alarm.tests.unit.api import base

EVE = {'X-User-Id': 'eve', 'X-Project-Id': 'p2', 'X-Roles': 'member'}
NAME = 'the name that nobody else shall read'
VICTIM = 'p1'


class TenancyTest(base.ApiTestCase):
    """``p1`` has an alarm with a history and deliveries, ``p2`` one, too."""

    def setUp(self):
        super().setUp()
        self.theirs = self.create(name=NAME)['alarm_id']
        self.own = self.create(EVE, name='own')['alarm_id']
        for alarm_id, who in ((self.theirs, base.ALICE), (self.own, EVE)):
            self.call('put', '/v2/alarms/%s/state' % alarm_id, 'alarm', who)
        self.their_delivery = matrix.dead_delivery(
            self.db, self.theirs, VICTIM)
        self.own_delivery = matrix.dead_delivery(self.db, self.own, 'p2')
        self.before = self.seen_by_the_owner()

    def seen_by_the_owner(self):
        return [self.call('get', '/v2/alarms/%s%s' % (self.theirs, part))
                for part in ('', '/history', '/deliveries')]

    def assert_learned_nothing(self):
        text = self.answer.text.replace('": "', '":"')
        # An id may be told back where it was asked for, not as an item's.
        for secret in (NAME, 'alice', '"alarm_id":"%s"' % self.theirs,
                       '"id":"%s"' % self.their_delivery):
            self.assertNotIn(secret, text)

    def same_for_both(self, method, path, doc=base.ApiTestCase.NOTHING,
                      **headers):
        """Ask for what exists and for what does not: one answer."""
        told = []
        nobodys = str(uuid.uuid4())
        for alarm_id, delivery_id in (
                (self.theirs, self.their_delivery), (nobodys, nobodys)):
            self.call(method, path.format(
                alarm=alarm_id, delivery=delivery_id), doc,
                {**EVE, **headers}, status='*')
            self.assert_learned_nothing()
            told.append((self.answer.status_int, self.answer.text.replace(
                alarm_id, '*').replace(delivery_id, '*')))
        self.assertEqual(told[1], told[0], path)
        return told[0][0]

    def test_what_is_anothers_is_as_if_it_were_not(self):
        for method, path, doc in [
                ('get', '/v2/alarms/{alarm}', self.NOTHING),
                ('put', '/v2/alarms/{alarm}', self.alarm(name='mine')),
                ('put', '/v2/alarms/{alarm}', {'nonsense': 1}),
                ('put', '/v2/alarms/{alarm}', self.alarm(project_id='p2')),
                ('delete', '/v2/alarms/{alarm}', self.NOTHING),
                ('get', '/v2/alarms/{alarm}/state', self.NOTHING),
                ('put', '/v2/alarms/{alarm}/state', 'ok'),
                ('put', '/v2/alarms/{alarm}/state', 'nonsense'),
                ('get', '/v2/alarms/{alarm}/deliveries', self.NOTHING),
                ('get', '/v2/deliveries/{delivery}', self.NOTHING),
                ('post', '/v2/deliveries/{delivery}/retry', {})]:
            self.assertEqual(404, self.same_for_both(method, path, doc), path)
            self.same_for_both(method, path, doc, **{'If-Match': '"0-0"'})
        self.assertEqual(
            200, self.same_for_both('get', '/v2/alarms/{alarm}/history'))
        self.assertEqual([], self.answer.json)
        self.assertEqual(self.before, self.seen_by_the_owner())

    def test_markers(self):
        for path in ('/v2/alarms?marker={alarm}',
                     '/v2/alarms?marker={alarm}&sort=name:asc&limit=1',
                     '/v2/deliveries?marker={delivery}',
                     '/v2/alarms/{alarm}/deliveries?marker={delivery}',
                     '/v2/alarms/{alarm}/history?marker={alarm}'):
            self.assertEqual(400, self.same_for_both('get', path), path)
        self.call('get', '/v2/alarms?marker=' + self.own, who=EVE)
        self.call('get', '/v2/deliveries?marker=' + self.own_delivery,
                  who=EVE)

    def test_records_of_the_history_as_markers(self):
        record = self.before[1][0]['event_id']

        for alarm_id in (self.theirs, self.own):
            self.fault(400, 'get', '/v2/alarms/%s/history?marker=%s' % (
                alarm_id, record), who=EVE)
            self.assert_learned_nothing()

    def test_filters_of_the_list(self):
        for pairs in (
                [('project_id', VICTIM)],
                [('project_id', 'p2'), ('project_id', VICTIM)],
                [('all_projects', 'true')],
                [('all_projects', 'true'), ('project_id', VICTIM)],
                [('all_projects', 'false'), ('all_projects', '1')]):
            self.call('get', '/v2/alarms?' + self.query(pairs), who=EVE,
                      status='*')
            self.assertIn(self.answer.status_int, (401, 403), pairs)
            self.assert_learned_nothing()
        for pairs in (
                [('project_id', VICTIM), ('project_id', 'p2')],
                [('user_id', 'alice')], [('name', NAME)],
                [('name', "' OR '1'='1")], [('project_id', 'p2')]):
            for item in self.call(
                    'get', '/v2/alarms?' + self.query(pairs), who=EVE):
                self.assertEqual(self.own, item['alarm_id'])
        for path in ('/v2/alarms?project_id=' + VICTIM,
                     '/v2/alarms?q.field=project_id&q.op=ne&q.value=p2',
                     '/v2/metrics?project_id=' + VICTIM,
                     '/v2/alarms?q.field=project&q.value=' + VICTIM):
            self.fault(400, 'get', path, who=EVE)

    @staticmethod
    def query(pairs):
        return '&'.join('q.field=%s&q.value=%s' % pair for pair in pairs)

    def ask(self, expression, of=''):
        self.call('post', '/v2/query/alarms' + of, {
            'filter': json.dumps(expression)}, EVE, '*')
        self.assert_learned_nothing()
        return self.answer

    def test_the_query_language(self):
        for name in ('project_id', 'project'):
            for inner in (
                    {'=': {name: VICTIM}}, {'!=': {name: VICTIM}},
                    {'<': {name: VICTIM}}, {'=~': {name: 'p'}},
                    {'=~': {name: '.*'}}, {'in': {name: ['p2', VICTIM]}},
                    {'in': {name: [VICTIM]}}, {'IN': {name: [VICTIM]}}):
                for expression in (
                        inner, {'not': inner}, {'NOT': {'not': inner}},
                        {'or': [inner, {'=': {'name': 'own'}}]},
                        {'and': [{'or': [{'not': inner}]}]}):
                    answer = self.ask(expression)
                    self.assertEqual(401, answer.status_int, expression)

    def test_queries_that_name_no_project(self):
        true = {'!=': {'name': ''}}
        for expression in (
                true, {'or': [true, {'not': true}]},
                {'not': {'=': {'project_id': 'p2'}}},
                {'or': [true, {'=': {'project_id': 'p2'}}]},
                {'!=': {'project_id': 'p2'}}, {'>': {'project_id': 'p2'}},
                {'=~': {'name': '.*'}}, {'=': {'user_id': 'alice'}},
                {'=': {'alarm_id': self.theirs}},
                {'in': {'alarm_id': [self.theirs, self.own]}}):
            answer = self.ask(expression)
            self.assertEqual(200, answer.status_int, expression)
            self.assertLessEqual(
                {item['alarm_id'] for item in answer.json}, {self.own})

    def test_queries_of_the_history(self):
        for expression in ({'=': {'on_behalf_of': VICTIM}},
                           {'not': {'=': {'on_behalf_of': VICTIM}}}):
            self.assertEqual(
                401, self.ask(expression, '/history').status_int)
        for expression in (
                {'=': {'alarm_id': self.theirs}},
                {'=': {'project_id': VICTIM}}, {'=': {'user_id': 'alice'}},
                {'=~': {'detail': NAME}},
                {'or': [{'=': {'alarm_id': self.theirs}},
                        {'=': {'on_behalf_of': 'p2'}}]}):
            answer = self.ask(expression, '/history')
            self.assertEqual(200, answer.status_int)
            self.assertLessEqual(
                {item['on_behalf_of'] for item in answer.json}, {'p2'})

    def test_orders_and_types_that_are_no_queries(self):
        for doc in ({'filter': '{"=": {"project_id": ["p2"]}}'},
                    {'filter': '{"=": {"project_id": {"$ne": 1}}}'},
                    {'filter': '{"=": {"project_id": null}}'},
                    {'orderby': '[{"project_id; --": "asc"}]'}):
            self.call('post', '/v2/query/alarms', doc, EVE, '*')
            self.assertIn(self.answer.status_int, (400, 401), doc)

    def test_the_lists_have_the_own_alone(self):
        for path, key, wanted in (
                ('/v2/alarms', 'alarm_id', self.own),
                ('/v2/deliveries', 'id', self.own_delivery)):
            self.assertEqual([wanted], [
                item[key] for item in self.call('get', path, who=EVE)])
        self.call('get', '/v2/metrics', who=EVE)
        self.assertNotIn(self.theirs, self.answer.text)
        for path in ('/v2/metrics?all_projects=true',
                     '/v2/deliveries?q.field=all_projects&q.value=true'):
            self.fault(403, 'get', path, who=EVE)
        self.fault(401, 'get', '/v2/deliveries?q.field=project_id&q.value='
                   + VICTIM, who=EVE)

    def test_owners_that_the_caller_is_not(self):
        for owner in ({'project_id': VICTIM}, {'user_id': 'alice'},
                      {'project_id': VICTIM, 'user_id': 'alice'}):
            self.fault(401, 'post', '/v2/alarms', self.alarm(**owner), EVE)
            self.fault(401, 'put', '/v2/alarms/' + self.own,
                       self.alarm(**owner), EVE)

    def test_an_id_that_is_taken(self):
        created = self.call('post', '/v2/alarms', self.alarm(
            alarm_id=self.theirs, name='mine'), EVE, '*')

        self.assertNotEqual(self.theirs, created.get('alarm_id'))
        self.assertEqual(self.before, self.seen_by_the_owner())

    def test_quotas(self):
        for path in ('/v2/quotas/' + VICTIM,
                     '/v2/quotas?project_id=' + VICTIM,
                     '/v2/quotas/nobody'):
            self.fault(401, 'get', path, who=EVE)
        self.fault(403, 'post', '/v2/quotas', {
            'project_id': 'p2', 'quotas': [
                {'resource': 'alarms', 'limit': -1}]}, EVE)
        self.fault(403, 'delete', '/v2/quotas/p2', who=EVE)

    def test_events_for_alarms_of_others(self):
        for details in ({'project_id': VICTIM}, {'tenant_id': VICTIM},
                        {'project_id': ''}, {'tenant_id': None},
                        {'project_id': 'p2', 'tenant_id': VICTIM}):
            self.call('post', '/v1/events', {'event': {
                'time': '2026-11-20', 'type': 'a', 'details': details}},
                EVE, '*')
            self.assertIn(self.answer.status_int, (400, 403), details)
            self.call('post', '/v1/events', {'events': [
                {'event': {'time': '2026-11-20', 'type': 'a'}},
                {'event': {'time': '2026-11-20', 'type': 'a',
                           'details': details}}]}, EVE, '*')
            self.assertIn(self.answer.status_int, (400, 403), details)
        self.assertEqual([], self.events.accepted)
        self.call('post', '/v1/events', {'event': {
            'time': '2026-11-20', 'type': 'a',
            'details': {'project-id': VICTIM, 'owner': VICTIM}}}, EVE)
        self.assertEqual(
            ['p2'], [item.project_id for item in self.events.accepted])

    def test_a_fault_that_a_tenant_made_up(self):
        operators = self.create(base.ADMIN, event_rule={
            'scope': 'cloud', 'event_type': 'host.down', 'query': [
                {'field': 'traits.host', 'op': 'eq', 'value': 'h1'}]})
        where = '/v2/alarms/%s/state' % operators['alarm_id']
        committing = engine.Engine(self.db, lambda hint: None, 15)
        for who, state in ((EVE, 'insufficient data'),
                           (base.MONITOR, 'alarm')):
            now = datetime.datetime.now(datetime.timezone.utc)
            self.call('post', '/v1/events', {'event': {
                'time': now.isoformat(), 'type': 'host.down',
                'details': {'hostname': 'h1'}}}, who)
            committing.process([event.Event.from_wire(
                self.events.accepted.pop().to_wire(), received=now)])
            self.assertEqual(state, self.call('get', where, who=base.ADMIN))

    def test_an_alarm_on_the_events_of_others(self):
        rule = {**base.RULE, 'scope': 'cloud'}
        for method, path in (('post', '/v2/alarms'),
                             ('put', '/v2/alarms/' + self.own)):
            self.fault(403, method, path, self.alarm(event_rule=rule), EVE)

    def test_a_trial_tells_nothing_of_others(self):
        found = self.call('post', '/v2/alarms/test', {
            'event_rule': base.RULE, 'event': {
                'event_type': 'a', 'project_id': VICTIM}}, EVE)

        self.assertFalse(found['event_of_the_project'])
        self.assertIsNone(found['verdict'])

    def test_what_went_to_another_project(self):
        self.call('put', '/v2/alarms/' + self.theirs, self.alarm(
            name=NAME, project_id='p3', user_id='carol'), base.ADMIN)

        for path in ('', '/state', '/deliveries'):
            self.call('get', '/v2/alarms/%s%s' % (self.theirs, path),
                      status='*')
            # What was delivered on its behalf is still its own.
            self.assertEqual(200 if path == '/deliveries' else 404,
                             self.answer.status_int)
        history = self.call(
            'get', '/v2/alarms/%s/history' % self.theirs)
        self.assertEqual({VICTIM}, {
            record['on_behalf_of'] for record in history})

    def test_a_project_without_a_name(self):
        nobody = {**EVE, 'X-Project-Id': ''}
        for path in ('/v2/alarms', '/v2/deliveries',
                     '/v2/alarms/%s/history' % self.theirs):
            self.assertEqual([], self.call('get', path, who=nobody))
        self.fault(400, 'post', '/v2/alarms', self.alarm(), nobody)
        with self.db.reader() as conn:
            alarm_obj.get(conn, self.theirs)
