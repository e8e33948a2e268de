# SPDX-License-Identifier: Apache-2.0

import datetime
import json
import threading

import fixtures

from doctor_alarm.api import events
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.tests import base


class Publisher:
    def __init__(self):
        self.payloads = []
        self.failure = None
        self.under_way = 0
        self.released = threading.Event()
        self.released.set()

    def publish(self, event_type, payload):
        self.under_way += 1
        self.released.wait(60)
        if self.failure:
            raise self.failure
        self.payloads.append(payload)


class BusEventsCase(base.TestCase):

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


class BusEventsTest(BusEventsCase):

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


class CrowdTest(BusEventsCase):
    """Many at once, and a broker that is slow."""

    def given_a_slow_broker(self):
        self.publisher.released.clear()
        self.addCleanup(self.publisher.released.set)
        self.found = {}
        self.threads = []
        for number in range(events.TURNS):
            self.start(number)
            self.wait_until(
                lambda number=number: self.publisher.under_way == number + 1)

    def start(self, number):
        def accept():
            try:
                self.events.accept([self.an_event(number)])
                self.found[number] = None
            except Exception as exc:
                self.found[number] = exc
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        self.threads.append(thread)

    def finish(self):
        self.publisher.released.set()
        for thread in self.threads:
            thread.join(60)

    def waiting(self):
        return [] if self.events._open is None else self.events._open.docs

    def test_those_who_wait_share_a_message(self):
        self.given_a_slow_broker()
        for number in range(events.TURNS, events.PLACES):
            self.start(number)
        self.wait_until(lambda: len(self.waiting()) == (
            events.PLACES - events.TURNS))
        self.assertEqual({}, self.found)
        self.finish()

        self.assertEqual(dict.fromkeys(range(events.PLACES)), self.found)
        self.assertEqual(events.TURNS + 1, len(self.publisher.payloads))
        self.assertEqual(
            {'m%d' % number for number in range(events.PLACES)},
            {doc['message_id'] for payload in self.publisher.payloads
             for doc in payload})
        # and the next one is alone again
        self.events.accept([self.an_event(99)])
        self.assertEqual(1, len(self.publisher.payloads[-1]))

    def test_a_failure_is_that_of_all_who_share(self):
        self.given_a_slow_broker()
        for number in range(events.TURNS, events.PLACES):
            self.start(number)
        self.wait_until(lambda: len(self.waiting()) == (
            events.PLACES - events.TURNS))
        self.publisher.failure = exception.PublishFailed(
            topic='t', reason='the broker is away')
        self.finish()

        self.assertEqual(events.PLACES, len(self.found))
        for error in self.found.values():
            self.assertIsInstance(error, exception.PublishFailed)
            self.assertIn('the broker is away', str(error))
        self.publisher.failure = None
        self.events.accept([self.an_event(99)])

    def test_more_do_not_wait_for_long(self):
        self.useFixture(fixtures.MockPatchObject(events, 'PATIENCE', 0.01))
        self.given_a_slow_broker()
        for number in range(events.TURNS, events.PLACES):
            self.start(number)
        self.wait_until(lambda: len(self.waiting()) == (
            events.PLACES - events.TURNS))

        self.assertRaises(exception.PublishFailed, self.events.accept,
                          [self.an_event(99)])
        self.finish()
        self.assertEqual(dict.fromkeys(range(events.PLACES)), self.found)
