# SPDX-License-Identifier: Apache-2.0

import contextlib
import dataclasses
import logging
import threading
import time
import tracemalloc
from unittest import mock

import fixtures
from oslo_db import exception as db_exc
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier import dispatcher
from doctor_alarm.notifier import ledger
from doctor_alarm.notifier import registry
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import lane as lane_obj
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching
from doctor_alarm.tests import faults
from doctor_alarm.tests import outbox

RETRY = notifier.Outcome.retry('HTTP 503')
#: Characters of a large event.
SIZE = 60000


class OrderTest(dispatching.DispatcherTests, base.TestCase):

    def test_deliveries_of_a_lane_go_out_one_after_the_other(self):
        # More than are loaded at once.
        lane, count = self.lane(), 2 * ledger.AHEAD + 3
        given = self.a_dispatcher()

        given.wake(self.outbox.fire(lane, times=count))
        self.wait_idle()

        self.assertEqual(list(range(1, count + 1)), self.plugin.of(lane))
        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertEqual(1, self.plugin.most)

    def test_an_idle_lane_has_no_lease(self):
        lane = self.lane()

        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_idle()

        row, = self.outbox.lanes()
        self.assertEqual((3, 2, None, None, 0), (
            row.head, row.tail, row.due, row.token, row.attempts))

    def test_the_stages_are_stored(self):
        hint = self.outbox.fire(self.lane())

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        row, = self.outbox.deliveries()
        self.assertEqual(hint['committed_at'], row.committed_at)
        self.assertTrue(row.committed_at <= row.fired_at <= row.received_at)
        self.assertEqual((1, None), (row.attempts, row.last_error))

    def test_how_long_a_fault_took_to_its_receivers(self):
        root = faults.root(seconds=-10)
        told = faults.derived(root, {'vm1': 'p1'})
        # given: also what others tell in such words, and outcomes
        forged = dataclasses.replace(told[1], message_id='posted')
        before = faults.observed()
        given = self.a_dispatcher()
        for event in [root, *told, forged, *faults.outcomes(told, 1)]:
            given.wake(self.outbox.fire(self.lane(), event=event))
        self.wait_idle()

        seen = faults.observed(since=before)
        self.assertEqual({'delivered'}, set(seen))
        count, seconds = seen['delivered']
        self.assertEqual(3, count)
        self.assertGreaterEqual(seconds, 30)

    def test_nothing_took_what_was_refused(self):
        event = faults.derived(faults.root(), {'vm1': 'p1'})[0]
        before = faults.observed()
        self.plugin.answers['r1'].append(
            notifier.Outcome.rejected('HTTP 400'))

        self.a_dispatcher().wake(self.outbox.fire(self.lane(), event=event))
        self.wait_idle()

        self.assertEqual(['dead'], self.outbox.statuses())
        self.assertEqual({}, faults.observed(since=before))

    def test_only_what_the_wake_up_is_about_has_its_commit_time(self):
        lane = self.lane()
        hint = self.outbox.fire(lane)
        self.outbox.fire(lane, created_at=hint['committed_at'] + 1)

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual(
            [hint['committed_at'], None],
            [row.committed_at for row in self.outbox.deliveries()])

    def test_lanes_of_a_receiver_do_not_wait_for_each_other(self):
        lanes = [self.lane() for _ in range(4)]
        self.plugin.hold('r1')

        self.a_dispatcher().wake(self.outbox.fire(*lanes))

        self.wait_until(lambda: self.plugin.running == 4)
        self.plugin.release('r1')
        self.wait_idle()

    def test_the_concurrency_of_a_receiver(self):
        self.configure(receiver_concurrency=2)
        lanes = [self.lane() for _ in range(20)]
        self.plugin.hold('r1')

        self.a_dispatcher().wake(self.outbox.fire(*lanes))
        self.wait_until(lambda: self.plugin.running == 2)
        self.plugin.release('r1')
        self.wait_idle()

        self.assertEqual(2, self.plugin.most)

    def test_a_wake_up_that_comes_twice_is_one(self):
        lane = self.lane()
        hint = self.outbox.fire(lane, times=3)
        given = self.a_dispatcher()

        self.plugin.hold('r1')
        for _ in range(3):
            given.wake(hint)
        self.wait_until(lambda: self.plugin.running)
        given.wake(hint)
        # Wake-ups are taken in turn.
        given.wake(self.outbox.fire(self.lane('other')))
        self.wait_until(lambda: self.plugin.at('other'))
        self.plugin.release('r1')
        self.wait_idle()
        given.wake(hint)
        given.stop()

        self.assertEqual([1, 2, 3], self.plugin.of(lane))

    def test_a_wake_up_that_comes_again_at_the_end(self):
        lane = self.lane()
        hint = self.outbox.fire(lane)
        self.plugin.hold('r1')
        given = self.a_dispatcher()
        given.wake(hint)
        self.wait_until(lambda: self.plugin.running)
        read, go_on = threading.Event(), threading.Event()
        waiting = delivery_obj.waiting

        def slow(*args):
            found = waiting(*args)
            read.set()
            go_on.wait(60)
            return found

        with mock.patch.object(delivery_obj, 'waiting', slow):
            given.wake(hint)
            read.wait(60)
            # What was read is no longer so when it is looked at.
            self.plugin.release('r1')
            self.wait_idle()
            go_on.set()
            given.wake(self.outbox.fire(self.lane('other')))
            self.wait_until(lambda: self.plugin.at('other'))
        given.stop()

        self.assertEqual([1], self.plugin.of(lane))

    def test_a_gap_is_stepped_over(self):
        lane = self.lane()
        hint = self.outbox.fire(lane, times=3 * ledger.AHEAD)
        with self.db.writer() as conn:
            conn.execute(sa.delete(models.delivery).where(
                models.delivery.c.sequence > 1,
                models.delivery.c.sequence < 3 * ledger.AHEAD))

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual([1, 3 * ledger.AHEAD], self.plugin.of(lane))

    def test_the_event_may_be_gone(self):
        seen = []
        self.plugin.answers['r1'].append(seen.append)
        hint = self.outbox.fire(self.lane())
        with self.db.writer() as conn:
            conn.execute(sa.delete(models.event))

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual({'message_id': seen[0].message_id}, seen[0].event)


class RaceTest(dispatching.DispatcherTests, base.TestCase):
    """Between the commit of an outcome and an evaluator."""

    def test_a_lane_that_grew_meanwhile_is_not_freed(self):
        lane = self.lane()
        hints = []
        self.plugin.answers['r1'].append(
            lambda _delivery: hints.append(self.outbox.fire(lane)))

        self.a_dispatcher().wake(self.outbox.fire(lane))
        self.wait_idle()

        self.assertEqual([[]], [hint['lanes'] for hint in hints])
        self.assertEqual([1, 2], self.plugin.of(lane))

    def test_nothing_is_stranded_while_an_evaluator_appends(self):
        self.configure(sweep_interval=1000.0)
        lanes = [self.lane() for _ in range(5)]
        given = self.a_dispatcher()

        for _ in range(60):
            given.wake(self.outbox.fire(*lanes))
        self.wait_idle()

        for lane in lanes:
            self.assertEqual(list(range(1, 61)), self.plugin.of(lane))
        self.assertEqual({'delivered'}, set(self.outbox.statuses()))

    def test_an_outcome_whose_lease_was_lost_changes_nothing(self):
        self.configure(sweep_interval=1000.0)
        lane = self.lane()
        self.plugin.hold('r1')
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(lane, times=2))
        self.wait_until(lambda: self.plugin.running)

        # Another notifier takes the lane.
        with self.db.writer() as conn:
            conn.execute(sa.update(models.lane).values(token='other'))
        self.plugin.release('r1')
        given.stop()

        row, = self.outbox.lanes()
        self.assertEqual((1, 'other'), (row.head, row.token))
        self.assertEqual(['pending'] * 2, self.outbox.statuses())
        self.assertEqual([1], self.plugin.of(lane))

    def test_a_lane_that_was_lost_is_delivered_by_the_next_sweep(self):
        lane = self.lane()
        self.plugin.hold('r1')
        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_until(lambda: self.plugin.running)

        with self.db.writer() as conn:
            conn.execute(sa.update(models.lane).values(token='other'))
        self.plugin.release('r1')
        self.outbox.expire()
        self.wait_idle()

        self.assertEqual([1, 1, 2], self.plugin.of(lane))
        self.assertEqual(['delivered'] * 2, self.outbox.statuses())


class LeaseTest(dispatching.DispatcherTests, base.TestCase):

    options = {'sweep_interval': 1000.0}

    def setUp(self):
        super().setUp()
        self.clock = self.useFixture(dispatching.Clock())

    def test_nothing_starts_that_could_outlast_its_lease(self):
        given = self.a_dispatcher()
        self.outbox.lease = self.conf.notifier.timeout * 0.9
        late = self.lane()
        given.wake(self.outbox.fire(late))
        self.outbox.lease = self.conf.notifier.timeout * 3
        given.wake(self.outbox.fire(self.lane('other')))
        self.wait_until(lambda: self.plugin.at('other'))

        given.stop()

        self.assertEqual([], self.plugin.of(late))
        self.assertIn('pending', self.outbox.statuses())

    def test_a_turn_that_comes_too_late_is_not_taken(self):
        self.configure(receiver_concurrency=1)
        lanes = [self.lane() for _ in range(5)]
        self.plugin.hold('r1')
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(*lanes))
        self.wait_until(lambda: self.plugin.running)

        # What is left of the leases is less than a call may take.
        self.clock.advance(
            self.outbox.lease - self.conf.notifier.timeout + 1)
        last = self.lane()
        given.wake(self.outbox.fire(last))
        self.plugin.release('r1')
        self.wait_until(lambda: self.plugin.of(last))

        # Its turn was after theirs.
        self.assertEqual(2, len(self.plugin.seen))
        given.stop()
        self.assertEqual(['delivered'] * 2 + ['pending'] * 4,
                         sorted(self.outbox.statuses()))

    def test_the_lease_must_be_longer_than_two_attempts(self):
        self.configure(lease=10.0, timeout=5.0)

        error = self.assertRaises(
            exception.ConfigurationError, dispatcher.Dispatcher,
            self.conf, self.db, registry.Registry({}))

        self.assertIn('[notifier] lease', str(error))

    def test_a_long_lane_keeps_its_lease(self):
        lane = self.lane()

        def slow(_delivery):
            # All together outlast the lease by far.
            self.clock.advance(self.conf.notifier.timeout - 1)

        self.plugin.answers['r1'].extend([slow] * 12)
        self.a_dispatcher().wake(self.outbox.fire(lane, times=12))
        self.wait_idle()

        self.assertEqual(list(range(1, 13)), self.plugin.of(lane))


class SweepTest(dispatching.DispatcherTests, base.TestCase):

    def test_finds_at_the_start_what_a_killed_notifier_had(self):
        lanes = [self.lane('r%d' % i) for i in range(20)]
        self.outbox.fire(*lanes, times=2)
        self.outbox.expire()

        self.a_dispatcher()
        self.wait_idle()

        for lane in lanes:
            self.assertEqual([1, 2], self.plugin.of(lane))

    def test_leaves_leases_that_are_in_force(self):
        self.outbox.fire(self.lane('leased'))
        given = self.a_dispatcher()
        for _ in range(3):
            given.wake(self.outbox.fire(self.lane()))
            self.wait_until(lambda: self.outbox.waiting() == 1)

        self.assertEqual([], self.plugin.at('leased'))

    def test_two_notifiers_share_the_lanes(self):
        lanes = [self.lane('r%d' % (i % 7)) for i in range(100)]
        self.outbox.fire(*lanes, times=2)
        self.outbox.expire()
        other = dispatching.Plugin(self.conf)

        self.a_dispatcher()
        self.a_dispatcher({'test': other})
        self.wait_idle()

        for lane in lanes:
            self.assertEqual(
                [1, 2], self.plugin.of(lane) or other.of(lane))
            self.assertFalse(self.plugin.of(lane) and other.of(lane))


class RetryTest(dispatching.DispatcherTests, base.TestCase):

    def test_the_next_waits_until_the_first_is_delivered(self):
        self.plugin.answers['r1'].extend([RETRY, RETRY])
        lane = self.lane()

        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_idle()

        self.assertEqual([1, 1, 1, 2], self.plugin.of(lane))
        first, second = self.outbox.deliveries()
        self.assertEqual((3, 'HTTP 503'), (first.attempts, first.last_error))
        self.assertEqual((1, None), (second.attempts, second.last_error))

    def test_a_retry_does_not_wait_for_the_regular_sweep(self):
        self.configure(
            sweep_interval=1000.0, retry_initial=0.3, retry_max=0.3)
        self.plugin.answers['r1'].append(RETRY)
        given = self.a_dispatcher()
        started = time.monotonic()

        given.wake(self.outbox.fire(self.lane()))
        self.wait_idle()

        self.assertGreater(time.monotonic() - started, 0.3 * 0.8)

    def test_between_attempts_the_lane_is_anybodys(self):
        self.configure(retry_initial=1000.0, retry_max=1000.0)
        self.plugin.answers['r1'].append(RETRY)

        self.a_dispatcher().wake(self.outbox.fire(self.lane()))
        row = self.wait_until(
            lambda: [r for r in self.outbox.lanes() if r.attempts])[0]

        self.assertEqual((1, 1, None), (row.head, row.attempts, row.token))
        self.assertAlmostEqual(
            1000, (row.due - self.db.now()) / 1e6, delta=260)
        delivery, = self.outbox.deliveries()
        self.assertEqual(
            ('pending', 'HTTP 503'), (delivery.status, delivery.last_error))
        self.assertIsNotNone(delivery.received_at)

    def test_pauses_grow_with_the_attempts_of_the_delivery(self):
        self.configure(retry_initial=0.01, retry_max=100.0)
        self.plugin.answers['r1'].extend([RETRY] * 5)
        lane = self.lane()

        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_idle()

        self.assertEqual([1] * 6 + [2], self.plugin.of(lane))
        self.assertEqual(0, self.outbox.lanes()[0].attempts)

    def test_a_rejected_one_steps_aside(self):
        self.plugin.answers['r1'].append(
            notifier.Outcome.rejected('HTTP 404 Not Found'))
        lane = self.lane()

        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_idle()

        self.assertEqual([1, 2], self.plugin.of(lane))
        self.assertEqual(['dead', 'delivered'], self.outbox.statuses())
        self.assertEqual('HTTP 404 Not Found',
                         self.outbox.deliveries()[0].last_error)

    def test_one_that_is_too_old_steps_aside(self):
        self.plugin.answers['r1'].append(RETRY)
        lane = self.lane()
        hint = self.outbox.fire(
            lane, created_at=time.time_ns() // 1000 - 86401 * 10 ** 6)
        self.outbox.fire(lane)

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual(['dead', 'delivered'], self.outbox.statuses())

    def test_a_plugin_that_raises(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        self.plugin.answers['r1'].extend([ValueError('s3cr3t')] * 3)
        lane = self.lane()

        self.a_dispatcher().wake(self.outbox.fire(lane))
        self.wait_idle()

        row, = self.outbox.deliveries()
        self.assertEqual(('delivered', 4), (row.status, row.attempts))
        self.assertEqual(
            'the notifier plugin failed: ValueError', row.last_error)
        self.assertEqual(
            1, logged.output.count('Notifier plugin test failed'))

    def test_actions_that_nothing_serves(self):
        given = self.a_dispatcher()
        for action in ('gopher://x/', 'no url', 'test://[', 'test://h:x/',
                       ''):
            given.wake(self.outbox.fire(self.outbox.lane(action)))
        self.wait_idle()

        self.assertEqual(['dead'] * 5, self.outbox.statuses())
        for row in self.outbox.deliveries():
            self.assertTrue(row.last_error)

    def test_reasons_of_plugins_are_one_line(self):
        self.plugin.answers['r1'].append(
            notifier.Outcome.rejected('a\n\x00b' + 'c' * 10000))

        self.a_dispatcher().wake(self.outbox.fire(self.lane()))
        self.wait_idle()

        error = self.outbox.deliveries()[0].last_error
        self.assertTrue(error.startswith('a bccc'))
        self.assertLess(len(error), 600)


class IsolationTest(dispatching.DispatcherTests, base.TestCase):

    def test_a_receiver_that_hangs_delays_nobody(self):
        # Two calls of the one that hangs are all calls there are.
        self.configure(max_concurrency=8)
        self.plugin.hold('hangs')
        bad = [self.lane('hangs') for _ in range(50)]
        good = [self.lane('good') for _ in range(50)]
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(*bad))
        self.wait_until(lambda: self.plugin.running)

        given.wake(self.outbox.fire(*good))
        self.wait_until(lambda: len(self.plugin.at('good')) == 50)

        # No call of the other one was given up for that.
        self.assertTrue(self.plugin.running)
        self.assertEqual({0}, {
            row.attempts for row in self.outbox.deliveries()
            if row.lane_id in {lane.id for lane in bad}})
        self.plugin.release('hangs')
        self.wait_idle()

    def test_a_call_ends_in_time(self):
        self.configure(timeout=0.1)
        self.plugin.hold('r1')

        self.a_dispatcher().wake(self.outbox.fire(self.lane()))
        self.wait_until(lambda: self.outbox.deliveries()[0].attempts >= 1)
        self.plugin.release('r1')
        self.wait_idle()

        row, = self.outbox.deliveries()
        self.assertEqual('no answer within 0.1 s', row.last_error)
        self.assertEqual('delivered', row.status)

    def test_a_receiver_that_is_not_reached_is_asked_once_at_a_time(self):
        self.configure(retry_initial=0.3, retry_max=0.3)
        gone = notifier.Outcome.retry('refused', answered=False)
        self.plugin.answers['r1'].extend([gone] * 1000)
        lanes = [self.lane() for _ in range(200)]

        self.a_dispatcher().wake(self.outbox.fire(*lanes))
        self.wait_until(lambda: len(self.plugin.seen) > 5)
        first = len(self.plugin.seen)
        self.wait_until(lambda: len(self.plugin.seen) > first)
        self.assertLess(len(self.plugin.seen), 20)
        self.plugin.answers.clear()
        self.wait_idle()

        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertLessEqual(
            max(row.attempts for row in self.outbox.deliveries()), 5)

    def test_the_excess_goes_back_to_the_lanes(self):
        self.configure(max_waiting=10, retry_initial=0.05)
        self.plugin.hold('r1')
        lanes = [self.lane() for _ in range(40)]

        self.a_dispatcher().wake(self.outbox.fire(*lanes))
        self.wait_until(lambda: sum(
            row.token is None for row in self.outbox.lanes()) >= 30)
        self.assertTrue(all(row.due for row in self.outbox.lanes()))
        self.plugin.release('r1')
        self.wait_idle()

        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertEqual(40, len(self.plugin.seen))

    def test_the_backlog_of_wake_ups_is_bounded(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.dispatcher.BACKLOG', 10))
        given = self.a_dispatcher()
        hint = self.outbox.fire(*(self.lane() for _ in range(11)))

        given.wake(hint)
        given.wake(self.outbox.fire(self.lane('small')))
        self.wait_until(lambda: self.plugin.at('small'))

        self.assertEqual(1, len(self.plugin.seen))
        self.outbox.expire()
        self.wait_idle()


    def test_wake_ups_that_can_not_be_read_are_bounded(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.dispatcher.BACKLOG', 10))
        outage = Outage(self.db)
        outage.hang()
        self.addCleanup(outage.release)
        given = self.a_dispatcher(db=outage)
        self.wait_until(lambda: outage.failures)

        for _ in range(10):
            given.wake(self.outbox.fire(*(self.lane() for _ in range(5))))
            self.wait_until(lambda: not given._arrived)

        # Some of them are being read.
        self.assertLessEqual(given._lanes.backlog, 10)
        outage.away.clear()
        outage.release()
        self.outbox.expire()
        self.wait_idle()
        self.assertEqual(50, len(self.plugin.seen))


class MemoryTest(dispatching.DispatcherTests, base.TestCase):

    options = {'max_concurrency': 4}

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.bodies.KEPT', 10 * SIZE))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.BODIES', 3))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.BODIES_SIZE', 5 * SIZE))
        self.read = []
        read = delivery_obj.bodies

        def noted(conn, dialect, message_ids):
            self.read.extend(message_ids)
            return read(conn, dialect, message_ids)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.delivery.bodies', noted))

    @staticmethod
    def a_large_event():
        return outbox.an_event(traits={'text': 'x' * SIZE})

    def test_lanes_that_wait_hold_no_bodies(self):
        self.plugin.hold('r1')
        given = self.a_dispatcher()
        lanes = [self.lane() for _ in range(50)]
        events = [self.a_large_event() for _ in lanes]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for lane, event in zip(lanes, events, strict=True):
            given.wake(self.outbox.fire(lane, event=event))
        self.wait_until(lambda: sum(
            receiver.active + len(receiver.queue) for receiver
            in given._lanes._calling.receivers._receivers.values()) == 50)

        # Those that are kept, and those of the calls.
        self.assertLess(tracemalloc.get_traced_memory()[0], 20 * SIZE)
        bodies = []
        self.plugin.answers['r1'].extend(
            [lambda delivery: bodies.append(delivery.event)] * 50)
        self.plugin.release('r1')
        self.wait_idle()

        # Each got its own, whatever was dropped in the meantime.
        self.assertEqual(
            sorted(event.message_id for event in events),
            sorted(body['message_id'] for body in bodies))

    def test_a_load_of_large_bodies_is_bounded(self):
        hints = [self.outbox.fire(self.lane(), event=self.a_large_event())
                 for _ in range(20)]
        leases = [lane_obj.Lease(*hint['lanes'][0], hint['lease_until'])
                  for hint in hints]

        loaded, bodies = ledger.Ledger(self.conf, self.db).load(leases)

        self.assertEqual(20, len(loaded))
        self.assertEqual(6, len(bodies))

    def test_a_body_is_read_once_for_many_deliveries(self):
        lanes = [self.lane() for _ in range(20)]
        event = self.a_large_event()
        given = self.a_dispatcher()

        given.wake(self.outbox.fire(*lanes, event=event, times=12))
        self.wait_idle()

        self.assertEqual(240, len(self.plugin.seen))
        self.assertEqual([event.message_id], self.read)

    def test_nothing_is_kept_when_all_is_told(self):
        event = self.a_large_event()
        given = self.a_dispatcher()

        given.wake(self.outbox.fire(self.lane(), event=event))
        self.wait_idle()

        self.assertEqual([event.message_id], self.read)
        self.wait_until(
            lambda: event.message_id not in given._lanes._bodies)

    def test_long_texts_are_not_read_ahead(self):
        lane = self.lane()
        hint = self.outbox.fire(
            lane, times=ledger.AHEAD, reason='x' * ledger.AHEAD_SIZE)
        lease = lane_obj.Lease(*hint['lanes'][0], hint['lease_until'])

        loaded, = ledger.Ledger(self.conf, self.db).load([lease])[0]
        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual([1], [row.sequence for row in loaded.rows])
        self.assertEqual(
            list(range(1, ledger.AHEAD + 1)), self.plugin.of(lane))

    def test_a_body_that_can_not_be_read_hurts_only_its_delivery(self):
        self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        bad, good = self.a_large_event(), self.a_large_event()
        given = self.a_dispatcher()
        read = given._lanes._bodies._read

        def fussy(message_ids):
            if bad.message_id in message_ids:
                raise db_exc.DBDataError()
            return read(message_ids)

        given._lanes._bodies._read = fussy
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger._first_events',
            lambda lanes, known: []))
        given.wake(self.outbox.fire(self.lane('bad'), event=bad))
        given.wake(self.outbox.fire(self.lane('good'), event=good))

        self.wait_until(lambda: self.plugin.at('good'))
        given._lanes._bodies._read = read
        self.outbox.expire()
        self.wait_idle()
        self.assertTrue(self.plugin.at('bad'))


class StopTest(dispatching.DispatcherTests, base.TestCase):

    options = {'receiver_concurrency': 2, 'sweep_interval': 1000.0}

    def test_finishes_what_is_under_way_and_gives_back_the_rest(self):
        self.plugin.hold('r1')
        lanes = [self.lane() for _ in range(10)]
        given = self.a_dispatcher()
        hint = self.outbox.fire(*lanes, times=2)
        with self.db.writer() as conn:
            conn.execute(sa.update(models.lane).values(attempts=3))
        given.wake(hint)
        self.wait_until(lambda: self.plugin.running == 2)

        stopper = threading.Thread(target=given.stop)
        stopper.start()
        self.wait_until(lambda: sum(
            row.token is None for row in self.outbox.lanes()) == 8)
        given.wake(self.outbox.fire(self.lane('late')))
        # It is somebody else's at once: calls may take their time.
        self.wait_until(lambda: sum(
            row.token is None for row in self.outbox.lanes()) == 9)
        self.plugin.release('r1')
        stopper.join(60)

        self.assertFalse(stopper.is_alive())
        self.assertEqual(2, len(self.plugin.seen))
        rows = [row for row in self.outbox.lanes() if row.tail == 2]
        self.assertEqual([1] * 8 + [2] * 2, sorted(r.head for r in rows))
        self.assertEqual(
            [0] * 2 + [3] * 8, sorted(r.attempts for r in rows))
        for row in rows:
            self.assertIsNone(row.token)
            self.assertLessEqual(row.due, self.db.now())

    def test_the_next_one_goes_on(self):
        self.plugin.hold('r1')
        lanes = [self.lane() for _ in range(10)]
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(*lanes, times=3))
        self.wait_until(lambda: self.plugin.running == 2)
        self.plugin.release('r1')
        given.stop()

        self.a_dispatcher()
        self.wait_idle()

        for lane in lanes:
            self.assertEqual([1, 2, 3], self.plugin.of(lane))

    def test_wake_ups_after_the_end_are_ignored(self):
        given = self.a_dispatcher()
        given.stop()

        given.wake(self.outbox.fire(self.lane()))
        given.stop()

        self.assertEqual([], self.plugin.seen)

    def test_a_plugin_that_can_not_start_stops_the_start(self):
        class Wrong(dispatching.Plugin):
            async def start(self):
                raise exception.ConfigurationError(where='x', reason='y')

        made = dispatcher.Dispatcher(
            self.conf, self.db, registry.Registry(
                {'test': Wrong(self.conf)}))

        self.assertRaises(exception.ConfigurationError, made.start)


class Outage:
    """A database that goes away and comes back."""

    def __init__(self, db):
        self._db = db
        self.away = threading.Event()
        self.failures = 0
        self._hangs = None

    def hang(self):
        """Do not even refuse, until :meth:`release`."""
        self._hangs = threading.Event()
        self.away.set()

    def release(self):
        self._hangs.set()

    def __getattr__(self, name):
        return getattr(self._db, name)

    @contextlib.contextmanager
    def reader(self):
        self._check()
        with self._db.reader() as conn:
            yield conn

    @contextlib.contextmanager
    def writer(self):
        self._check()
        with self._db.writer() as conn:
            yield conn

    def _check(self):
        if self.away.is_set():
            self.failures += 1
            if self._hangs:
                self._hangs.wait()
            raise db_exc.DBConnectionError()


class DatabaseTest(dispatching.DispatcherTests, base.TestCase):

    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(
            fixtures.FakeLogger(level=logging.WARNING))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.GRACE', 0.5))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.PAUSE', (0.02, 0.1)))

    def test_outcomes_are_kept_while_the_database_is_away(self):
        # The sweep would have many a chance before the next attempt, and
        # has none however late that comes.
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.PAUSE', (0.3, 0.3)))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.GRACE', 60.0))
        outage = Outage(self.db)
        lanes = [self.lane() for _ in range(20)]
        self.plugin.hold('r1')
        given = self.a_dispatcher(db=outage)
        given.wake(self.outbox.fire(*lanes, times=2))
        self.wait_until(lambda: self.plugin.running)

        outage.away.set()
        self.plugin.release('r1')
        self.wait_until(lambda: outage.failures > 5)
        # The leases end meanwhile: nobody else took them.
        self.outbox.expire()
        outage.away.clear()
        self.wait_idle()

        for lane in lanes:
            self.assertEqual([1, 2], self.plugin.of(lane))
        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertEqual(1, self.logged.output.count('does not take'))

    def test_a_deadlock_is_tried_again(self):
        store = delivery_obj.store
        deadlocks = [db_exc.DBDeadlock()]

        def once(*args):
            if deadlocks:
                raise deadlocks.pop()
            return store(*args)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.delivery.store', once))
        lane = self.lane()
        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_idle()

        self.assertEqual([1, 2], self.plugin.of(lane))
        self.assertEqual('', self.logged.output)

    def test_one_outcome_that_can_not_be_stored_hurts_only_itself(self):
        store = delivery_obj.store
        lanes = [self.lane() for _ in range(10)]
        hint = self.outbox.fire(*lanes)
        culprit = self.outbox.deliveries()[3].id

        def fussy(out, attempts):
            if any(a.id == culprit for a in attempts):
                raise db_exc.DBDataError()
            return store(out, attempts)

        with mock.patch.object(delivery_obj, 'store', fussy):
            given = self.a_dispatcher()
            given.wake(hint)
            self.wait_until(lambda: self.outbox.waiting() == 1)
            given.stop()

        self.assertIn('Could not store the outcome', self.logged.output)

    def test_stops_although_the_database_is_away(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.PATIENCE', 0.2))
        outage = Outage(self.db)
        given = self.a_dispatcher(db=outage)
        self.plugin.hold('r1')
        given.wake(self.outbox.fire(self.lane()))
        self.wait_until(lambda: self.plugin.running)
        outage.away.set()
        self.plugin.release('r1')

        given.stop(60)

        self.assertFalse(given._thread.is_alive())

    def test_stops_although_the_database_hangs(self):
        # What a call and the database may take together.
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.lanes.HANGS',
            1.0 - self.conf.notifier.timeout))
        outage = Outage(self.db)
        given = self.a_dispatcher(db=outage)
        self.plugin.hold('r1')
        given.wake(self.outbox.fire(*(self.lane() for _ in range(4))))
        self.wait_until(lambda: self.plugin.running == 4)
        outage.hang()
        self.addCleanup(outage.release)
        self.plugin.release('r1')
        self.wait_until(lambda: outage.failures)

        given.stop(60)

        self.assertFalse(given._thread.is_alive())
        self.assertIn('does not answer', self.logged.output)
        # Nothing that keeps the process.
        self.assertEqual([], [
            thread for thread in threading.enumerate()
            if thread.name.startswith('notifier') and not thread.daemon])

    def test_outcomes_are_not_tried_one_by_one_at_the_end(self):
        self.configure(sweep_interval=1000.0)
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.PATIENCE', 0.0))
        outage = Outage(self.db)
        lanes = [self.lane() for _ in range(4)]
        given = self.a_dispatcher(db=outage)
        self.plugin.hold('r1')
        given.wake(self.outbox.fire(*lanes))
        self.wait_until(lambda: self.plugin.running == 4)
        stopper = threading.Thread(target=given.stop)
        stopper.start()
        self.wait_until(lambda: given._lanes._stopping)
        outage.away.set()
        self.plugin.release('r1')
        stopper.join(60)

        self.assertFalse(stopper.is_alive())
        self.assertLessEqual(outage.failures, len(lanes))


class HintTest(dispatching.DispatcherTests, base.TestCase):

    def test_malformed_wake_ups_are_refused(self):
        given = self.a_dispatcher()
        good = {'lanes': [['a', 'b']], 'lease_until': 1, 'committed_at': 1}
        for wrong in (
                {}, [], None, 'x', good | {'lanes': [['a']]},
                good | {'lanes': 7}, good | {'lease_until': 'soon'},
                good | {'lease_until': float('inf')},
                good | {'committed_at': None}, good | {'lanes': [None]}):
            self.assertRaises(exception.Invalid, given.wake, wrong)

    def test_a_burst_wakes_the_loop_once(self):
        lanes = [self.lane() for _ in range(20)]
        hints = [self.outbox.fire(lane) for lane in lanes]
        given = self.a_dispatcher()
        busy, go_on = threading.Event(), threading.Event()

        def occupy():
            busy.set()
            go_on.wait(60)

        given._loop.call_soon_threadsafe(occupy)
        busy.wait(60)
        with mock.patch.object(
                given._loop, 'call_soon_threadsafe',
                wraps=given._loop.call_soon_threadsafe) as called:
            for hint in hints:
                given.wake(hint)
        taken = [call for call in called.call_args_list
                 if call.args[0] == given._take]
        go_on.set()
        self.wait_idle()

        self.assertEqual(1, len(taken))
        for lane in lanes:
            self.assertEqual([1], self.plugin.of(lane))

    def test_lanes_that_do_not_exist(self):
        given = self.a_dispatcher()
        given.wake({'lanes': [['a', 'b']], 'committed_at': 1,
                    'lease_until': self.db.now() + 10 ** 7})
        lane = self.lane()
        given.wake(self.outbox.fire(lane))
        self.wait_idle()

        self.assertEqual([1], self.plugin.of(lane))

    def test_one_that_is_broken_hurts_no_other(self):
        """They come in one turn of the loop; what is enclosed is wrong."""
        self.configure(sweep_interval=1000.0)
        self.outbox = outbox.Outbox(self.db, enclosing=True)
        self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        lanes = [self.lane('r%d' % i) for i in range(4)]
        hints = [self.outbox.fire(lane) for lane in lanes]
        for hint, column, value in zip(hints, (2, 15, 8), (
                None, None, 'no JSON'), strict=False):
            row = list(hint['deliveries'][0])
            row[column] = value     # action, reason, how deliveries age
            hint['deliveries'] = [row]
        given = self.a_dispatcher()
        self.occupied(given, lambda: [given.wake(hint) for hint in hints])
        self.wait_idle()

        for lane in lanes:
            self.assertEqual([1], self.plugin.of(lane))

    def test_one_that_breaks_the_loop_hurts_no_other(self):
        self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        lanes = [self.lane('r%d' % i) for i in range(3)]
        hints = [self.outbox.fire(lane) for lane in lanes]
        given = self.a_dispatcher()
        take = given._lanes.take

        def fussy(found):
            if found.leases[0].lane_id == lanes[0].id:
                raise ValueError
            take(found)

        given._lanes.take = fussy
        self.occupied(given, lambda: [given.wake(hint) for hint in hints])
        self.wait_until(lambda: self.outbox.waiting() == 1)

        self.assertEqual([], self.plugin.of(lanes[0]))
        self.outbox.expire()
        self.wait_idle()

    def test_a_lane_that_can_not_be_loaded_hurts_no_other(self):
        self.configure(sweep_interval=1000.0)
        self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        lanes = [self.lane('r%d' % i) for i in range(10)]
        hint = self.outbox.fire(*lanes)
        waiting = delivery_obj.waiting

        def fussy(conn, dialect, leases, limit):
            leases = list(leases)
            if any(lease.lane_id == lanes[3].id for lease in leases):
                raise db_exc.DBDataError()
            return waiting(conn, dialect, leases, limit)

        with mock.patch.object(delivery_obj, 'waiting', fussy):
            given = self.a_dispatcher()
            given.wake(hint)
            self.wait_until(lambda: self.outbox.waiting() == 1)
            given.stop()

        self.assertEqual([], self.plugin.of(lanes[3]))

    def occupied(self, given, work):
        """Do some work while the loop is busy: it then has one turn."""
        busy, go_on = threading.Event(), threading.Event()

        def occupy():
            busy.set()
            go_on.wait(60)

        given._loop.call_soon_threadsafe(occupy)
        busy.wait(60)
        work()
        go_on.set()

    def test_large_events(self):
        lanes = [self.lane('r%d' % i) for i in range(3)]
        event = outbox.an_event(traits={'text': '\U0001f525' * 5000})
        seen = []
        self.plugin.answers['r1'].append(seen.append)

        self.a_dispatcher().wake(self.outbox.fire(*lanes, event=event))
        self.wait_idle()

        self.assertEqual(event.as_dict()['traits'], seen[0].event['traits'])
