# SPDX-License-Identifier: Apache-2.0

import dataclasses
import json
import uuid

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import change
from doctor_alarm.objects import query
from doctor_alarm.tests import base
from doctor_alarm.tests import storage

RULE = {'event_type': 'compute.instance.update', 'query': [
    {'field': 'traits.instance_id', 'op': 'eq', 'value': 'vm1',
     'type': ''}]}
OTHER_RULE = {'event_type': 'service.update', 'query': []}
ALICE = change.Actor('alice', 'p1')


def an_alarm(**values):
    return alarm.Alarm(**{
        'name': 'vm1 down', 'type': 'event', 'rule': RULE,
        'project_id': 'p1', 'user_id': 'alice',
        'alarm_actions': ['http://u:secret@host/x?token=secret'], **values})


class StoredAlarms:
    """The storage of alarms, on every database."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.url())).db

    def url(self):
        return None

    def get(self, alarm_id):
        with self.db.reader() as conn:
            return alarm.get(conn, alarm_id)

    def history(self, alarm_id):
        with self.db.reader() as conn:
            return change.of_alarm(conn, alarm_id)

    def rows(self, table, alarm_id):
        with self.db.reader() as conn:
            return conn.execute(sa.select(table).where(
                table.c.alarm_id == alarm_id)).mappings().all()

    def keys(self, alarm_id):
        return {row['key'] for row in self.rows(models.alarm_key, alarm_id)}

    def put_active(self, alarm_id):
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.active_alarm).values(
                alarm_id=alarm_id, resource_key=1, resource_id='vm1',
                project_id='p1', state='alarm', event_time=1,
                publisher_id='', unpaired=False, updated_at=1))
            conn.execute(sa.update(models.alarm).where(
                models.alarm.c.id == alarm_id).values(
                    state='alarm', state_reason='Event', active_count=1,
                    state_timestamp=5))

    def test_create_stores_keys_and_history_with_it(self):
        created = alarm.create(self.db, an_alarm(), ALICE)

        self.assertEqual(dataclasses.replace(
            created, ok_actions=[], insufficient_data_actions=[],
            time_constraints=[]), self.get(created.id))
        self.assertEqual('insufficient data', created.state)
        key, = match.keys_of_alarm('p1', RULE)
        self.assertEqual({key.plain}, self.keys(created.id))
        entry, = self.history(created.id)
        self.assertEqual(('creation', 'alice', 'p1', 'p1'), (
            entry.type, entry.user_id, entry.project_id,
            entry.on_behalf_of))
        self.assertEqual('vm1 down', json.loads(entry.detail)['name'])

    def test_history_shows_no_credentials(self):
        created = alarm.create(self.db, an_alarm(), ALICE)

        entry, = self.history(created.id)

        self.assertNotIn('secret', entry.detail)
        self.assertIn('http://***@host/x?token=***', entry.detail)

    def test_update_replaces_keys_and_bumps_the_version(self):
        created = alarm.create(self.db, an_alarm(), ALICE)

        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, rule=OTHER_RULE), ALICE)

        key, = match.keys_of_alarm('p1', OTHER_RULE)
        self.assertEqual({key.plain}, self.keys(created.id))
        self.assertEqual(2, self.get(created.id).version)
        entry = self.history(created.id)[0]
        self.assertEqual('rule change', entry.type)
        self.assertEqual({'rule': OTHER_RULE}, json.loads(entry.detail))

    def test_update_that_keeps_state_and_rule_keeps_active_resources(self):
        created = alarm.create(self.db, an_alarm(), ALICE)
        self.put_active(created.id)

        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, description='new'), ALICE)

        now = self.get(created.id)
        self.assertEqual(('alarm', 'Event', 1, 5), (
            now.state, now.state_reason, now.active_count,
            now.state_timestamp))
        self.assertEqual(1, len(self.rows(models.active_alarm, created.id)))

    def test_a_new_rule_starts_afresh(self):
        created = alarm.create(self.db, an_alarm(), ALICE)
        self.put_active(created.id)

        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, rule=OTHER_RULE), ALICE)

        self.assertEqual([], self.rows(models.active_alarm, created.id))
        self.assertEqual(0, self.get(created.id).active_count)

    def test_set_state_starts_afresh(self):
        created = alarm.create(self.db, an_alarm(), ALICE)
        self.put_active(created.id)

        alarm.set_state(self.db, created.id, 'ok', ALICE)

        now = self.get(created.id)
        self.assertEqual(('ok', 'Manually set via API', 0, 2), (
            now.state, now.state_reason, now.active_count, now.version))
        self.assertEqual(created.timestamp, now.timestamp)
        self.assertEqual([], self.rows(models.active_alarm, created.id))
        entry = self.history(created.id)[0]
        self.assertEqual('state transition', entry.type)
        self.assertEqual(
            {'state': 'ok', 'state_reason': 'Manually set via API'},
            json.loads(entry.detail))

    def test_an_edit_that_raises_changes_nothing(self):
        created = alarm.create(self.db, an_alarm(), ALICE)

        def refuse(old):
            raise exception.Forbidden()

        self.assertRaises(exception.Forbidden, alarm.update, self.db,
                          created.id, refuse, ALICE)
        self.assertEqual(1, self.get(created.id).version)

    def test_delete_keeps_history_and_what_is_to_be_delivered(self):
        created = alarm.create(self.db, an_alarm(), ALICE)
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.lane).values(
                id='l', alarm_id=created.id, project_id='p1', action='x',
                head=1, tail=1, due=1, attempts=0))

        alarm.delete(self.db, created.id, ALICE)

        self.assertRaises(exception.AlarmNotFound, self.get, created.id)
        self.assertEqual(set(), self.keys(created.id))
        self.assertEqual(1, len(self.rows(models.lane, created.id)))
        self.assertEqual(['deletion', 'creation'],
                         [entry.type for entry in self.history(created.id)])

    def test_unknown_ids(self):
        for wrong in ('nope', 'x' * 37, 'é', 'a\0b', '', 'a b'):
            self.assertRaises(exception.AlarmNotFound, self.get, wrong)
            self.assertRaises(exception.AlarmNotFound, alarm.delete,
                              self.db, wrong)
            self.assertRaises(exception.AlarmNotFound, alarm.set_state,
                              self.db, wrong, 'ok')

    def test_import_keeps_what_the_alarms_bring(self):
        known = str(uuid.uuid4())

        count = alarm_bulk.import_all(self.db, iter([
            an_alarm(id=known, state='ok', state_timestamp=7, timestamp=8),
            an_alarm(name='new')]))

        self.assertEqual(2, count)
        stored = self.get(known)
        self.assertEqual(('ok', 7, 8), (
            stored.state, stored.state_timestamp, stored.timestamp))
        self.assertNotEqual(set(), self.keys(known))

    def test_import_is_all_or_nothing(self):
        known = alarm.create(self.db, an_alarm(), ALICE).id

        self.assertRaises(
            exception.Duplicate, alarm_bulk.import_all, self.db, [
                *(an_alarm(name='new') for _ in range(600)),
                an_alarm(id=known)])

        with self.db.reader() as conn:
            self.assertEqual([known], [a.id for a in alarm_list.find(
                conn, None, query.Page())])

    def test_import_with_one_id_twice(self):
        known = str(uuid.uuid4())

        self.assertRaises(exception.Duplicate, alarm_bulk.import_all, self.db,
                          [an_alarm(id=known), an_alarm(id=known)])


class SqliteAlarmsTest(StoredAlarms, base.TestCase):
    pass
