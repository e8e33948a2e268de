# SPDX-License-Identifier: Apache-2.0

import datetime

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import event
from doctor_alarm.tests.unit.api import base

EVENT = 'compute.instance.update'
RULE = {'event_type': EVENT, 'query': [
    {'field': 'traits.state', 'op': 'eq', 'value': 'error'}],
    'clear': {'event_type': EVENT, 'query': [
        {'field': 'traits.state', 'op': 'eq', 'value': 'active'}]}}


class MetricsTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.engine = engine.Engine(self.db, lambda hint: None, lease=15)
        self.mine = self.create(event_rule=RULE)['alarm_id']
        self.theirs = self.create(base.BOB, event_rule=RULE)['alarm_id']
        self.count = 0
        for project_id, state in [('p1', 'error'), ('p1', 'active'),
                                  ('p1', 'error'), ('p2', 'error')]:
            self.happen(project_id, state)

    def happen(self, project_id, state):
        self.count += 1
        now = datetime.datetime.now(datetime.UTC)
        self.last = event.build(event.Parts(
            message_id='m%d' % self.count, event_type=EVENT, generated=now,
            project_id=project_id,
            traits={'instance_id': 'vm1', 'state': state}), received=now)
        self.engine.process([self.last])

    def show(self, who, query=''):
        found = self.call('get', '/v2/metrics' + query, who=who)
        self.assertEqual(['evaluation_results'], list(found))
        return {item['alarm_id']: (item['project_id'], item['state_counters'])
                for item in found['evaluation_results']}

    def test_of_the_project(self):
        expected = {self.mine: ('p1', {
            'insufficient data': 0, 'ok': 1, 'alarm': 2})}

        self.assertEqual(expected, self.show(base.ALICE))
        self.assertEqual(expected, self.show(base.READER))
        self.assertEqual({}, self.show(base.ADMIN))
        self.assertEqual([self.theirs], list(self.show(base.BOB)))

    def test_of_all_projects(self):
        self.assertEqual({self.mine, self.theirs}, set(
            self.show(base.ADMIN, '?all_projects=true')))
        self.assertEqual({}, self.show(base.ADMIN, '?all_projects=false'))
        self.fault(403, 'get', '/v2/metrics?all_projects=true')

    def test_what_was_set_by_hand_is_no_evaluation(self):
        self.call('put', '/v2/alarms/%s/state' % self.mine, 'ok')

        self.assertEqual(1, self.show(base.ALICE)[self.mine][1]['ok'])

    def test_what_changed_nothing_is_not_counted(self):
        self.happen('p1', 'error')
        self.happen('p1', 'active')
        self.engine.process([self.last])

        self.assertEqual({'insufficient data': 0, 'ok': 2, 'alarm': 2},
                         self.show(base.ALICE)[self.mine][1])

    def test_an_edit_keeps_them(self):
        self.call('put', '/v2/alarms/' + self.mine,
                  self.alarm(name='another', event_rule=RULE))

        self.assertEqual({'insufficient data': 0, 'ok': 1, 'alarm': 2},
                         self.show(base.ALICE)[self.mine][1])

    def test_a_purge_of_the_history_keeps_them(self):
        before = self.show(base.ALICE)
        with self.db.writer() as conn:
            conn.execute(sa.delete(models.change))

        self.assertEqual(before, self.show(base.ALICE))

    def test_of_what_exists(self):
        self.call('delete', '/v2/alarms/' + self.mine)

        self.assertEqual({}, self.show(base.ALICE))

    def test_what_is_wrong_has_a_sentence(self):
        self.fault(403, 'get', '/v2/metrics', who=base.NO_ROLE)
        self.assertIn('foo', self.fault(400, 'get', '/v2/metrics?foo=1'))
        self.assertIn('true or false', self.fault(
            400, 'get', '/v2/metrics?all_projects=maybe', who=base.ADMIN))
