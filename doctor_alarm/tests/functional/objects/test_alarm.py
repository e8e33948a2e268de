# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import dataclasses
import json

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import alarm
from doctor_alarm.objects import candidate
from doctor_alarm.objects import change
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.objects import test_alarm
from doctor_alarm.tests.unit.objects import test_alarm_list


class ConcurrentChanges(test_alarm.StoredAlarms):

    def in_parallel(self, *calls):
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            for future in [pool.submit(call) for call in calls]:
                future.result(timeout=60)

    def test_an_update_never_reverts_a_transition(self):
        """Given a transition that commits while an update waits for it."""
        created = alarm.create(self.db, test_alarm.an_alarm())
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with self.db.writer() as conn:
                candidate.lock(conn, [created.id])
                update = pool.submit(
                    alarm.update, self.db, created.id,
                    lambda old: dataclasses.replace(old, name='renamed'))
                conn.execute(sa.update(models.alarm).where(
                    models.alarm.c.id == created.id).values(
                        state='alarm', active_count=3))
                self.assertFalse(update.done())
            update.result(timeout=30)

        now = self.get(created.id)
        self.assertEqual(('renamed', 'alarm', 3),
                         (now.name, now.state, now.active_count))

    def test_no_change_is_lost(self):
        """When updates and states are set at once, all of them count."""
        created = alarm.create(self.db, test_alarm.an_alarm())
        times = 15

        def rename():
            for _ in range(times):
                alarm.update(self.db, created.id, lambda old:
                             dataclasses.replace(old, description=str(
                                 int(old.description or 0) + 1)))

        def set_states():
            for i in range(times):
                alarm.set_state(self.db, created.id,
                                ('ok', 'alarm')[i % 2])

        def move():
            for i in range(times):
                rule = dict(test_alarm.RULE, event_type=str(i))
                alarm.update(self.db, created.id, lambda old, rule=rule:
                             dataclasses.replace(old, rule=rule))

        self.in_parallel(rename, rename, set_states, move)

        now = self.get(created.id)
        self.assertEqual(str(2 * times), now.description)
        self.assertEqual('ok', now.state)
        self.assertEqual(1 + 4 * times, now.version)
        self.assertEqual(1 + 4 * times, len(self.history(created.id)))
        self.assertEqual(1, len(self.keys(created.id)))
        transitions = [json.loads(entry.detail)['state']
                       for entry in self.history(created.id)
                       if entry.type == change.Type.STATE_TRANSITION]
        self.assertEqual(times, len(transitions))


class SqliteConcurrencyTest(ConcurrentChanges, base.TestCase):
    pass


class MariaDBAlarmsTest(ConcurrentChanges, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLAlarmsTest(ConcurrentChanges, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url


class MariaDBAlarmListTest(test_alarm_list.ListedAlarms, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLAlarmListTest(test_alarm_list.ListedAlarms, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url
