# SPDX-License-Identifier: Apache-2.0
"""What an alarm says of how its deliveries age."""

import json

from doctor_alarm.tests import outbox
from doctor_alarm.tests.unit.api import base

BOTH = {'max_age': 60, 'latest_only': True}


class DeliveryPolicyTest(base.ApiTestCase):

    def given(self, **values):
        created = self.create(**values)
        self.path = '/v2/alarms/' + created['alarm_id']
        return created

    def history(self):
        return [json.loads(entry['detail'])
                for entry in self.call('get', self.path + '/history')]

    def test_nothing_is_said_by_default(self):
        for values in ({}, {'delivery': None}, {'delivery': {}}):
            self.assertEqual({}, self.given(**values)['delivery'])

    def test_it_comes_back_as_it_was_sent(self):
        for said in (BOTH, {'max_age': None}, {'latest_only': False},
                     {'max_age': 2 ** 31 - 1}):
            created = self.given(delivery=said)

            self.assertEqual(said, created['delivery'])
            self.assertEqual(said, self.call('get', self.path)['delivery'])

    def test_a_whole_number_in_any_form(self):
        created = self.given(delivery={'max_age': 60.0})

        self.assertIsInstance(created['delivery']['max_age'], int)

    def test_lists_and_queries(self):
        self.given(delivery=BOTH)

        for found in (self.call('get', '/v2/alarms'),
                      self.call('post', '/v2/query/alarms', {})):
            self.assertEqual([BOTH], [item['delivery'] for item in found])

    def test_what_is_wrong_has_a_sentence(self):
        for said, words in [
                ('fast', 'delivery'), ([], 'delivery'),
                ({'max_age': 0}, 'delivery.max_age'),
                ({'max_age': -1}, 'greater or equal to 1'),
                ({'max_age': 2 ** 31}, 'delivery.max_age'),
                ({'max_age': 1.5}, 'delivery.max_age'),
                ({'max_age': '60'}, 'a whole number'),
                ({'max_age': True}, 'delivery.max_age'),
                ({'latest_only': None}, 'delivery.latest_only'),
                ({'latest_only': 'yes'}, 'true or false'),
                ({'latest_only': 1}, 'delivery.latest_only'),
                ({'age': 1}, 'delivery.age')]:
            self.assertIn(words, self.fault(
                400, 'post', '/v2/alarms', self.alarm(delivery=said)), said)
        self.assertEqual([], self.call('get', '/v2/alarms'))

    def test_a_put_that_does_not_say_it_resets_it(self):
        self.given(delivery=BOTH)

        self.assertEqual(
            {}, self.call('put', self.path, self.alarm())['delivery'])

    def test_what_was_read_can_be_sent_back(self):
        seen = self.given(delivery=BOTH)

        changed = self.call('put', self.path, dict(seen, severity='critical'))

        self.assertEqual(BOTH, changed['delivery'])
        self.assertNotIn('delivery', self.history()[0])

    def test_the_history(self):
        self.given(delivery=BOTH)

        self.call('put', self.path, self.alarm(delivery={'max_age': 5}))

        changed, created = self.history()
        self.assertEqual({'max_age': 5}, changed['delivery'])
        self.assertEqual(BOTH, created['delivery'])

    def test_lanes_that_are_there_follow(self):
        created = self.given(delivery=BOTH)
        box = outbox.Outbox(self.db)
        for alarm_id in (created['alarm_id'], None):
            box.fire(*(box.lane('http://h/%s' % name, alarm_id, **BOTH)
                       for name in 'abc'))

        self.call('put', self.path, self.alarm(delivery={'max_age': 5}))

        for lane in box.lanes():
            self.assertEqual(
                {'max_age': 5} if lane.alarm_id == created['alarm_id']
                else BOTH, json.loads(lane.delivery))
            self.assertIsNotNone(lane.token)
