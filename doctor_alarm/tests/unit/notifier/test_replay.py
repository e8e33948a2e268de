# SPDX-License-Identifier: Apache-2.0
"""Dead deliveries that somebody sends again."""

import uuid

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier import ledger
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import replay
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching

REFUSED = notifier.Outcome.rejected('HTTP 404')


class ReplayTests(dispatching.DispatcherTests):

    def dead(self, lane, sequence=1):
        """Return the row of a delivery of a lane."""
        return next(row for row in self.outbox.deliveries()
                    if (row.lane_id, row.sequence) == (lane.id, sequence))

    def given_dead(self, given, lane, behind=0):
        """Let the first delivery of a lane be refused, others follow."""
        self.plugin.answers['r1'].append(REFUSED)
        given.wake(self.outbox.fire(lane, times=1 + behind))
        self.wait_idle()
        row = self.dead(lane, self.outbox_tail(lane) - behind)
        self.assertEqual('dead', row.status)
        self.plugin.seen.clear()
        return row

    def outbox_tail(self, lane):
        return next(r.tail for r in self.outbox.lanes() if r.id == lane.id)


class ReplayTest(ReplayTests, base.TestCase):

    def test_it_keeps_its_number_and_id_and_says_replayed(self):
        given, lane, seen = self.a_dispatcher(), self.lane(), []
        dead = self.given_dead(given, lane, behind=2)
        self.plugin.answers['r1'].append(seen.append)

        replay.replay(self.db, [dead.id])
        self.wait_idle()

        self.assertEqual([1], self.plugin.of(lane))
        self.assertEqual((dead.id, 1, True),
                         (seen[0].id, seen[0].sequence, seen[0].replayed))
        row = self.dead(lane)
        self.assertEqual(('delivered', 1), (row.status, row.attempts))
        state, = self.outbox.lanes()
        self.assertEqual((4, 3, None, None), (
            state.head, state.tail, state.due, state.token))

    def test_what_was_not_replayed_does_not_say_so(self):
        seen = []
        self.plugin.answers['r1'].append(seen.append)

        self.a_dispatcher().wake(self.outbox.fire(self.lane()))
        self.wait_idle()

        self.assertFalse(seen[0].replayed)

    def test_attempts_and_age_are_counted_anew(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane)
        with self.db.writer() as conn:
            conn.execute(sa.update(models.delivery).values(
                attempts=40, created_at=models.delivery.c.created_at
                - 2 * self.conf.notifier.max_age * 10 ** 6))
        self.plugin.answers['r1'].append(notifier.Outcome.retry('HTTP 503'))

        replay.replay(self.db, [dead.id])
        self.wait_idle()

        row = self.dead(lane)
        self.assertEqual(('delivered', 2), (row.status, row.attempts))

    def test_it_may_die_and_be_replayed_again(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane)
        for _ in range(2):
            self.plugin.answers['r1'].append(REFUSED)
            replay.replay(self.db, [dead.id])
            self.wait_idle()
            self.assertEqual('dead', self.dead(lane).status)

        replay.replay(self.db, [dead.id])
        self.wait_idle()

        self.assertEqual([1] * 3, self.plugin.of(lane))
        self.assertEqual('delivered', self.dead(lane).status)

    def test_many_behind_it_are_stepped_over_at_once(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane, behind=8 * ledger.AHEAD)
        loads = []
        self.patch_waiting(loads.append)

        replay.replay(self.db, [dead.id])
        self.wait_idle()

        self.assertEqual([1], self.plugin.of(lane))
        self.assertLess(len(loads), 5)

    def patch_waiting(self, note):
        waiting = delivery_obj.waiting

        def noted(conn, dialect, leases, limit):
            note(list(leases))
            return waiting(conn, dialect, leases, limit)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.delivery.waiting', noted))

    def test_it_does_not_wait_for_the_pause_of_its_lane(self):
        self.configure(retry_initial=1000.0, retry_max=1000.0)
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane)
        self.plugin.answers['r1'].append(notifier.Outcome.retry('HTTP 503'))
        given.wake(self.outbox.fire(lane))
        self.wait_until(lambda: self.outbox.lanes()[0].attempts)
        self.plugin.seen.clear()

        replay.replay(self.db, [dead.id])
        self.wait_idle()

        self.assertEqual([1, 2], self.plugin.of(lane))


class ConcurrencyTest(ReplayTests, base.TestCase):
    """Somebody has the lease of the lane."""

    options = {'sweep_interval': 1000.0}

    def test_while_a_later_one_is_under_way(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane)
        self.plugin.hold('r1')
        given.wake(self.outbox.fire(lane, times=5))
        self.wait_until(lambda: self.plugin.running)

        replay.replay(self.db, [dead.id])
        self.plugin.release('r1')
        self.wait_idle()

        # It has its turn as soon as there is one.
        self.assertEqual([2, 1, 3, 4, 5, 6], self.plugin.of(lane))
        self.assertEqual({'delivered'}, set(self.outbox.statuses()))

    def test_a_second_one_while_the_first_is_under_way(self):
        given, lane = self.a_dispatcher(), self.lane()
        self.plugin.answers['r1'].extend([REFUSED] * 6)
        given.wake(self.outbox.fire(lane, times=6))
        self.wait_idle()
        self.plugin.seen.clear()
        ids = [row.id for row in self.outbox.deliveries()]
        self.plugin.hold('r1')
        given.wake(self.outbox.fire(lane))
        self.wait_until(lambda: self.plugin.running)
        self.plugin.answers['r1'].extend([
            None, lambda _delivery: replay.replay(self.db, [ids[3]]), None,
            lambda _delivery: replay.replay(self.db, [ids[4], ids[0]])])

        replay.replay(self.db, [ids[1], ids[5]])
        self.plugin.release('r1')
        self.wait_idle()

        self.assertEqual([7, 2, 6, 4, 1, 5], self.plugin.of(lane))
        self.assertEqual(
            ['delivered'] * 2 + ['dead'] + ['delivered'] * 4,
            [row.status for row in self.outbox.deliveries()])

    def test_while_the_lane_is_read_again(self):
        # One is dead behind the last that waits: nothing is under way when
        # it is replayed, and the lane is about to be freed.
        lane = self.lane()
        self.plugin.answers['r1'].extend([REFUSED] * 2)
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(lane, times=2))
        self.wait_idle()
        self.plugin.seen.clear()
        first, second = (row.id for row in self.outbox.deliveries())
        waiting, late = delivery_obj.waiting, [second]

        def slow(*args):
            found = waiting(*args)
            if late and all(row.id is None for rows in found.values()
                            for row in rows):
                replay.replay(self.db, [late.pop()])
            return found

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.delivery.waiting', slow))
        replay.replay(self.db, [first])
        given._lanes._sweeper.ask(0)
        given._loop.call_soon_threadsafe(given._lanes._sweeper._asked.set)
        self.wait_idle()

        self.assertEqual([1, 2], self.plugin.of(lane))
        self.assertEqual([], late)


class RefusalTest(ReplayTests, base.TestCase):

    def statuses_of(self, *ids):
        return [row.status for row in self.outbox.deliveries()
                if row.id in ids]

    def test_a_second_replay_of_one_that_waits(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane)
        self.plugin.hold('r1')
        replay.replay(self.db, [dead.id])

        error = self.assertRaises(
            exception.NotGivenUp, replay.replay, self.db, [dead.id])

        self.assertEqual(
            'Delivery %s is pending: only dead, expired and superseded ones '
            'can be sent again' % dead.id, str(error))
        self.plugin.release('r1')
        self.wait_idle()
        self.assertEqual([1], self.plugin.of(lane))

    def test_all_or_none(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane, behind=1)
        delivered = self.dead(lane, 2)

        for other, error in (
                (delivered.id, exception.NotGivenUp),
                (str(uuid.uuid4()), exception.NotFound),
                ('\u00e4', exception.NotFound), ('\0', exception.NotFound),
                ('x' * 1000, exception.NotFound)):
            self.assertRaises(
                error, replay.replay, self.db, [dead.id, other])

        self.assertEqual(['dead'], self.statuses_of(dead.id))
        self.assertIsNone(self.outbox.lanes()[0].due)

    def test_those_of_other_projects_are_not_found(self):
        given, lane = self.a_dispatcher(), self.lane()
        dead = self.given_dead(given, lane)

        self.assertRaises(exception.NotFound, replay.replay, self.db,
                          [dead.id], 'p2')
        replay.replay(self.db, [dead.id], 'p1')
        self.wait_idle()

        self.assertEqual(['delivered'], self.statuses_of(dead.id))
