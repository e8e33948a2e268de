# SPDX-License-Identifier: Apache-2.0
"""How often outcomes wait for the database, however many they are."""

import time

from sqlalchemy import event as sa_event

from doctor_alarm.notifier import ledger
from doctor_alarm.objects import delivery
from doctor_alarm.objects import lane as lane_obj
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql

#: Lock, and all changes.
STATEMENTS = 2


class RoundTrips(dispatching.DispatcherTests):

    def loaded(self, count):
        """Lanes with two deliveries each, as a notifier reads them."""
        hint = self.outbox.fire(
            *(self.lane() for _ in range(count)), times=2)
        given = ledger.Ledger(self.conf, self.db)
        found, _bodies = given.load([
            lane_obj.Lease(*item, hint['lease_until'])
            for item in hint['lanes']])
        return given, found

    def committed(self, given, steps):
        """Commit steps; return the statements, without the COMMIT."""
        asked = []

        def note(_conn, _cursor, statement, *_args):
            asked.append(statement)

        sa_event.listen(self.db.engine, 'before_cursor_execute', note)
        result = given.commit(steps)
        sa_event.remove(self.db.engine, 'before_cursor_execute', note)
        self.assertEqual(len(steps), len(result.ours))
        return asked

    @staticmethod
    def step(loaded, error=None, jump=0):
        row, now = loaded.rows[0], time.time_ns() // 1000
        status = delivery.PENDING if error else delivery.DELIVERED
        return ledger.Step(
            loaded.lease.lane_id, loaded.lease.token,
            head=None if error else row.sequence + 1 + jump,
            pause=100 if error else None, attempts=1 if error else 0,
            attempt=delivery.Attempt(
                id=row.id, status=status, attempts=1, last_error=error,
                committed_at=now, fired_at=now, received_at=now))

    def test_outcomes_of_every_kind(self):
        given, found = self.loaded(20)

        asked = self.committed(given, [
            self.step(one, 'HTTP 503' if i % 2 else None)
            for i, one in enumerate(found)])

        self.assertEqual(STATEMENTS, len(asked), asked)
        first = [row for row in self.outbox.deliveries()
                 if row.sequence == 1]
        self.assertEqual(
            {('delivered', None): 10, ('pending', 'HTTP 503'): 10},
            {key: [(row.status, row.last_error) for row in first].count(key)
             for key in (('delivered', None), ('pending', 'HTTP 503'))})
        self.assertEqual(
            [1] * 10 + [2] * 10,
            sorted(row.head for row in self.outbox.lanes()))

    def test_a_lone_outcome(self):
        given, (one,) = self.loaded(1)
        asked = self.committed(given, [self.step(one)])
        self.assertEqual(STATEMENTS, len(asked), asked)

    def test_what_was_attempted_is_not_taken_for_passed_over(self):
        # The lane was set back since it was read: it looks what waits there.
        given, (one,) = self.loaded(1)

        asked = self.committed(given, [self.step(one, jump=1)])

        # Outcome and lane apart, and the look in between.
        self.assertEqual(STATEMENTS + 2, len(asked), asked)
        lane, = self.outbox.lanes()
        # The second one waits.
        self.assertEqual(2, lane.head)


class TestMariaDB(RoundTrips, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class TestPostgreSQL(RoundTrips, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
