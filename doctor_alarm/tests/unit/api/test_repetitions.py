# SPDX-License-Identifier: Apache-2.0

import dataclasses
import datetime

import fixtures

from doctor_alarm.api import repetitions
from doctor_alarm import event
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.api import base as api_base

NOW = datetime.datetime(2036, 11, 20, 8, tzinfo=datetime.UTC)


class RepetitionsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.memory = repetitions.Repetitions(2.0, lambda: self.now)

    def an_event(self, number=1, **traits):
        return event.Event(
            message_id='m%d' % number, event_type='a', generated=NOW,
            traits={'hostname': 'h1', **traits}, project_id='p1')

    def post(self, *events):
        """Return those that were passed on."""
        news = self.memory.news(events)
        self.memory.taken(news)
        return news

    def test_the_same_for_a_while(self):
        first = self.an_event()
        self.assertEqual([first], self.post(first))
        self.now += 1.9
        self.assertEqual([], self.post(self.an_event()))
        # it does not count from the repetition
        self.now += 0.2
        self.assertEqual([first], self.post(self.an_event()))

    def test_only_what_was_taken_is_known(self):
        self.assertEqual([self.an_event()],
                         self.memory.news([self.an_event()]))
        # the broker was away
        self.assertEqual([self.an_event()],
                         self.memory.news([self.an_event()]))

    def test_who_says_more_is_heard(self):
        self.post(self.an_event())
        for other in (self.an_event(fenced='True'), self.an_event(n=1),
                      dataclasses.replace(self.an_event(), project_id=None),
                      dataclasses.replace(self.an_event(), trusted=False),
                      self.an_event(2)):
            self.assertEqual([other], self.post(other))
            self.assertEqual([], self.post(other))

    def test_within_one_post(self):
        self.post(self.an_event(1))
        self.assertEqual(
            [self.an_event(2), self.an_event(3)], self.post(*(
                self.an_event(number) for number in (1, 2, 3, 2, 1, 3))))

    def test_it_forgets(self):
        for number in range(50):
            self.post(self.an_event(number))
            self.now += 1
        self.assertLessEqual(len(self.memory._until), 3)
        self.useFixture(fixtures.MockPatchObject(repetitions, 'KEPT', 10))
        for number in range(50):
            self.post(self.an_event(number))
        self.assertEqual(10, len(self.memory._until))

    def test_turned_off(self):
        self.memory = repetitions.Repetitions(0.0)
        for _ in range(2):
            self.assertEqual(2 * [self.an_event()],
                             self.post(self.an_event(), self.an_event()))


class PostingTest(api_base.ApiTestCase):

    def prepare(self):
        self.conf.set_override('repetition_interval', 60.0, group='event')

    def post(self, *hosts):
        bodies = [{'event': {
            'time': '2026-11-20T08:00:00Z', 'type': 'compute.host.down',
            'details': {'hostname': host, 'monitor_id': 'm',
                        'monitor_event_id': '1'}}} for host in hosts]
        return self.call('post', '/v1/events', {'events': bodies},
                         api_base.MONITOR, 202)['message_ids']

    def test_each_is_answered_and_one_is_passed_on(self):
        first = self.post('h1')
        self.assertEqual(first, self.post('h1'))
        both = self.post('h1', 'h2', 'h2')
        self.assertEqual(first, both[:1])
        self.assertEqual(both[1], both[2])

        self.assertEqual(both[:2], [each.message_id
                                    for each in self.events.accepted])

    def test_what_was_refused_comes_again(self):
        self.events.broken = True
        self.fault(503, 'post', '/v1/events', {'event': {
            'time': '2026-11-20T08:00:00Z', 'type': 'a', 'details': {
                'hostname': 'h1', 'monitor_id': 'm',
                'monitor_event_id': '1'}}}, api_base.MONITOR)
        self.events.broken = False
        self.post('h1')
        self.assertEqual(1, len(self.events.accepted))
