# SPDX-License-Identifier: Apache-2.0
"""The dispatcher with real receivers on the databases that are supported."""

import collections

import fixtures

from doctor_alarm.tests import base
from doctor_alarm.tests.functional.notifier import processes
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql

LANES = 1000


class DeliveryTests(processes.NotifierTests):
    """What holds on every database."""

    def expect_in_order(self, hook, lanes, count):
        """Everything came, in order; a second time only what is the same."""
        self.expect_states('delivered')
        seen = collections.defaultdict(list)
        for body in hook.bodies:
            if body['notification_id'] not in [
                    other['notification_id']
                    for other in seen[body['alarm_id']]]:
                seen[body['alarm_id']].append(body)
        for lane in lanes:
            self.assertEqual(
                list(range(1, count + 1)),
                [body['sequence'] for body in seen[lane.alarm_id]])

    def expect_states(self, *states):
        self.assertEqual(set(states), set(self.outbox.statuses()))

    def test_a_thousand_lanes(self):
        hook = self.a_receiver()
        lanes = self.lanes_to(hook, LANES)
        given = self.http()

        for start in range(0, LANES, 100):
            given.wake(self.outbox.fire(*lanes[start:start + 100], times=2))
        self.wait_idle()

        self.assertEqual(2 * LANES, len(hook.bodies))
        self.expect_in_order(hook, lanes, 2)

    def test_a_receiver_that_hangs_beside_one_that_answers(self):
        hangs, good = self.a_receiver(), self.a_receiver()
        hangs.hang()
        given = self.http()
        bad_lanes = self.lanes_to(hangs, 200)
        given.wake(self.outbox.fire(*bad_lanes))
        lanes = self.lanes_to(good, 200)

        given.wake(self.outbox.fire(*lanes))
        self.wait_until(lambda: len(good.bodies) == 200)

        # No call of the other one was given up for that.
        hanging = {lane.id for lane in bad_lanes}
        self.assertEqual({0}, {
            row.attempts for row in self.outbox.deliveries()
            if row.lane_id in hanging})
        hangs.release()
        self.wait_idle()
        self.expect_in_order(hangs, bad_lanes, 1)
        self.expect_in_order(good, lanes, 1)

    def test_a_receiver_that_refuses_for_a_while(self):
        self.configure(retry_initial=0.1, retry_max=0.5)
        hook = self.a_receiver()
        hook.stop()
        lanes = self.lanes_to(hook, 100)
        given = self.http()
        given.wake(self.outbox.fire(*lanes, times=3))
        self.wait_until(lambda: sum(
            row.attempts for row in self.outbox.lanes()) > 5)

        hook.start()
        self.wait_idle()

        self.expect_in_order(hook, lanes, 3)

    def test_answers_decide(self):
        hook = self.a_receiver(status=404)
        lane, = self.lanes_to(hook, 1)
        given = self.http()

        given.wake(self.outbox.fire(lane))
        self.wait_idle()
        hook.status = 503
        given.wake(self.outbox.fire(lane))
        self.wait_until(lambda: hook.refused > 3)
        hook.status = 200
        self.wait_idle()

        dead, delivered = self.outbox.deliveries()
        self.assertEqual(('dead', 1, 'HTTP 404 Not Found'), (
            dead.status, dead.attempts, dead.last_error))
        self.assertEqual('delivered', delivered.status)
        self.assertEqual('HTTP 503 Service Unavailable',
                         delivered.last_error)

    def test_two_notifiers_on_one_database(self):
        hook = self.a_receiver()
        lanes = self.lanes_to(hook, 300)
        first, second = self.http(), self.http()

        for start in range(0, 300, 50):
            many = lanes[start:start + 50]
            first.wake(self.outbox.fire(*many))
            second.wake(self.outbox.fire(*many))
            # Both get it: a broker may deliver a wake-up again.
            hint = self.outbox.fire(*many)
            first.wake(hint)
            second.wake(hint)
        self.wait_idle()

        self.expect_in_order(hook, lanes, 3)

    def test_two_notifiers_sweep(self):
        hook = self.a_receiver()
        lanes = self.lanes_to(hook, 300)
        self.outbox.fire(*lanes, times=2)
        self.outbox.expire()

        self.http()
        self.http()
        self.wait_idle()

        self.assertEqual(600, len(hook.bodies))
        self.expect_in_order(hook, lanes, 2)

    def test_kill_and_restart(self):
        hook = self.a_receiver()
        lanes = self.lanes_to(hook, 200)
        self.outbox.fire(*lanes, times=5)
        self.outbox.expire()

        for killed_at in (100, 400, 700):
            child = self.a_process()
            self.wait_until(lambda at=killed_at: len(hook.bodies) > at)
            child.kill()
            child.wait()
        self.a_process()
        self.wait_idle()

        self.expect_in_order(hook, lanes, 5)


class SQLiteTest(DeliveryTests, base.TestCase):
    pass


class MariaDBTest(DeliveryTests, base.TestCase):

    def database_url(self):
        self.database = self.useFixture(mariadb.Database())
        return self.database.url

    def test_the_database_is_away_for_a_while(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.GRACE', 2.0))
        hook = self.a_receiver()
        lanes = self.lanes_to(hook, 200)
        given = self.http()
        given.wake(self.outbox.fire(*lanes, times=5))
        self.wait_until(lambda: len(hook.bodies) > 100)

        self.database.server.kill()
        seen = len(hook.bodies)
        self.database.server.start()
        self.wait_idle()

        self.assertGreater(len(hook.bodies), seen)
        self.assertEqual(1000, len(hook.bodies))
        self.expect_in_order(hook, lanes, 5)

    def test_an_evaluator_writes_meanwhile(self):
        hook = self.a_receiver()
        lanes = self.lanes_to(hook, 50)
        given = self.http()

        for _ in range(40):
            given.wake(self.outbox.fire(*lanes))
        self.wait_idle()

        self.assertEqual(2000, len(hook.bodies))
        self.expect_in_order(hook, lanes, 40)


class PostgreSQLTest(DeliveryTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
