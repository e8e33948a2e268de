# SPDX-License-Identifier: Apache-2.0

import zlib

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import alarm
from doctor_alarm.objects import purge
from doctor_alarm.tests import base
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.objects import test_alarm


class Purged:
    """What is forgotten and what is kept, on every database."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.url())).db
        self.old = self.db.now() - 40 * purge.DAY
        self.new = self.db.now() - 20 * purge.DAY

    def url(self):
        return None

    def insert(self, table, **values):
        with self.db.writer() as conn:
            conn.execute(sa.insert(table).values(**values))

    def add_delivery(self, name, status, created_at, lane='l'):
        self.insert(models.event, message_id=name, body='{}',
                    created_at=created_at)
        self.insert(
            models.delivery, id=name, lane_id=lane,
            sequence=zlib.crc32(name.encode()), alarm_id='gone',
            message_id=name, project_id='p1', alarm_name='a',
            severity='low', previous='ok', current='alarm', reason='',
            resource_id='', status=status, attempts=0,
            created_at=created_at, notified_at=0, transformed_at=0,
            evaluated_at=0)

    def add_lane(self, name, alarm_id, due=None):
        self.insert(models.lane, id=name, alarm_id=alarm_id,
                    project_id='p1', action='x', head=1, tail=1, due=due,
                    attempts=0)

    def add_active(self, alarm_id, key, state, updated_at):
        self.insert(models.active_alarm, alarm_id=alarm_id,
                    resource_key=key, resource_id=str(key),
                    project_id='p1', state=state, event_time=1,
                    publisher_id='', unpaired=False, updated_at=updated_at)

    def left(self, column):
        with self.db.reader() as conn:
            return set(conn.execute(sa.select(column)).scalars())

    def test_deliveries_and_their_events(self):
        self.add_delivery('delivered', 'delivered', self.old)
        for status in ('dead', 'expired', 'superseded'):
            self.add_delivery(status, status, self.old)
        self.add_delivery('waits', 'pending', self.old)
        self.add_delivery('fresh', 'delivered', self.new)

        counts = purge.purge(self.db, 30)

        self.assertEqual({'waits', 'fresh'}, self.left(models.delivery.c.id))
        self.assertEqual({'waits', 'fresh'},
                         self.left(models.event.c.message_id))
        self.assertEqual((4, 4), (counts['delivery'], counts['event']))

    def test_dead_letters(self):
        for name, at in (('old', self.old), ('new', self.new)):
            self.insert(models.dead_letter, id=name, message_id='m',
                        source='s', reason='r', body='{}', created_at=at)

        self.assertEqual(1, purge.purge(self.db, 30)['dead_letter'])
        self.assertEqual({'new'}, self.left(models.dead_letter.c.id))

    def test_history(self):
        known = alarm.create(self.db, test_alarm.an_alarm()).id
        with self.db.writer() as conn:
            conn.execute(sa.update(models.change).values(timestamp=self.old))
        alarm.set_state(self.db, known, 'ok')

        self.assertEqual(1, purge.purge(self.db, 30)['change'])
        self.assertEqual({'state transition'},
                         self.left(models.change.c.type))

    def test_resources_that_are_ok(self):
        known = alarm.create(self.db, test_alarm.an_alarm()).id
        self.add_active(known, 1, 'ok', self.old)
        self.add_active(known, 2, 'alarm', self.old)
        self.add_active(known, 3, 'ok', self.new)

        self.assertEqual(1, purge.purge(self.db, 30)['active_alarm'])
        self.assertEqual({2, 3}, self.left(models.active_alarm.c.resource_key))

    def test_lanes_of_deleted_alarms(self):
        known = alarm.create(self.db, test_alarm.an_alarm()).id
        self.add_lane('idle', 'gone')
        self.add_lane('of an alarm', known)
        self.add_lane('not drained', 'gone', due=1)
        self.add_lane('has deliveries', 'gone')
        self.add_delivery('fresh', 'delivered', self.new, 'has deliveries')

        self.assertEqual(1, purge.purge(self.db, 30)['lane'])
        self.assertNotIn('idle', self.left(models.lane.c.id))

    def test_more_than_a_chunk(self):
        self.useFixture(fixtures.MockPatchObject(purge, 'CHUNK', 2))
        for name in 'abcde':
            self.add_delivery(name, 'delivered', self.old)

        self.assertEqual(5, purge.purge(self.db, 30)['delivery'])


class SqlitePurgeTest(Purged, base.TestCase):
    pass
