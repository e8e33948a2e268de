# SPDX-License-Identifier: Apache-2.0
"""Transitions are told after their commit, and only then."""

from unittest import mock

from doctor_alarm.evaluator import engine
from doctor_alarm.evaluator import transaction
from doctor_alarm.objects import announcement
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.evaluator import test_engine


class AnnouncementTest(test_engine.Setting, base.TestCase):

    def database_url(self):
        return None

    def setUp(self):
        super().setUp()
        self.told = []
        self.engine = engine.Engine(
            self.db, self.hints.append, lease=15, tell=self.tell)

    def tell(self, row, severity):
        self.told.append((
            self.get(row['alarm_id']).state,
            *announcement.notification(row, severity)))

    def test_a_transition_is_told_when_it_is_durable(self):
        created = self.an_alarm(severity='critical')

        self.engine.process([test_engine.an_event()])

        (stored, event_type, payload), = self.told
        self.assertEqual(('alarm', 'alarm.state_transition'),
                         (stored, event_type))
        self.assertEqual(
            (created.id, 'p1', 'critical', 'alarm', 'state transition'),
            (payload['alarm_id'], payload['on_behalf_of'],
             payload['severity'], payload['detail']['state'],
             payload['type']))

    def test_what_changes_no_alarm_is_not_told(self):
        self.an_alarm(rule=test_engine.a_rule(vm=None), repeat_actions=True)
        fired = test_engine.an_event()

        self.engine.process([fired])
        self.engine.process([fired])
        self.engine.process([test_engine.an_event(seconds=1),
                             test_engine.an_event(vm='vm2', seconds=2)])

        self.assertEqual(1, len(self.told))

    def test_what_is_not_committed_is_not_told(self):
        self.an_alarm()

        with mock.patch.object(transaction.Work, 'store',
                               side_effect=RuntimeError):
            self.assertRaises(RuntimeError, self.engine.process,
                              [test_engine.an_event()])

        self.assertEqual([], self.told)
