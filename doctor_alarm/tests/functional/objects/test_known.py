# SPDX-License-Identifier: Apache-2.0
"""What a transaction knows, asked for one by one and as tables."""

import fixtures
from oslo_db import exception as db_exc
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import match
from doctor_alarm.objects import known
from doctor_alarm.objects import outbox as outbox_obj
from doctor_alarm.tests import base
from doctor_alarm.tests import outbox
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage


class OnSQLite(base.TestCase):

    def database_url(self):
        return None

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.database_url())).db
        self.outbox = outbox.Outbox(self.db)
        self.lanes = [self.outbox.lane('test://r/%d' % n) for n in range(5)]
        self.outbox.fire(*self.lanes)
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.change), [{
                'event_id': 'e%d' % n, 'alarm_id': 'a%d' % n,
                'project_id': 'p', 'on_behalf_of': 'p', 'user_id': 'u',
                'type': 'state transition', 'detail': '{}', 'timestamp': 1,
                'message_id': 'm%d' % n} for n in range(5)])
            conn.execute(sa.insert(models.active_alarm), [{
                'alarm_id': 'a%d' % n, 'resource_id': 'r',
                'resource_key': match.resource_key('r'),
                'project_id': 'p', 'state': 'alarm', 'event_time': n,
                'publisher_id': 'x', 'unpaired': False, 'confirmed': None,
                'due': 5 if n else None, 'updated_at': 1} for n in range(5)])

    def read(self, conn, count):
        """Ask for so many of each that are there, and one that is not."""
        rows = self.outbox.lanes()[:count]
        lanes = {row.id: outbox_obj.Lane(
            row.id, row.alarm_id, row.project_id, row.action, '{}')
            for row in rows}
        lanes['none'] = outbox_obj.Lane('none', 'a', 'p', 'test://x', '{}')
        numbers = [*range(count), 9]
        found = known.read(
            conn, self.db.dialect,
            changes=[('a%d' % n, 'm%d' % n) for n in numbers],
            notifications=[*(row.id for row in self.outbox.deliveries()[
                :count]), 'none'],
            resources=[('a%d' % n, 'r') for n in numbers], lanes=lanes)
        return found, [
            (lane.id, lane.token, lane.head, lane.tail, lane.due)
            for lane in lanes.values()]

    def asked(self, count):
        with self.db.writer() as conn:
            return self.read(conn, count)

    def test_both_ways_find_the_same(self):
        for count in (1, 2, 4):
            self.useFixture(fixtures.MonkeyPatch(
                'doctor_alarm.objects.known.FEW', 5))
            one_by_one = self.asked(count)
            self.useFixture(fixtures.MonkeyPatch(
                'doctor_alarm.objects.known.FEW', 0))

            self.assertEqual(self.asked(count), one_by_one)
            self.assertEqual(
                [count] * 3, [len(one_by_one[0].changes), len(
                    one_by_one[0].notifications), len(
                        one_by_one[0].resources)])
            self.assertTrue(all(tail for *_, tail, _due in one_by_one[1][
                :count]))


class Locking:
    """Lanes that are read are this transaction's, and no others are."""

    def is_locked(self, lane_id):
        lane = models.lane
        with self.db.engine.connect() as conn:
            try:
                return not conn.execute(
                    sa.select(lane.c.id).where(lane.c.id == lane_id)
                    .with_for_update(nowait=True)).all()
            except (sa.exc.DBAPIError, db_exc.DBError):
                return True
            finally:
                conn.rollback()

    def test_it_locks_what_it_reads(self):
        for few in (0, 5):
            self.useFixture(fixtures.MonkeyPatch(
                'doctor_alarm.objects.known.FEW', few))
            ids = [row.id for row in self.outbox.lanes()]
            with self.db.writer() as conn:
                self.read(conn, 2)
                locked = [id_ for id_ in ids if self.is_locked(id_)]

            self.assertEqual(ids[:2], locked, few)


class OnMariaDB(Locking, OnSQLite):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class OnPostgreSQL(Locking, OnSQLite):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
