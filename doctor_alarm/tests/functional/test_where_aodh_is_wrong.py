# SPDX-License-Identifier: Apache-2.0
"""What Aodh does wrong, and what happens here: a test for each.

What takes more than an API and an evaluator is elsewhere: a kill, an outage
and what comes twice in ``faults``; flat cost in ``test_plans``. Among the unit
tests: the time-out of a call, which answers count as delivered, pauses that
grow and what is given up in ``notifier.contract``, ``notifier.test_retry`` and
``notifier.test_dispatcher``; a tenant that wants no certificate to be verified
in ``notifier.plugins.test_http``; an action whose address changes later in
``test_guard``.
"""

import json
import threading

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.tests.unit.api import base

SECRETS = 'http://trust-id:delete@h.example/?token=3f786850e387550fdab836ed7e6'


class WrongInAodhTest(base.ApiTestCase):
    """The API and an evaluator on one database."""

    def prepare(self):
        self.conf.set_override('allowed_networks', [], group='notifier')

    def setUp(self):
        super().setUp()
        self.engine = engine.Engine(self.db, lambda hint: None, lease=15)
        self.events.accept = self.engine.process

    def an_alarm(self, *conditions, who=base.ALICE, **values):
        """Create an alarm; return the path of it."""
        return '/v2/alarms/' + self.create(who, event_rule={
            'event_type': 'fault', 'query': [
                {'field': field, 'op': op, 'type': kind, 'value': value}
                for field, op, kind, value in conditions]},
            **values)['alarm_id']

    def happens(self, *many):
        """Post events of these details, all in one body."""
        self.call('post', '/v1/events', {'events': [
            {'event': {'time': '2036-01-01T00:00:00', 'type': 'fault',
                       'details': dict(details)}} for details in many]},
            status=202)

    def state(self, path):
        return self.call('get', path)['state']

    def test_a_new_alarm_is_in_force_at_once(self):
        path = self.an_alarm()
        self.happens({})
        self.assertEqual('alarm', self.state(path))

    def test_a_changed_one_too(self):
        path = self.an_alarm(('traits.vm', 'eq', '', 'a'))
        self.call('put', path, {
            'name': 'x', 'type': 'event', 'event_rule': {
                'event_type': 'fault', 'query': [
                    {'field': 'traits.vm', 'value': 'b'}]}})
        self.happens({'vm': 'a'})
        self.assertEqual('insufficient data', self.state(path))
        self.happens({'vm': 'b'})
        self.assertEqual('alarm', self.state(path))

    def test_a_transition_does_not_revert_an_edit(self):
        path = self.an_alarm(severity='low')
        seen = self.call('get', path)
        self.call('put', path, dict(seen, severity='critical', name='new'))
        self.happens({})
        shown = self.call('get', path)
        self.assertEqual(('alarm', 'critical', 'new'), (
            shown['state'], shown['severity'], shown['name']))

    def test_two_workers_make_one_transition(self):
        path = self.an_alarm(alarm_actions=['http://h.example/'])
        other = engine.Engine(self.db, lambda hint: None, lease=15)
        posted = []
        self.events.accept = posted.extend
        self.happens({})
        threads = [threading.Thread(target=worker.process, args=(posted,))
                   for worker in (self.engine, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(1, len(self.call('get', path + '/deliveries')))
        self.assertEqual(
            ['state transition', 'creation'],
            [r['type'] for r in self.call('get', path + '/history')])

    def test_fields_without_a_prefix_match(self):
        for field, value in [('vm', 'a'), ('event_type', 'fault'),
                             ('project_id', 'p1')]:
            path = self.an_alarm((field, 'eq', 'string', value))
            self.happens({'vm': 'a'})
            self.assertEqual('alarm', self.state(path), field)

    def test_a_boolean_query_poisons_nobody(self):
        boolean = self.an_alarm(('traits.down', 'eq', 'boolean', 'true'))
        other = self.an_alarm()
        self.happens({'down': 'maybe'})
        self.assertEqual(('insufficient data', 'alarm'),
                         (self.state(boolean), self.state(other)))
        self.happens({'down': True})
        self.assertEqual('alarm', self.state(boolean))

    def test_a_malformed_trait_drops_nothing_of_the_batch(self):
        number = self.an_alarm(('traits.n', 'eq', 'integer', '2'))
        self.happens({'n': 'nonsense'}, {'n': 2})
        self.assertEqual('alarm', self.state(number))

    def test_a_missing_trait_is_greater_than_nothing(self):
        for op in ('gt', 'ge', 'lt', 'le', 'eq'):
            path = self.an_alarm(('traits.n', op, 'integer', '2'))
            other = self.an_alarm()
            self.happens({})
            self.assertEqual(('insufficient data', 'alarm'),
                             (self.state(path), self.state(other)), op)

    def test_a_text_of_digits_equals_the_number(self):
        for trait in (1, '1', 1.0):
            path = self.an_alarm(('traits.n', 'eq', 'integer', '1'))
            self.happens({'n': trait})
            self.assertEqual('alarm', self.state(path), trait)

    def test_datetime_queries_work(self):
        path = self.an_alarm(
            ('traits.at', 'gt', 'datetime', '2026-01-01T00:00:00'))
        self.happens({'at': '2025-12-31T23:59:59'})
        self.assertEqual('insufficient data', self.state(path))
        self.happens({'at': '2026-01-01T02:00:00+01:00'})
        self.assertEqual('alarm', self.state(path))

    def test_the_evaluator_updates_the_time_of_the_state(self):
        path = self.an_alarm()
        before = self.call('get', path)['state_timestamp']
        self.happens({})
        self.assertGreater(self.call('get', path)['state_timestamp'], before)

    def test_the_deletion_is_in_the_history(self):
        path = self.an_alarm()
        self.call('delete', path)
        self.assertEqual(['deletion', 'creation'], [
            record['type'] for record in self.call('get', path + '/history')])

    def test_an_alarm_returns_to_ok(self):
        path = '/v2/alarms/' + self.create(event_rule={
            'event_type': 'fault',
            'query': [{'field': 'traits.state', 'value': 'error'}],
            'clear': {'event_type': 'fault', 'query': [
                {'field': 'traits.state', 'value': 'active'}]}})['alarm_id']
        self.happens({'host': 'h', 'state': 'error'})
        self.assertEqual('alarm', self.state(path))
        self.happens({'host': 'h', 'state': 'active'})
        self.assertEqual('ok', self.state(path))

    def test_what_does_not_happen_raises_an_alarm(self):
        path = '/v2/alarms/' + self.create(event_rule={
            'event_type': 'fault', 'timeout': 60})['alarm_id']
        self.happens({})
        self.assertEqual('ok', self.state(path))
        with self.db.writer() as conn:
            conn.execute(sa.update(models.active_alarm).values(
                due=models.active_alarm.c.due - 61_000_000))
        self.engine.end(self.engine.ended(self.db.now()))
        self.assertEqual('alarm', self.state(path))

    def test_composites_of_events_and_alarms_fire_with_the_event(self):
        one = self.an_alarm(('traits.host', 'eq', '', 'a'))
        path = '/v2/alarms/' + self.create(
            type='composite', event_rule=None, composite_rule={'and': [
                {'type': 'alarm', 'alarm_id': one.rpartition('/')[2]},
                {'type': 'event', 'event_type': 'fault', 'query': [
                    {'field': 'traits.host', 'value': 'b'}]}]})['alarm_id']
        self.happens({'host': 'a'})
        self.assertNotEqual('alarm', self.state(path))
        self.happens({'host': 'b'})
        self.assertEqual('alarm', self.state(path))

    def test_time_constraints_hold_for_events(self):
        closed, open_ = (self.an_alarm(time_constraints=[{
            'name': 'x', 'start': start, 'duration': seconds}])
            for start, seconds in (('0 0 29 2 *', 1), ('* * * * *', 3600)))
        self.happens({})
        self.assertEqual(('insufficient data', 'alarm'),
                         (self.state(closed), self.state(open_)))

    def test_a_fault_of_a_host_is_for_admins(self):
        paths = [self.an_alarm(who=who) if who is base.ALICE else (
            '/v2/alarms/' + self.create(who, event_rule={
                'event_type': 'fault', 'scope': 'cloud'})['alarm_id'])
            for who in (base.ALICE, base.ADMIN)]
        self.call('post', '/v1/events', {'event': {
            'time': '2036-01-01T00:00:00', 'type': 'fault',
            'details': {'hostname': 'h1', 'project_id': None}}},
            base.MONITOR, status=202)
        self.assertEqual('insufficient data', self.state(paths[0]))
        self.assertEqual('alarm', self.call(
            'get', paths[1], who=base.ADMIN)['state'])

    def test_no_tenant_makes_the_service_call_inside(self):
        for url in ('http://169.254.169.254/latest/meta-data',
                    'http://[::ffff:169.254.169.254]/', 'http://127.0.0.1/'):
            self.assertIn('not allowed', self.fault(
                400, 'post', '/v2/alarms', self.alarm(alarm_actions=[url])))

    def test_bad_sort_and_marker_are_400(self):
        for query in ('sort=name:up', 'sort=:asc', 'sort=nope',
                      'marker=nope', 'limit=0', 'limit=nope'):
            self.fault(400, 'get', '/v2/alarms?' + query)

    def test_severities_can_be_sorted(self):
        for severity in ('moderate', 'critical', 'low'):
            self.an_alarm(severity=severity)
        self.assertEqual(
            ['critical', 'moderate', 'low'],
            [alarm['severity'] for alarm in self.call(
                'get', '/v2/alarms?sort=severity:desc')])

    def test_to_look_at_quotas_changes_nothing(self):
        self.call('get', '/v2/quotas')
        self.an_alarm()
        self.conf.set_override('project_alarm_quota', 1, group='api')
        self.assertEqual(1, self.call(
            'get', '/v2/quotas')['quotas'][0]['limit'])
        self.fault(403, 'post', '/v2/alarms', self.alarm())

    def test_the_quota_of_a_project_counts_its_alarms(self):
        self.conf.set_override('project_alarm_quota', 1, group='api')
        elsewhere = dict(base.ALICE, **{'X-Project-Id': 'p2'})
        self.an_alarm()
        self.an_alarm(who=elsewhere)
        self.fault(403, 'post', '/v2/alarms', self.alarm(), dict(
            base.ALICE, **{'X-User-Id': 'somebody else'}))

    def test_a_put_that_omits_the_state_leaves_it(self):
        path = self.an_alarm()
        self.happens({})
        self.call('put', path, self.alarm())
        shown = self.call('get', path)
        self.assertEqual('alarm', shown['state'])
        self.assertIn('hits the query', shown['state_reason'])

    def test_secrets_leak_nowhere(self):
        path = self.an_alarm(alarm_actions=[SECRETS], ok_actions=[SECRETS])
        self.call('put', path, self.alarm(alarm_actions=[SECRETS]))
        self.call('delete', path)
        path = self.an_alarm(alarm_actions=[SECRETS])
        for method, where, doc in [
                ('get', '/v2/alarms', self.NOTHING),
                ('get', path, self.NOTHING),
                ('get', path + '/history', self.NOTHING),
                ('post', '/v2/query/alarms', {}),
                ('post', '/v2/query/alarms/history', {}),
                ('post', '/v2/query/alarms/history', {'filter': json.dumps(
                    {'=~': {'detail': 'h.example'}})})]:
            shown = json.dumps(self.call(method, where, doc))
            self.assertIn('h.example', shown, where)
            for secret in ('trust-id', 'delete@', '3f786850e387'):
                self.assertNotIn(secret, shown, where)

    def test_the_state_set_by_hand_calls_nobody(self):
        path = self.an_alarm(alarm_actions=['http://h.example/'])
        self.call('put', path + '/state', 'alarm')
        self.assertEqual(alarm_obj.REASON_API,
                         self.call('get', path)['state_reason'])
        self.assertEqual([], self.call('get', path + '/deliveries'))
