# SPDX-License-Identifier: Apache-2.0

import json
import uuid

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.tests.unit.api import base


class CreateTest(base.ApiTestCase):

    def test_defaults(self):
        created = self.create()

        self.assertEqual(201, self.answer.status_int)
        self.assertEqual('http://localhost/v2/alarms/' + created['alarm_id'],
                         self.answer.location)
        uuid.UUID(created['alarm_id'])
        for name, value in {
                'description':
                    'Alarm when compute.instance.update event occurred.',
                'enabled': True, 'ok_actions': [], 'alarm_actions': [],
                'insufficient_data_actions': [], 'repeat_actions': False,
                'severity': 'low', 'state': 'insufficient data',
                'state_reason': 'Not evaluated yet', 'time_constraints': [],
                'project_id': 'p1', 'user_id': 'alice',
                'event_rule': base.RULE}.items():
            self.assertEqual(value, created[name], name)

    def test_rule_defaults(self):
        created = self.create(event_rule={'query': [
            {'field': 'traits.n', 'value': 5}]})

        self.assertEqual({'event_type': '*', 'query': [
            {'field': 'traits.n', 'op': 'eq', 'value': '5', 'type': ''}]},
            created['event_rule'])

    def test_clear(self):
        rule = dict(base.RULE, clear={'event_type': 'x', 'query': []})

        created = self.create(event_rule=rule)

        self.assertEqual(rule, created['event_rule'])

    def test_timeout(self):
        rule = dict(base.RULE, timeout=60)
        after = dict(rule, after={'event_type': 'x', 'query': []})
        for given in (rule, after):
            created = self.create(event_rule=given)

            self.assertEqual(given, created['event_rule'])
            self.assertEqual(
                'Alarm when no compute.instance.update event occurred for 60 '
                'seconds.', created['description'])
        created = self.create(event_rule=dict(
            base.RULE, timeout=None, after=None))
        self.assertEqual(base.RULE, created['event_rule'])

    def test_read_only_fields_are_ignored(self):
        created = self.create(
            alarm_id='mine', timestamp='never', state_reason='because',
            state_timestamp=7, evaluate_timestamp=None)

        self.assertNotEqual('mine', created['alarm_id'])
        self.assertEqual('Not evaluated yet', created['state_reason'])

    def test_null_lists_are_empty(self):
        created = self.create(alarm_actions=None, time_constraints=None,
                              description=None, user_id=None)

        self.assertEqual([], created['alarm_actions'])
        self.assertEqual('alice', created['user_id'])

    def test_actions_are_folded_in_order(self):
        created = self.create(ok_actions=[
            'http://b/', 'http://a/', 'http://b/'])

        self.assertEqual(['http://b/', 'http://a/'], created['ok_actions'])

    def test_time_constraints(self):
        created = self.create(time_constraints=[
            {'name': 'night', 'start': '0 23 * * *', 'duration': '10',
             'timezone': 'Europe/Ljubljana'}])

        self.assertEqual([{
            'name': 'night', 'start': '0 23 * * *', 'duration': 10,
            'timezone': 'Europe/Ljubljana', 'description':
            'Time constraint at 0 23 * * * lasting for 10 seconds'}],
            created['time_constraints'])

    def test_names_are_not_unique(self):
        self.create()
        self.create()

        self.assertEqual(2, len(self.call('get', '/v2/alarms')))

    def test_an_admin_names_the_owner(self):
        created = self.create(base.ADMIN, project_id='p1', user_id='alice')

        self.assertEqual(('p1', 'alice'),
                         (created['project_id'], created['user_id']))
        self.assertEqual(created['alarm_id'],
                         self.call('get', '/v2/alarms')[0]['alarm_id'])

    def test_somebody_owns_it(self):
        self.assertIn('project_id', self.fault(
            400, 'post', '/v2/alarms', self.alarm(), {'X-Roles': 'admin'}))

    def test_nobody_else_does(self):
        self.assertEqual(
            'Not Authorized to access project p2', self.fault(
                401, 'post', '/v2/alarms', self.alarm(project_id='p2')))
        self.assertEqual(
            'Not Authorized to access user bob', self.fault(
                401, 'post', '/v2/alarms', self.alarm(user_id='bob')))

    def test_what_is_wrong_has_a_sentence(self):
        rule = base.RULE
        item = rule['query'][0]
        for changes, words in [
                ({'foo': 1}, 'Unknown attribute for argument data: foo'),
                ({'name': None}, 'name'),
                ({'name': ''}, 'must not be empty'),
                ({'type': 'nope'}, 'Value should be one of: event'),
                ({'type': 'threshold'}, 'belong to Aodh'),
                ({'type': 'composite'},
                 'composite_rule must be set for composite type alarm'),
                ({'event_rule': None},
                 'event_rule must be set for event type alarm'),
                ({'composite_rule': {'or': []}},
                 'event_rule and composite_rule cannot be set at the same'),
                ({'state': None}, 'state'), ({'severity': None}, 'severity'),
                ({'state': 'bad'}, 'ok, alarm, insufficient data'),
                ({'enabled': 'yes'}, 'enabled'),
                ({'alarm_actions': 'http://x/'}, 'alarm_actions'),
                ({'alarm_actions': [7]}, 'alarm_actions[0]'),
                ({'alarm_actions': ['smtp://x/']},
                 'Unsupported action smtp://x/'),
                ({'alarm_actions': ['http://']},
                 'Unable to parse action http://'),
                ({'alarm_actions': ['http://[/']}, 'Unable to parse action'),
                ({'alarm_actions': ['http://h:99999/']}, 'Unable to parse'),
                ({'event_rule': {'foo': 1}}, 'data: event_rule.foo'),
                ({'event_rule': {'query': [{}]}}, 'event_rule.query[0].field'),
                ({'event_rule': {'query': [dict(item, op='~')]}},
                 'event_rule.query[0].op'),
                ({'event_rule': {'query': [dict(item, type='integer')]}},
                 'not of type integer'),
                ({'event_rule': {'clear': {'query': [
                    dict(item, type='boolean')]}}}, 'not of type boolean'),
                ({'event_rule': {'clear': {}}}, 'event_rule.clear. '),
                ({'event_rule': {'clear': {'event_type': '', 'query': []}}},
                 'event_rule.clear. '),
                ({'event_rule': {'query': [item, dict(
                    item, field='traits.')]}}, 'event_rule.query[1].field'),
                *(({'time_constraints': [{
                    'name': 'a', 'start': '0 0 * * *', 'duration': 1,
                    name: 'x' * 1025}]}, 'time_constraints[0].' + name)
                  for name in ('description', 'timezone')),
                *(({'event_rule': {'timeout': value}}, 'event_rule.timeout')
                  for value in (0, -1, 1.5, '60', True, [], 31536001)),
                ({'event_rule': {'timeout': 9, 'after': {}}},
                 'event_rule.after. '),
                ({'event_rule': {'after': {'event_type': 'x'}}},
                 'event_rule.after needs event_rule.timeout beside it.'),
                ({'event_rule': {'timeout': 9, 'clear': {
                    'event_type': 'x'}}}, 'event_rule.clear and '
                 'event_rule.timeout cannot be set at the same time: the '
                 'expected event clears.'),
                ({'event_rule': {'timeout': 9, 'after': {'query': [
                    dict(item, type='boolean')]}}}, 'not of type boolean'),
                *(({'event_rule': {'clear': {'query': [
                    dict(item, type='float', value=value)]}}},
                   'event_rule.clear.query[0].value')
                  for value in ('nan', 'inf', '-Infinity', '9' * 400)),
                ({'event_rule': {'query': [
                    dict(item, type='float', value='x')]}},
                 'not of type float'),
                ({'time_constraints': [{'name': 'a'}]}, 'start'),
                ({'time_constraints': 2 * [
                    {'name': 'a', 'start': '* * * * *', 'duration': 1}]},
                 'Time constraint names must be unique'),
                ({'time_constraints': [
                    {'name': 'a', 'start': '* * * * *', 'duration': 1,
                     'timezone': 'Mars/Base'}]}, 'Timezone Mars/Base'),
                ({'time_constraints': [
                    {'name': 'a', 'start': '0 0 30 2 *', 'duration': 1}]},
                 'time_constraints[0].start'),
                ({'time_constraints': [
                    {'name': 'a', 'start': '* * * * *', 'duration': -1}]},
                 'duration'),
                ({'time_constraints': [
                    {'name': 'a', 'start': 'daily', 'duration': 1}]},
                 'start')]:
            sentence = self.fault(
                400, 'post', '/v2/alarms', self.alarm(**changes))
            self.assertIn(words, sentence, changes)
        for missing in ('name', 'type'):
            doc = self.alarm()
            del doc[missing]
            sentence = self.fault(400, 'post', '/v2/alarms', doc)
            self.assertIn('Mandatory field missing.', sentence)
            self.assertIn(missing, sentence)
        self.assertEqual([], self.call('get', '/v2/alarms'))

    def test_what_others_evaluate_is_told_where_it_belongs(self):
        for kind in ('threshold', 'prometheus', 'gnocchi_resources_threshold',
                     'gnocchi_aggregation_by_metrics_threshold',
                     'gnocchi_aggregation_by_resources_threshold',
                     'loadbalancer_member_health'):
            for rule in ({}, {'%s_rule' % kind: {'threshold': 1}}):
                sentence = self.fault(400, 'post', '/v2/alarms', {
                    'name': 'a', 'type': kind, **rule})
                self.assertIn('belong to Aodh, which', sentence)
                self.assertIn('this service evaluates events', sentence)

    def test_an_alarm_may_have_so_many_actions(self):
        self.conf.set_override('alarm_max_actions', 2, group='api')
        urls = ['http://%s.example/' % name for name in 'abca']

        created = self.create(ok_actions=urls[:2] + urls[:2])
        self.assertEqual(urls[:2], created['ok_actions'])
        for method, path in [
                ('post', '/v2/alarms'),
                ('put', '/v2/alarms/' + created['alarm_id'])]:
            self.assertEqual(
                'ok_actions count exceeds maximum value 2', self.fault(
                    400, method, path, self.alarm(ok_actions=urls)))

    def test_an_alarm_is_not_huge(self):
        """What tells why it was raised repeats it again and again."""
        query = [{'field': 'traits.state', 'value': 1000 * 'x'}] * 100
        rule = {'event_type': 'a', 'query': query}
        self.create(event_rule=rule)
        huge = self.alarm(event_rule={
            **rule, 'clear': rule, 'after': rule, 'timeout': 9})
        sentence = self.fault(413, 'post', '/v2/alarms', huge, base.ALICE)
        self.assertIn('262144', sentence)

    def test_actions_on_the_host_are_for_admins(self):
        for url in ('log://', 'test://'):
            doc = self.alarm(alarm_actions=[url])
            self.assertIn(url, self.fault(401, 'post', '/v2/alarms', doc))
            self.create(base.ADMIN, alarm_actions=[url])


class ChangeTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.created = self.create(alarm_actions=['http://u:secret@h/'])
        self.path = '/v2/alarms/' + self.created['alarm_id']

    def transit(self, state):
        """A transition as the evaluator stores it."""
        with self.db.writer() as conn:
            conn.execute(sa.update(models.alarm).values(
                state=state, state_reason='Event', active_count=1,
                state_timestamp=self.db.now()))

    def test_what_was_read_can_be_sent_back(self):
        seen = self.call('get', self.path)

        changed = self.call('put', self.path, dict(seen, description='new'))

        self.assertEqual(
            dict(seen, description='new', timestamp=changed['timestamp']),
            changed)
        self.assertEqual(changed, self.call('get', self.path))

    def test_a_put_replaces_the_whole(self):
        changed = self.call('put', self.path, self.alarm(severity='critical'))

        self.assertEqual([], changed['alarm_actions'])
        self.assertEqual('critical', changed['severity'])
        self.assertEqual('p1', changed['project_id'])

    def test_a_put_without_state_leaves_it(self):
        self.transit('alarm')

        changed = self.call('put', self.path, self.alarm())

        self.assertEqual(('alarm', 'Event'),
                         (changed['state'], changed['state_reason']))

    def test_a_put_with_a_new_state_sets_it(self):
        seen = self.call('get', self.path)

        changed = self.call('put', self.path, dict(seen, state='ok'))

        self.assertEqual(('ok', 'Manually set via API'),
                         (changed['state'], changed['state_reason']))

    def test_a_put_of_an_outdated_state_leaves_the_newer_one(self):
        seen = self.call('get', self.path)
        self.transit('alarm')

        changed = self.call('put', self.path, dict(seen, severity='critical'))

        self.assertEqual(('alarm', 'Event', 'critical'), (
            changed['state'], changed['state_reason'], changed['severity']))

    def test_an_admin_changes_nothing_but_what_is_said(self):
        changed = self.call('put', self.path, self.alarm(), base.ADMIN)

        self.assertEqual(('p1', 'alice'),
                         (changed['project_id'], changed['user_id']))

    def test_an_admin_gives_it_away(self):
        self.call('put', self.path, self.alarm(project_id='p2'), base.ADMIN)

        self.fault(404, 'get', self.path)
        self.call('get', self.path, who=base.BOB)

    def test_state(self):
        self.assertEqual('insufficient data',
                         self.call('get', self.path + '/state'))
        self.assertEqual('alarm', self.call(
            'put', self.path + '/state', 'alarm'))
        self.assertEqual('alarm', self.call('get', self.path + '/state'))
        self.assertEqual('Manually set via API',
                         self.call('get', self.path)['state_reason'])
        for wrong in ('bad', None, 7, {'state': 'ok'}):
            self.assertIn('state', self.fault(
                400, 'put', self.path + '/state', wrong))

    def test_history(self):
        self.call('put', self.path, self.alarm(name='renamed'), base.ADMIN)
        self.call('put', self.path + '/state', 'alarm')

        found = self.call('get', self.path + '/history')

        self.assertEqual(['state transition', 'rule change', 'creation'],
                         [record['type'] for record in found])
        state, change, creation = found
        self.assertEqual('alarm', json.loads(state['detail'])['state'])
        self.assertEqual({'name': 'renamed', 'alarm_actions': []},
                         json.loads(change['detail']))
        self.assertEqual(
            ('root', 'admin', 'p1', self.created['alarm_id']),
            (change['user_id'], change['project_id'],
             change['on_behalf_of'], change['alarm_id']))
        self.assertEqual('vm1 down', json.loads(creation['detail'])['name'])
        self.assertNotIn('secret', self.answer.text)
        self.assertEqual(found[1:], self.call(
            'get', self.path + '/history?marker=' + state['event_id']))

    def test_history_outlives_the_alarm(self):
        self.call('delete', self.path)

        self.assertEqual(204, self.answer.status_int)
        self.assertEqual(b'', self.answer.body)
        self.assertEqual(
            ['deletion', 'creation'],
            [r['type'] for r in self.call('get', self.path + '/history')])
        self.assertEqual([], self.call('get', self.path + '/history',
                                       who=base.BOB))
        self.fault(404, 'get', self.path)
        self.fault(404, 'delete', self.path)

    def test_other_projects_do_not_find_it(self):
        for method, path, doc in [
                ('get', self.path, self.NOTHING),
                ('delete', self.path, self.NOTHING),
                ('put', self.path, self.alarm()),
                ('get', self.path + '/state', self.NOTHING),
                ('put', self.path + '/state', 'ok'),
                ('get', self.path + '/deliveries', self.NOTHING)]:
            self.assertEqual(
                'Alarm %s not found' % self.created['alarm_id'],
                self.fault(404, method, path, doc, base.BOB))

    def test_roles(self):
        reads = [('get', '/v2/alarms', self.NOTHING),
                 ('get', self.path, self.NOTHING),
                 ('get', self.path + '/state', self.NOTHING),
                 ('get', self.path + '/history', self.NOTHING),
                 ('get', self.path + '/deliveries', self.NOTHING),
                 ('post', '/v2/query/alarms', {}),
                 ('get', '/v2/capabilities', self.NOTHING)]
        writes = [('post', '/v2/alarms', self.alarm()),
                  ('put', self.path, self.alarm()),
                  ('put', self.path + '/state', 'ok'),
                  ('delete', self.path, self.NOTHING)]
        for method, path, doc in reads + writes:
            self.assertEqual('RBAC Authorization Failed', self.fault(
                403, method, path, doc, base.NO_ROLE))
        for method, path, doc in writes:
            self.fault(403, method, path, doc, base.READER)
        for method, path, doc in reads:
            self.call(method, path, doc, base.READER)
        for method, path, doc in writes:
            self.call(method, path, doc, base.ADMIN)


class DeliveriesTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.alarm_id = self.create()['alarm_id']
        self.path = '/v2/alarms/%s/deliveries' % self.alarm_id
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.lane).values(
                id='l', alarm_id=self.alarm_id, project_id='p1',
                action='https://u:secret@host/hook?token=secret&x',
                head=1, tail=2, due=None, attempts=0))
            for n in (1, 2):
                conn.execute(sa.insert(models.delivery).values(
                    id='d%d' % n, lane_id='l', sequence=n,
                    alarm_id=self.alarm_id, message_id='m%d' % n,
                    project_id='p1', alarm_name='vm1 down', severity='low',
                    previous='ok', current='alarm', reason='because',
                    resource_id='vm1', status='delivered', attempts=1,
                    created_at=n, notified_at=1000000, transformed_at=1,
                    evaluated_at=2, committed_at=3, fired_at=4))

    def test_newest_first_with_their_time_line(self):
        found = self.call('get', self.path)

        self.assertEqual(['d2', 'd1'], [d['id'] for d in found])
        self.assertEqual('https://***@host/hook?token=***&x',
                         found[0]['action'])
        self.assertNotIn('secret', self.answer.text)
        self.assertEqual({
            'notified_at': '1970-01-01T00:00:01',
            'transformed_at': '1970-01-01T00:00:00.000001',
            'evaluated_at': '1970-01-01T00:00:00.000002',
            'committed_at': '1970-01-01T00:00:00.000003',
            'fired_at': '1970-01-01T00:00:00.000004',
            'received_at': None, 'dropped_at': None}, found[0]['timeline'])
        self.assertEqual((2, 'delivered', 1, 'ok', 'alarm'), tuple(
            found[0][name] for name in (
                'sequence', 'status', 'attempts', 'previous', 'current')))

    def test_they_outlive_the_alarm(self):
        self.call('delete', '/v2/alarms/' + self.alarm_id)

        self.assertEqual(2, len(self.call('get', self.path)))
        self.fault(404, 'get', self.path, who=base.BOB)

    def test_pages(self):
        found = self.call('get', self.path + '?limit=1')

        self.assertEqual(['d2'], [d['id'] for d in found])
        self.assertIn('marker=d2', self.answer.headers['Link'])
        self.assertEqual(['d1'], [d['id'] for d in self.call(
            'get', self.path + '?marker=d2')])

    def test_of_no_alarm(self):
        self.fault(404, 'get', '/v2/alarms/nope/deliveries')
