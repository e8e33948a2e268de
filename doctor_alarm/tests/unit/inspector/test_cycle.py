# SPDX-License-Identifier: Apache-2.0

import logging
import threading

import fixtures

from doctor_alarm.inspector import cycle
from doctor_alarm.inspector import lookup
from doctor_alarm.inspector import resource_map
from doctor_alarm.inspector import sighting
from doctor_alarm.tests import base


class CycleTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.failure = None
        self.bounds = []

    def work(self):
        if self.failure:
            raise self.failure

    def made(self, interval=300):
        def chance(low, high):
            self.bounds.append((low, high))
            return (low + high) / 2
        return cycle.Cycle('nova', self.work, interval, chance)

    def test_pauses_vary(self):
        self.assertEqual(300, self.made().once())
        self.assertEqual([(240, 360)], self.bounds)

    def test_failures_back_off_and_are_told_once(self):
        made = self.made()
        self.failure = ValueError('password=hush-hush-7 is wrong')
        pauses = [made.once() for _ in range(1100)]
        self.assertEqual([1, 2, 4, 8, 16, 32, 60, 60], pauses[:8])
        self.assertEqual(60, pauses[-1])
        self.failure = None
        self.assertEqual(300, made.once())
        self.failure = ValueError()
        self.assertEqual(1, made.once())

        self.assertEqual(2, self.log.output.count('stays as it is'))
        self.assertIn('Nova can be read again, after 1100 failures',
                      self.log.output)
        self.assertNotIn('hush-hush', self.log.output)

    def test_never_slower_for_a_failure(self):
        made = self.made(interval=2)
        self.failure = ValueError()
        self.assertEqual([1, 2, 2], [made.once() for _ in range(3)])

    def test_it_ends(self):
        done = threading.Event()
        made = cycle.Cycle('nova', done.set, 0.01)
        made.start()
        self.assertTrue(done.wait(60))
        made.stop(60)
        self.assertFalse(made._thread.is_alive())


class Nova:
    """Answers when it is told to."""

    def __init__(self, failure=None):
        self.failure = failure
        self.asked = []
        self.answer = threading.Event()

    def servers_of(self, host):
        self.asked.append(host)
        self.answer.wait(60)
        if self.failure:
            raise self.failure
        yield sighting.Sighting(
            sighting.Server('s-' + host, 'n', 'p', host), 1)


class LookupTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.nova = Nova()
        self.addCleanup(self.nova.answer.set)

    def made(self, timeout=120.0, pause=120.0):
        return resource_map.ResourceMap(60, lookup.Lookup(
            self.nova, timeout, pause))

    def test_an_answer(self):
        found = self.made()
        self.nova.answer.set()
        self.assertEqual(1, len(found.servers_of('h1')))
        self.assertEqual(1, len(found.servers_of('h1')))
        self.assertEqual(['h1'], self.nova.asked)

    def test_many_ask_for_a_host_once(self):
        found = self.made()
        answers = []
        threads = [threading.Thread(
            target=lambda: answers.append(found.servers_of('h1')))
            for _ in range(8)]
        for thread in threads:
            thread.start()
        self.wait_until(lambda: self.nova.asked)
        self.nova.answer.set()
        for thread in threads:
            thread.join()
        self.assertEqual(['h1'], self.nova.asked)
        self.assertEqual({1}, {len(answer) for answer in answers})

    def test_no_answer_in_time(self):
        found = self.made(timeout=0.05)
        self.assertEqual([], found.servers_of('h1'))
        # the next ones do not wait
        self.assertEqual([], found.servers_of('h2'))
        self.assertEqual(['h1'], self.nova.asked)
        self.assertIn('no answer within 0.05 s', self.log.output)
        # it is late, and counts
        self.nova.answer.set()
        self.wait_until(lambda: len(found))
        self.assertEqual(1, len(found.servers_of('h1')))

    def test_a_failure_leaves_what_is_known(self):
        found = self.made(pause=0)
        found.apply(sighting.Sighting(
            sighting.Server('known', 'n', 'p', 'h1'), 1))
        self.nova.failure = OSError('token=hush-hush-7 refused')
        self.nova.answer.set()
        for _ in range(2):
            self.assertEqual(
                ['known'], [each.id for each in found.servers_of('h1')])
        self.assertEqual(['h1', 'h1'], self.nova.asked)
        self.assertIn('what is known of it counts', self.log.output)
        self.assertNotIn('hush-hush', self.log.output)

    def test_not_too_many_at_a_time(self):
        found = self.made()
        threads = [threading.Thread(
            target=found.servers_of, args=('h%d' % number,))
            for number in range(lookup.LIMIT)]
        for thread in threads:
            thread.start()
        self.wait_until(lambda: len(self.nova.asked) == lookup.LIMIT)
        self.assertEqual([], found.servers_of('one more'))
        self.nova.answer.set()
        for thread in threads:
            thread.join()
        self.assertEqual(lookup.LIMIT, len(self.nova.asked))
