# SPDX-License-Identifier: Apache-2.0
"""What is dropped for something newer, on the databases."""

import re
import threading

import fixtures
from sqlalchemy import event as sa_event

from doctor_alarm.notifier import stale
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.notifier import processes
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.notifier import test_stale

#: Deliveries that wait in one lane.
MANY = 5000


class DropTests(test_stale.LatestOnlyTests, test_stale.MaxAgeTests,
                test_stale.ByHandTests, test_stale.InterruptedTests,
                processes.NotifierTests):
    """What holds on every database."""

    def test_thousands_go_in_few_statements(self):
        lane = self.lane(latest_only=True)
        hint = self.outbox.fire(lane, times=MANY)
        asked, lock = [], threading.Lock()

        def note(_conn, _cursor, statement, *_args):
            with lock:
                asked.append(statement)

        sa_event.listen(self.db.engine, 'before_cursor_execute', note)
        self.a_dispatcher().wake(hint)
        self.wait_idle()
        sa_event.remove(self.db.engine, 'before_cursor_execute', note)

        self.assertEqual([MANY], self.plugin.of(lane))
        self.assertEqual(MANY - 1, len(self.by_status(lane)['superseded']))
        self.assertEqual(MANY // stale.CHUNK, len([
            text for text in asked
            if re.match('UPDATE', text) and 'dropped_at' in text]))

    def test_kill_while_they_are_dropped(self):
        hook = self.a_receiver()
        lanes = [self.outbox.lane('%s%d' % (hook.url, n), latest_only=True)
                 for n in range(100)]
        for _ in range(5):
            self.outbox.fire(*lanes, times=60)
        self.outbox.expire()

        for _ in range(3):
            dropped = self.outbox.statuses().count('superseded')
            child = self.a_process()
            self.wait_until(
                lambda seen=dropped: self.outbox.idle() or
                self.outbox.statuses().count('superseded') > seen)
            child.kill()
            child.wait()
        self.a_process()
        self.wait_idle()

        self.assertEqual({300}, {body['sequence'] for body in hook.bodies})
        self.assertEqual(100, len(hook.ids()))
        statuses = self.outbox.statuses()
        self.assertEqual((100, 100 * 299), (
            statuses.count('delivered'), statuses.count('superseded')))

    def test_an_evaluator_and_two_notifiers_meanwhile(self):
        self.configure(retry_initial=0.1, retry_max=0.5)
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.stale.CHUNK', 20))
        hook = self.a_receiver()
        hook.stop()
        lanes = [self.outbox.lane('%s%d' % (hook.url, n), latest_only=True)
                 for n in range(20)]
        given = [self.http(), self.http()]

        for n in range(60):
            given[n % 2].wake(self.outbox.fire(*lanes, times=3))
            if n == 50:
                hook.start()
        self.wait_idle()

        for lane in lanes:
            found = [body['sequence'] for body in hook.of(lane.alarm_id)]
            self.assertEqual(sorted(found), found)
            self.assertEqual(180, found[-1])
            told = self.by_status(lane)
            self.assertEqual({'delivered', 'superseded'}, set(told))
            self.assertEqual(found, told['delivered'])


class SQLiteTest(DropTests, base.TestCase):
    pass


class MariaDBTest(DropTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLTest(DropTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
