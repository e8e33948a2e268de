# SPDX-License-Identifier: Apache-2.0
"""How often a lone event waits for the database.

On one that is a network away this is the latency of an event.
"""

import fixtures
from oslo_db import exception as db_exc
import pymysql
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import pool
from doctor_alarm.objects import known
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.evaluator import test_engine
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql

#: Look-up, end of the transaction.
MISSED = 2


class RoundTrips(test_engine.Setting):

    #: Look-up, lock, what is known, all changes, commit.
    fired = 5

    def trips(self, *events):
        """Process events; return what was asked of the database."""
        asked = []
        with self.watched(asked):
            self.engine.process(list(events))
        return asked

    def test_an_event_that_fires(self):
        self.an_alarm()
        self.trips(test_engine.an_event('other'))

        asked = self.trips(test_engine.an_event())

        self.assertEqual(1, len(self.deliveries()))
        self.assertEqual(self.fired, len(asked), asked)

    def test_the_time_of_the_database_comes_with_the_lock(self):
        self.an_alarm()
        self.trips(test_engine.an_event('other'))
        self.db._offset_until = float('-inf')

        asked = self.trips(test_engine.an_event())

        self.assertEqual(self.fired, len(asked), asked)
        self.assertIsNone(self.db.clock)
        measured = self.db.now()
        self.db._offset_until = float('-inf')
        self.assertAlmostEqual(self.db.now(), measured, delta=5e6)

    def test_a_batch_costs_what_an_event_does(self):
        for i in range(50):
            self.an_alarm(test_engine.a_rule('vm%d' % i))
        self.trips(test_engine.an_event('other'))

        asked = self.trips(*(
            test_engine.an_event('vm%d' % i) for i in range(50)))

        self.assertEqual(50, len(self.deliveries()))
        self.assertEqual(self.fired, len(asked), asked)

    def test_an_event_that_hits_nothing(self):
        self.an_alarm()
        self.trips(test_engine.an_event('other'))
        asked = self.trips(test_engine.an_event('other'))
        self.assertEqual(MISSED, len(asked), asked)

    def test_an_unused_connection_is_asked_whether_it_stands(self):
        self.trips(test_engine.an_event('other'))
        later = pool.time.monotonic() + 2 * pool.IDLE
        self.useFixture(fixtures.MockPatchObject(
            pool.time, 'monotonic', lambda: later))
        asked = self.trips(test_engine.an_event('other'))
        self.assertEqual(MISSED + 1, len(asked), asked)

    def test_a_commit_that_follows_changes_elsewhere_is_sent(self):
        """What says that all is committed goes with the next transaction."""
        self.an_alarm()
        self.trips(test_engine.an_event())
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.event).values(
                message_id='m', body='', created_at=0))
        self.db.dispose()
        self.assertIn('m', [row.message_id for row in self.all_of(
            models.event)])

    def test_changes_that_fail_are_undone(self):
        created = self.an_alarm()
        again = test_engine.an_event()
        self.engine.process([again])
        before = self.all_of(models.lane)
        # given: the change of the history is refused as a duplicate, after
        # the alarm was updated
        with self.db.writer() as conn:
            conn.execute(sa.update(models.alarm).values(state='ok'))
            conn.execute(sa.delete(models.delivery))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.transaction.known.read',
            lambda *args, **kwargs: known.Known(
                changes=set(), notifications=set(), resources={})))

        self.assertRaises(db_exc.DBDuplicateEntry,
                          self.engine.process, [again])

        self.assertEqual('ok', self.get(created.id).state)
        self.assertEqual(before, self.all_of(models.lane))
        self.assertEqual([], self.deliveries())

    def test_what_was_left_open_is_rolled_back(self):
        statement = sa.insert(models.event).values(
            message_id='m', body='', created_at=0)
        raw = self.db.engine.raw_connection()
        raw.cursor().execute(str(statement.compile(
            self.db.engine, compile_kwargs={'literal_binds': True})))
        raw.close()
        with self.db.engine.connect() as conn:
            conn.execute(statement)
            conn.rollback()
            conn.execute(statement)
        with self.db.writer() as conn:
            pass
        self.assertEqual([], self.all_of(models.event))


class TestMariaDB(RoundTrips, base.TestCase):

    #: The changes and the commit are one.
    fired = 4

    def database_url(self):
        return self.useFixture(mariadb.Database()).url

    def watched(self, asked):
        # Whatever PyMySQL sends goes through this.
        plain = pymysql.connections.Connection._execute_command

        def execute(connection, command, sql):
            asked.append((command, sql))
            return plain(connection, command, sql)
        return fixtures.MonkeyPatch(
            'pymysql.connections.Connection._execute_command', execute)


class TestPostgreSQL(RoundTrips, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url

    def watched(self, asked):
        # BEGIN is one more: psycopg2 sends it before the first statement.
        dialect = self.db.engine.dialect
        return fixtures.CompoundFixture([
            fixtures.MockPatchObject(
                dialect, name, self.noting(asked, getattr(dialect, name)))
            for name in ('do_execute', 'do_executemany', 'do_commit',
                         'do_rollback', 'do_ping')])

    @staticmethod
    def noting(asked, plain):
        def call(*args, **kwargs):
            asked.append((plain.__name__, args[1:]))
            return plain(*args, **kwargs)
        return call
