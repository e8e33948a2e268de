# SPDX-License-Identifier: Apache-2.0

import datetime
import json

from doctor_alarm.api import events
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.tests import base


class Publisher:
    def __init__(self):
        self.payloads = []

    def publish(self, event_type, payload):
        self.payloads.append(payload)


class BusEventsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.publisher = Publisher()
        self.events = events.BusEvents(self.publisher)

    def an_event(self, number, size=1):
        now = datetime.datetime.now(datetime.UTC)
        return event.build(event.Parts(
            message_id='m%d' % number, event_type='a', generated=now,
            traits={}, project_id='p1', raw={'text': 'x' * size}),
            received=now)

    def test_in_order_in_messages_under_a_megabyte(self):
        sent = [self.an_event(n, 100000) for n in range(30)]

        self.events.accept(sent)

        self.assertEqual(
            [e.to_wire() for e in sent],
            [doc for payload in self.publisher.payloads for doc in payload])
        self.assertGreater(len(self.publisher.payloads), 1)
        for payload in self.publisher.payloads:
            self.assertLess(len(json.dumps(payload)), 1000000)

    def test_one_that_is_too_large_keeps_all_back(self):
        self.assertRaises(exception.Invalid, self.events.accept, [
            self.an_event(1), self.an_event(2, events.MAX_SIZE)])
        self.assertEqual([], self.publisher.payloads)
