# SPDX-License-Identifier: Apache-2.0
"""Deliveries that are not sent, because there is something newer."""

import json
import threading
import time
from unittest import mock

import fixtures
from oslo_db import exception as db_exc
import prometheus_client as prom
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier import ledger
from doctor_alarm.notifier import stale
from doctor_alarm.objects import replay
from doctor_alarm.objects import stale as stale_obj
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching
from doctor_alarm.tests import storage

RETRY = notifier.Outcome.retry('HTTP 503')
HOUR = 3600 * 10 ** 6


class PolicyTest(base.TestCase):

    def policies(self, **options):
        conf = self.useFixture(storage.Storage()).conf
        for name, value in options.items():
            conf.set_override(name, value, group='notifier')
        return stale.Policies(conf)

    def test_everything_is_sent_unless_somebody_says_otherwise(self):
        given = self.policies()

        for said in ({}, {'max_age': None}, {'latest_only': False}):
            self.assertIsNone(given.of(json.dumps(said)))

    def test_the_alarm(self):
        given = self.policies()

        self.assertEqual(stale.Policy(60 * 10 ** 6, False),
                         given.of('{"max_age": 60}'))
        self.assertEqual(stale.Policy(None, True),
                         given.of('{"latest_only": true}'))

    def test_the_operator(self):
        given = self.policies(default_max_age=60, default_latest_only=True)

        for said, expected in (
                ({}, stale.Policy(60 * 10 ** 6, True)),
                ({'max_age': 5}, stale.Policy(5 * 10 ** 6, True)),
                ({'latest_only': False}, stale.Policy(60 * 10 ** 6, False)),
                ({'latest_only': False, 'max_age': None}, None)):
            self.assertEqual(expected, given.of(json.dumps(said)))

    def test_what_is_doubtful(self):
        self.assertTrue(stale.Policy(None, True).doubts(100, 100))
        self.assertFalse(stale.Policy(10, False).doubts(90, 100))
        self.assertTrue(stale.Policy(10, False).doubts(89, 100))
        self.assertEqual(('expired', 90), (
            stale.Policy(10, False).status,
            stale.Policy(10, False).before(100)))
        self.assertEqual('superseded', stale.Policy(10, True).status)
        self.assertGreater(stale.Policy(10, True).before(100), 10 ** 18)


class StaleTests(dispatching.DispatcherTests):

    def fire(self, lane, *resources, age=0, current='alarm', **kwargs):
        """Fire once for each resource, some microseconds ago."""
        hint = None
        for resource_id in resources:
            fired = self.outbox.fire(
                lane, created_at=time.time_ns() // 1000 - age,
                resource_id=resource_id, current=current, **kwargs)
            hint = hint or fired
        return hint

    def by_status(self, lane):
        """Return status -> sequence numbers of a lane."""
        found = {}
        for row in self.outbox.deliveries():
            if row.lane_id == lane.id:
                found.setdefault(row.status, []).append(row.sequence)
        return found

    def counted(self, outcome):
        return prom.REGISTRY.get_sample_value(
            'doctor_alarm_deliveries_total',
            {'scheme': 'test', 'outcome': outcome}) or 0


class LatestOnlyTests(StaleTests):

    def test_only_the_last_of_those_that_wait(self):
        counted = self.counted('superseded')
        lane = self.lane(latest_only=True)
        hint = self.fire(lane, *['vm1'] * 25)

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual([25], self.plugin.of(lane))
        self.assertEqual({'superseded': list(range(1, 25)),
                          'delivered': [25]}, self.by_status(lane))
        self.assertEqual(24, self.counted('superseded') - counted)
        state, = self.outbox.lanes()
        self.assertEqual((26, 25, None, None, 0), (
            state.head, state.tail, state.due, state.token, state.attempts))

    def test_while_many_are_looked_through_others_stay_where_they_are(self):
        """What waits for longer than its lease has been loaded for nothing."""
        self.conf.set_override('max_waiting', 10, group='notifier')
        goes_on = threading.Event()
        self.addCleanup(goes_on.set)
        drop = stale.drop

        def when_told(*args):
            goes_on.wait()
            return drop(*args)

        for name, value in (('loading.BATCH', 1), ('stale.WINDOW', 2),
                            ('stale.drop', when_told)):
            self.useFixture(fixtures.MonkeyPatch(
                'doctor_alarm.notifier.' + name, value))
        lanes = [self.lane(latest_only=True) for _ in range(30)]
        hints = [self.fire(lane, 'vm1', 'vm1') for lane in lanes]
        given = self.a_dispatcher()

        for hint in hints:
            given.wake(hint)
        self.wait_until(lambda: given._lanes._loading.drops.waiting >= 10)
        self.assertLessEqual(len(given._lanes._held), 11)
        goes_on.set()
        self.wait_idle()

        self.assertEqual([[2]] * 30, [self.plugin.of(x) for x in lanes])

    def test_when_it_was_dropped_is_recorded(self):
        lane = self.lane(latest_only=True)
        before = self.db.now()

        self.a_dispatcher().wake(self.fire(lane, 'vm1', 'vm1'))
        self.wait_idle()

        first, last = self.outbox.deliveries()
        self.assertTrue(before <= first.dropped_at <= self.db.now())
        self.assertEqual((0, None, None), (
            first.attempts, first.fired_at, last.dropped_at))

    def test_one_that_is_alone_is_not_looked_at(self):
        looked = self.useFixture(fixtures.MockPatchObject(
            stale_obj, 'last_words', wraps=stale_obj.last_words)).mock
        lane = self.lane(latest_only=True)
        given = self.a_dispatcher()

        given.wake(self.fire(lane, 'vm1'))
        self.wait_idle()
        given.wake(self.fire(self.lane(), 'vm1', 'vm1'))
        self.wait_idle()

        self.assertEqual(['delivered'] * 3, self.outbox.statuses())
        looked.assert_not_called()

    def test_what_is_on_the_wire_stays(self):
        lane = self.lane(latest_only=True)
        given = self.a_dispatcher()
        self.plugin.hold('r1')
        given.wake(self.fire(lane, 'vm1'))
        self.wait_until(lambda: self.plugin.running)

        self.fire(lane, *['vm1'] * 20)
        self.plugin.release('r1')
        self.wait_idle()

        self.assertEqual([1, 21], self.plugin.of(lane))
        self.assertEqual({'delivered': [1, 21],
                          'superseded': list(range(2, 21))},
                         self.by_status(lane))

    def test_the_last_word_on_each_resource(self):
        lane = self.lane(latest_only=True)

        self.a_dispatcher().wake(
            self.fire(lane, 'vm1', 'vm2', 'vm3', 'vm1', 'vm2', 'vm1'))
        self.wait_idle()

        self.assertEqual([3, 5, 6], self.plugin.of(lane))

    def test_spaces_tell_resources_apart(self):
        lane = self.lane(latest_only=True)

        self.a_dispatcher().wake(self.fire(lane, 'vm', 'vm ', 'Vm', 'vm'))
        self.wait_idle()

        self.assertEqual([2, 3, 4], self.plugin.of(lane))

    def test_an_ok_is_the_last_word_on_all_before_it(self):
        lane = self.lane(latest_only=True)
        hint = self.fire(lane, 'vm1', 'vm2')
        self.fire(lane, 'vm2', current='ok')
        self.fire(lane, 'vm3')

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual([3, 4], self.plugin.of(lane))

    def test_a_receiver_that_is_away(self):
        lane = self.lane(latest_only=True)
        self.plugin.answers['r1'].extend([RETRY] * 3)
        given = self.a_dispatcher()
        given.wake(self.fire(lane, 'vm1'))
        self.wait_until(lambda: self.plugin.seen)

        hint = self.fire(lane, *['vm1'] * 5)
        given.wake(hint)
        self.wait_idle()

        self.assertEqual({1, 6}, set(self.plugin.of(lane)))
        self.assertEqual({'superseded': [1, 2, 3, 4, 5], 'delivered': [6]},
                         self.by_status(lane))

    def test_the_pauses_go_on_growing(self):
        # What is newer each time begins with the first pause each time, else.
        self.configure(retry_initial=1000.0, retry_max=1000.0)
        lane = self.lane(latest_only=True)
        self.plugin.answers['r1'].extend([RETRY] * 3)
        given = self.a_dispatcher()
        hint = self.fire(lane, 'vm1', 'vm1')
        for failures in (1, 2, 3):
            given.wake(hint)
            self.wait_until(lambda n=failures: [
                row.attempts for row in self.outbox.lanes()] == [n])
            self.fire(lane, 'vm1')
            self.let_receivers_open()
            self.outbox.expire()

    def let_receivers_open(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.receivers._Receiver.refuses',
            lambda *args: False))

    def test_more_than_are_looked_at_together(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.stale.WINDOW', 7))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.stale.CHUNK', 3))
        lane = self.lane(latest_only=True)

        self.a_dispatcher().wake(self.fire(lane, *['vm1', 'vm2'] * 20))
        self.wait_idle()

        self.assertEqual([39, 40], self.plugin.of(lane))
        self.assertEqual(38, len(self.by_status(lane)['superseded']))

    def test_many_lanes_at_once(self):
        lanes = [self.lane('r%d' % n, latest_only=True) for n in range(60)]
        hint = self.outbox.fire(*lanes, times=50)

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual({(lane.id, 50) for lane in lanes}, {
            (lane_id, sequence) for _, lane_id, sequence in self.plugin.seen})
        self.assertEqual(60, len(self.plugin.seen))

    def test_the_operator_wants_the_latest_only(self):
        self.configure(default_latest_only=True)
        lane, other = self.lane(), self.lane(latest_only=False)
        given = self.a_dispatcher()

        given.wake(self.fire(lane, 'vm1', 'vm1'))
        given.wake(self.fire(other, 'vm1', 'vm1'))
        self.wait_idle()

        self.assertEqual([2], self.plugin.of(lane))
        self.assertEqual([1, 2], self.plugin.of(other))


class MaxAgeTests(StaleTests):

    def test_the_old_ones_are_dropped(self):
        counted = self.counted('expired')
        lane = self.lane(max_age=600)
        hint = self.fire(lane, *['vm1'] * 15, age=HOUR)
        self.fire(lane, *['vm1'] * 15)

        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual(list(range(16, 31)), self.plugin.of(lane))
        self.assertEqual({'expired': list(range(1, 16)),
                          'delivered': list(range(16, 31))},
                         self.by_status(lane))
        self.assertEqual(15, self.counted('expired') - counted)

    def test_the_newest_state_arrives_however_old_it_is(self):
        lane = self.lane(max_age=600)

        self.a_dispatcher().wake(
            self.fire(lane, 'vm1', 'vm2', 'vm1', 'vm1', age=HOUR))
        self.wait_idle()

        self.assertEqual([2, 4], self.plugin.of(lane))

    def test_one_that_grows_old_while_others_of_its_lane_are_sent(self):
        lane = self.lane(max_age=600)
        given = self.a_dispatcher()
        self.plugin.hold('r1')
        given.wake(self.fire(lane, *['vm1'] * 5))
        self.wait_until(lambda: self.plugin.running)

        with self.db.writer() as conn:
            conn.execute(sa.update(models.delivery).values(
                created_at=models.delivery.c.created_at - HOUR))
        now = stale.now
        with mock.patch.object(stale, 'now', lambda: now() + HOUR):
            self.plugin.release('r1')
            self.wait_idle()

        self.assertEqual([1, 5], self.plugin.of(lane))

    def test_the_operator_sets_an_age(self):
        self.configure(default_max_age=600)
        lane, other = self.lane(), self.lane(max_age=None)
        given = self.a_dispatcher()

        given.wake(self.fire(lane, 'vm1', 'vm1', age=HOUR))
        given.wake(self.fire(other, 'vm1', 'vm1', age=HOUR))
        self.wait_idle()

        self.assertEqual([2], self.plugin.of(lane))
        self.assertEqual([1, 2], self.plugin.of(other))


class ByHandTests(StaleTests):

    def test_what_was_dropped_is_sent_again(self):
        for host, policy in (('r1', {'latest_only': True}),
                             ('r2', {'max_age': 600})):
            lane = self.lane(host, **policy)
            given = self.a_dispatcher()
            given.wake(self.fire(lane, *['vm1'] * 4, age=HOUR))
            self.wait_idle()
            dropped = {row.sequence: row.id
                       for row in self.outbox.deliveries()
                       if row.lane_id == lane.id}

            replay.replay(self.db, [dropped[1], dropped[3]])
            self.wait_idle()

            self.assertEqual([4, 1, 3], self.plugin.of(lane))
            self.assertEqual({'delivered': [1, 3, 4],
                              {'r1': 'superseded', 'r2': 'expired'}[host]:
                              [2]}, self.by_status(lane))

    def test_it_is_not_dropped_when_the_receiver_is_still_away(self):
        lane = self.lane(latest_only=True)
        given = self.a_dispatcher()
        given.wake(self.fire(lane, 'vm1', 'vm1'))
        self.wait_idle()
        first, _ = self.outbox.deliveries()
        self.plugin.answers['r1'].extend([RETRY] * 3)

        replay.replay(self.db, [first.id])
        self.wait_until(lambda: self.plugin.of(lane).count(1) > 1)
        self.fire(lane, *['vm1'] * 3)
        self.wait_idle()

        self.assertEqual({'delivered': [1, 2, 5], 'superseded': [3, 4]},
                         self.by_status(lane))


class InterruptedTests(StaleTests):

    def test_a_notifier_that_died_between_two_parts(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.stale.CHUNK', 3))
        lane = self.lane(latest_only=True)
        self.fire(lane, *['vm1'] * 20)
        lease = ledger.lane_obj.Lease(lane.id, lane.token, 0)
        look = stale.Look('', lease, 1, 20, stale.Policy(None, True))
        parts = list(stale._chunks(stale._parts(self.db, [look])))
        self.assertEqual(7, len(parts))
        with self.db.writer() as conn:
            stale_obj.drop(conn, self.db.dialect, parts[0], self.db.now())
        self.outbox.expire()

        self.a_dispatcher()
        self.wait_idle()

        self.assertEqual([20], self.plugin.of(lane))
        self.assertEqual(19, len(self.by_status(lane)['superseded']))

    def test_a_lease_that_was_lost_drops_nothing(self):
        lane = self.lane(latest_only=True)
        self.fire(lane, *['vm1'] * 5)
        lease = ledger.lane_obj.Lease(lane.id, 'another', 0)
        given = ledger.Ledger(self.conf, self.db)

        self.assertEqual([None], given.drop([
            stale.Look('', lease, 1, 5, stale.Policy(None, True))]))

        self.assertEqual({'pending': [1, 2, 3, 4, 5]}, self.by_status(lane))

    def test_the_lease_is_extended(self):
        lane = self.lane(latest_only=True)
        self.fire(lane, 'vm1', 'vm1')
        before, = self.outbox.lanes()
        lease = ledger.lane_obj.Lease(lane.id, lane.token, 0)

        self.assertEqual(
            [stale.Looked(1)], ledger.Ledger(self.conf, self.db).drop([
                stale.Look('', lease, 1, 2, stale.Policy(None, True))]))

        after, = self.outbox.lanes()
        self.assertGreater(after.due, before.due)
        self.assertEqual((before.token, before.head),
                         (after.token, after.head))

    def test_where_it_can_not_be_told_everything_is_sent(self):
        bad, *good = [self.lane('r%d' % n, latest_only=True)
                      for n in range(10)]
        last_words = stale_obj.last_words

        def fails(conn, dialect, lane_id, *args):
            if lane_id == bad.id:
                raise ValueError(lane_id)
            return last_words(conn, dialect, lane_id, *args)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.stale.last_words', fails))
        self.a_dispatcher().wake(
            self.outbox.fire(bad, *good, times=3))
        self.wait_idle()

        self.assertEqual([1, 2, 3], self.plugin.of(bad))
        self.assertEqual([[3]] * 9, [self.plugin.of(lane) for lane in good])

    def test_a_deadlock_is_tried_again(self):
        errors = [db_exc.DBDeadlock(), db_exc.DBConnectionError()]
        drop = stale_obj.drop

        def fails(*args):
            if errors:
                raise errors.pop()
            return drop(*args)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.stale.drop', fails))
        lane = self.lane(latest_only=True)
        self.a_dispatcher().wake(self.fire(lane, *['vm1'] * 5))
        self.wait_idle()

        self.assertEqual([5], self.plugin.of(lane))

    def test_stop_gives_back_what_was_not_looked_at(self):
        began, lanes = [], [self.lane('r%d' % n, latest_only=True)
                            for n in range(30)]
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.stale.WINDOW', 2))
        given = self.a_dispatcher()
        drop = stale.drop

        def slow(*args):
            if not began:
                began.append(True)
                given._loop.call_soon_threadsafe(given._stop.set)
            return drop(*args)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.stale.drop', slow))
        given.wake(self.outbox.fire(*lanes, times=3))
        given._thread.join(60)

        self.assertEqual({None}, {row.token for row in self.outbox.lanes()})
        self.a_dispatcher()
        self.wait_idle()
        self.assertEqual([3] * 30, [item[2] for item in self.plugin.seen])


class StaleTest(LatestOnlyTests, MaxAgeTests, ByHandTests, InterruptedTests,
                base.TestCase):
    pass
