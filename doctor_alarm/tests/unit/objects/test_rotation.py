# SPDX-License-Identifier: Apache-2.0
"""Keys change; lanes, their order and what waits in them do not."""

import json
from unittest import mock

import sqlalchemy as sa

from doctor_alarm import action
from doctor_alarm import credential
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import alarm
from doctor_alarm.objects import outbox
from doctor_alarm.objects import rotation
from doctor_alarm.tests import base
from doctor_alarm.tests import outbox as outbox_fixture
from doctor_alarm.tests import storage

URL = 'http://bob:hush@receiver/%s?token=hush2'
PLAIN = 'http://plain/'


class RotationTests:
    """Mixed into a test case; its database is SQLite unless it says."""

    def database_url(self):
        return None

    def setUp(self):
        super().setUp()
        self.storage = self.useFixture(storage.Storage(self.database_url()))
        self.db = self.storage.db
        self.outbox = outbox_fixture.Outbox(self.db)
        self.keys = self.read_keys()
        self.vault = credential.make(self.storage.conf)

    def read_keys(self):
        with open(self.storage.key_file) as file:
            return file.read().split()

    def write_keys(self, *keys):
        with open(self.storage.key_file, 'w') as file:
            file.write('\n'.join(keys))
        self.keys = list(keys)

    def new_key_first(self):
        self.write_keys(credential.new_key(), *self.keys)

    def new_key_alone(self):
        self.write_keys(self.keys[0])

    def alarm(self, **lists):
        return alarm.create(self.db, alarm.Alarm(
            name='a', type='event', project_id='p1', user_id='u',
            rule={'event_type': '*', 'query': []}, **lists))

    def stored(self, created, name='alarm_actions'):
        with self.db.reader() as conn:
            return list(getattr(alarm.get(conn, created.id), name))

    def fire(self, created, action_, times=2):
        self.outbox.fire(
            self.outbox.lane(action_, created.id), times=times)

    def rotate(self):
        return rotation.rotate(self.db, self.vault)

    def counts(self):
        done = self.rotate()
        self.assertEqual(set(), done.sealed)
        return done.alarms, done.lanes

    def everything(self):
        """All that the database has, as text."""
        with self.db.reader() as conn:
            return '\n'.join(
                str(tuple(row)) for table in models.metadata.sorted_tables
                for row in conn.execute(sa.select(table)))

    def test_all_is_under_the_new_key(self):
        sealed = self.vault.seal(URL % 1)
        created = self.alarm(
            ok_actions=[sealed], alarm_actions=[PLAIN, sealed])
        self.fire(created, sealed)
        self.fire(created, PLAIN)
        before = self.outbox.lanes()
        deliveries = self.outbox.deliveries()

        self.assertEqual((0, 0), self.counts())
        self.new_key_first()
        self.assertEqual((1, 1), self.counts())
        self.assertEqual((0, 0), self.counts())
        self.new_key_alone()

        # then: only the token is another one, the same in both lists
        plain, renewed = self.stored(created)
        self.assertEqual([renewed], self.stored(created, 'ok_actions'))
        self.assertEqual(PLAIN, plain)
        self.assertNotEqual(sealed, renewed)
        self.assertEqual(action.identity(sealed), action.identity(renewed))
        self.assertEqual(URL % 1, self.vault.open(renewed))
        # then: the lanes are those that the evaluator goes on with
        after = self.outbox.lanes()
        self.assertEqual([row.id for row in before],
                         [row.id for row in after])
        self.assertEqual(
            {outbox.lane_id(created.id, url) for url in (renewed, PLAIN)},
            {row.id for row in after})
        self.assertEqual({URL % 1, PLAIN}, {
            self.vault.open(row.action) for row in after})
        self.assertEqual(deliveries, self.outbox.deliveries())

    def test_what_was_never_encrypted(self):
        created = self.alarm(
            ok_actions=[URL % 1], alarm_actions=[URL % 1, PLAIN, URL % 2])
        self.fire(created, URL % 1, times=3)
        self.fire(created, PLAIN)
        # what an alarm had that is gone
        gone = self.alarm()
        self.fire(gone, URL % 3)
        alarm.delete(self.db, gone.id)

        self.assertEqual((1, 2), self.counts())

        self.assertNotIn('hush', self.everything())
        one, plain, two = self.stored(created)
        self.assertEqual([one], self.stored(created, 'ok_actions'))
        self.assertEqual([URL % 1, PLAIN, URL % 2], [
            self.vault.open(url) for url in (one, plain, two)])
        # then: the lane goes on where it was, under its new name
        lanes = {row.id: row for row in self.outbox.lanes()}
        lane = lanes[outbox.lane_id(created.id, one)]
        self.assertEqual((1, 3, one), (lane.head, lane.tail, lane.action))
        self.assertEqual([1, 2, 3], [
            row.sequence for row in self.outbox.deliveries()
            if row.lane_id == lane.id])
        self.assertEqual(
            {row.lane_id for row in self.outbox.deliveries()}, set(lanes))
        self.assertIn(URL % 3, {
            self.vault.open(row.action) for row in lanes.values()})

    def test_in_chunks(self):
        many = [self.alarm(alarm_actions=[self.vault.seal(URL % n)])
                for n in range(7)]
        for created in many:
            self.fire(created, created.alarm_actions[0], times=1)
        self.new_key_first()

        with mock.patch.object(rotation, 'CHUNK', 3), mock.patch.object(
                rotation.batch, 'SIZE', 500):
            self.assertEqual((7, 7), self.counts())
        self.new_key_alone()
        self.assertEqual([URL % n for n in range(7)], [
            self.vault.open(self.stored(created)[0]) for created in many])

    def test_what_somebody_changes_meanwhile(self):
        """Given a PUT between look and lock: it stays, and is renewed."""
        first, second, gone = (
            self.alarm(alarm_actions=[self.vault.seal(URL % n)])
            for n in range(3))
        changed = self.vault.seal(URL % 'changed')
        self.new_key_first()
        renewed = self.vault.renewed
        again = []

        def renew(stored):
            if not again:
                again.append(alarm.update(
                    self.db, second.id, lambda old: alarm.dataclasses.replace(
                        old, alarm_actions=[changed])))
                alarm.delete(self.db, gone.id)
            return renewed(stored)

        with mock.patch.object(self.vault, 'renewed', renew):
            self.assertEqual((2, 0), self.counts())
        self.new_key_alone()

        self.assertEqual(URL % 0, self.vault.open(self.stored(first)[0]))
        kept, = self.stored(second)
        self.assertEqual(action.identity(changed), action.identity(kept))
        self.assertEqual(URL % 'changed', self.vault.open(kept))

    def test_what_no_key_fits_is_told_and_stays(self):
        lost = self.alarm(alarm_actions=[self.vault.seal(URL % 'lost')])
        self.fire(lost, lost.alarm_actions[0])
        self.write_keys(credential.new_key())
        good = self.alarm(alarm_actions=[self.vault.seal(URL % 1)])
        self.new_key_first()

        done = self.rotate()

        self.assertEqual({lost.id}, done.sealed)
        self.assertEqual((1, 0), (done.alarms, done.lanes))
        self.assertEqual(list(lost.alarm_actions), self.stored(lost))
        self.new_key_alone()
        self.assertEqual(URL % 1, self.vault.open(self.stored(good)[0]))

    def test_history_and_etag_know_nothing_of_it(self):
        created = self.alarm(alarm_actions=[self.vault.seal(URL % 1)])
        with self.db.reader() as conn:
            before = alarm.get(conn, created.id)
        self.new_key_first()
        self.counts()

        with self.db.reader() as conn:
            after = alarm.get(conn, created.id)
            self.assertEqual(1, conn.execute(sa.select(
                sa.func.count()).select_from(models.change)).scalar())
        self.assertEqual(
            before, alarm.dataclasses.replace(
                after, alarm_actions=before.alarm_actions))
        self.assertNotEqual(
            json.dumps(before.alarm_actions), json.dumps(after.alarm_actions))

    def test_without_keys(self):
        self.alarm(alarm_actions=[URL % 1])

        self.assertRaises(exception.NoKey, rotation.rotate, self.db,
                          credential.Vault(None))


class RotationTest(RotationTests, base.TestCase):
    pass
