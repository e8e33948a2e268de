# SPDX-License-Identifier: Apache-2.0
"""Conflicts of real transactions are seen as what passes."""

import contextlib
import threading
from unittest import mock

from oslo_db import exception as db_exc
import sqlalchemy as sa

from doctor_alarm.db import api
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage


class Deadlock:
    """Two transactions that wait for each other."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.database_url())).db
        with self.db.writer() as conn:
            conn.execute(sa.text('CREATE TABLE t (id INTEGER PRIMARY KEY,'
                                 ' v INTEGER)'))
            conn.execute(sa.text('INSERT INTO t VALUES (1, 0), (2, 0)'))

    def lock_both(self, first, second):
        def lock(conn, row):
            conn.execute(sa.text('UPDATE t SET v = v + 1 WHERE id = :id'),
                         {'id': row})

        try:
            with self.db.writer() as conn:
                lock(conn, first)
                self.barrier.wait(60)
                lock(conn, second)
        except Exception as exc:
            self.failures.append(exc)

    def test_deadlock(self):
        self.barrier, self.failures = threading.Barrier(2), []
        threads = [threading.Thread(target=self.lock_both, args=order)
                   for order in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)

        # then: one was ended by the database, the other went through
        failure, = self.failures
        self.assertTrue(api.is_transient(failure), repr(failure))
        with self.db.reader() as conn:
            self.assertEqual([1, 1], list(conn.execute(
                sa.text('SELECT v FROM t')).scalars()))


class MariaDBDeadlockTest(Deadlock, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url

    def test_a_lock_that_is_held_for_long(self):
        with contextlib.ExitStack() as stack:
            mine, other = (stack.enter_context(self.db.engine.connect())
                           for _ in range(2))
            update = sa.text('UPDATE t SET v = 5')
            mine.execute(update)
            other.execute(sa.text('SET innodb_lock_wait_timeout = 1'))
            failure = self.assertRaises(
                db_exc.DBError, other.execute, update)
            # given back to the pool, it would keep the setting
            other.invalidate()

        self.assertTrue(api.is_transient(failure), repr(failure))


class PostgreSQLDeadlockTest(Deadlock, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url


class SqliteTest(base.TestCase):

    def test_busy(self):
        mine = self.useFixture(storage.Storage())
        with mock.patch.object(api, 'SQLITE_BUSY', 0):
            other = self.useFixture(storage.Storage(mine.url)).db
        begin = other.writer()

        with mine.db.writer():
            failure = self.assertRaises(
                sa.exc.OperationalError, begin.__enter__)

        self.assertIn('database is locked', str(failure))
        self.assertTrue(api.is_transient(failure), repr(failure))
