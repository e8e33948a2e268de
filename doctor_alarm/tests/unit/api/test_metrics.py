# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.objects import change
from doctor_alarm.tests.unit.api import base


class MetricsTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.mine = self.create()['alarm_id']
        self.theirs = self.create(base.BOB)['alarm_id']
        self.count = 0
        for alarm_id, project_id, state in [
                (self.mine, 'p1', 'alarm'), (self.mine, 'p1', 'ok'),
                (self.mine, 'p1', 'alarm'), (self.theirs, 'p2', 'alarm')]:
            self.evaluated(alarm_id, project_id, state)

    def evaluated(self, alarm_id, project_id, state):
        """A transition as the evaluator stores it."""
        self.count += 1
        with self.db.writer() as conn:
            change.insert(conn, [change.row(
                alarm_id=alarm_id, on_behalf_of=project_id,
                type=change.Type.STATE_TRANSITION,
                detail={'state': state, 'transition_reason': 'Event'},
                timestamp=self.db.now(), actor=change.SERVICE,
                message_id='m%d' % self.count)])

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

    def test_of_what_exists(self):
        self.call('delete', '/v2/alarms/' + self.mine)

        self.assertEqual({}, self.show(base.ALICE))

    def test_what_is_wrong_has_a_sentence(self):
        self.fault(403, 'get', '/v2/metrics', who=base.NO_ROLE)
        self.assertIn('foo', self.fault(400, 'get', '/v2/metrics?foo=1'))
        self.assertIn('true or false', self.fault(
            400, 'get', '/v2/metrics?all_projects=maybe', who=base.ADMIN))
