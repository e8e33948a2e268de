# SPDX-License-Identifier: Apache-2.0

import os

import fixtures
import sqlalchemy as sa
import testtools

from doctor_alarm.db import pool
from doctor_alarm.tests import base


class TestPool(base.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.engine = sa.create_engine(
            'sqlite:///' + os.path.join(folder, 'db'),
            poolclass=sa.pool.QueuePool, pool_size=1, max_overflow=0)
        self.addCleanup(self.engine.dispose)
        pool.tune(self.engine)
        with self.engine.begin() as conn:
            conn.exec_driver_sql('CREATE TABLE a (id INTEGER PRIMARY KEY)')
            conn.exec_driver_sql(
                'CREATE TABLE b (id INTEGER REFERENCES a(id)'
                ' DEFERRABLE INITIALLY DEFERRED)')
        with self.engine.connect() as conn:
            # On the only connection that there is.
            conn.connection.dbapi_connection.execute(
                'PRAGMA foreign_keys=ON')

    def test_a_failed_commit_leaves_nothing_to_the_next_one(self):
        with self.engine.connect() as conn:
            conn.exec_driver_sql('INSERT INTO b VALUES (7)')
            # given: the transaction stays open, as the database has it
            with testtools.ExpectedException(sa.exc.IntegrityError):
                conn.commit()
            conn.rollback()
        with self.engine.connect() as conn:
            self.assertFalse(conn.connection.dbapi_connection.in_transaction)
            self.assertEqual(
                [], conn.exec_driver_sql('SELECT * FROM b').all())

    def test_an_open_transaction_is_rolled_back(self):
        with self.engine.connect() as conn:
            conn.exec_driver_sql('INSERT INTO a VALUES (7)')
        with self.engine.connect() as conn:
            self.assertFalse(conn.connection.dbapi_connection.in_transaction)
            self.assertEqual(
                [], conn.exec_driver_sql('SELECT * FROM a').all())
