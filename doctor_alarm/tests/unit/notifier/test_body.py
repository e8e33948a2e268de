# SPDX-License-Identifier: Apache-2.0

import json

from doctor_alarm import composite
from doctor_alarm import event
from doctor_alarm.notifier import body
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.notifier import deliveries
from doctor_alarm import timeout


class BodyTest(base.TestCase):

    def build(self, **values):
        delivery = deliveries.a_delivery(**values)
        return json.loads(body.build(
            delivery, event.to_us(deliveries.WHEN) + 12345))

    def test_aodhs_form_and_what_we_add(self):
        self.assertEqual({
            'alarm_id': 'a1', 'alarm_name': 'vm d\u00f6wn',
            'severity': 'critical', 'previous': 'ok', 'current': 'alarm',
            'reason': 'Event hits the query',
            'reason_data': {
                'type': 'event', 'event': deliveries.an_event().as_dict()},
            'notification_id': 'n1', 'sequence': 7, 'project_id': 'p1',
            'resource_id': 'vm1',
            'event_time': '2026-11-20T10:39:51.925127',
            'fired_at': '2026-11-20T10:39:51.937472',
        }, self.build(id='n1'))

    def test_what_is_sent_again_by_hand_says_so(self):
        self.assertIs(True, self.build(replayed=True)['replayed'])
        self.assertNotIn('replayed', self.build())

    def test_a_time_out_says_so(self):
        built = self.build(reason=timeout.reason('x', '[]', 1_000_000))

        self.assertEqual('timeout', built['reason_data']['type'])
        self.assertEqual(deliveries.an_event().as_dict(),
                         built['reason_data']['event'])

    def test_a_composite_says_why(self):
        tree = composite.compiled(json.dumps(
            {'or': [{'type': 'alarm', 'alarm_id': 'a"}'}]}))
        rules = composite.causes(tree, [True], 'alarm')

        built = self.build(reason_data=composite.reason_data(tree, rules))

        self.assertEqual({
            'type': 'composite', 'composition_form': '(rule1)',
            'causative_rules': {'rule1': {'type': 'alarm',
                                          'alarm_id': 'a"}'}},
            'event': deliveries.an_event().as_dict()}, built['reason_data'])

    def test_texts_of_users_do_not_break_out(self):
        hostile = 'x", "alarm_id": "other\\'

        built = self.build(alarm_name=hostile, reason=hostile)

        self.assertEqual('a1', built['alarm_id'])
        self.assertEqual(hostile, built['alarm_name'])
        self.assertEqual(hostile, built['reason'])
