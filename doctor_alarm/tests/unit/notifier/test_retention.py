# SPDX-License-Identifier: Apache-2.0

import threading

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.notifier import retention
from doctor_alarm.objects import purge
from doctor_alarm.tests import base
from doctor_alarm.tests import storage


class RetentionTest(base.TestCase):

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage())
        self.conf, self.db = stored.conf, stored.db
        self.log = self.useFixture(fixtures.FakeLogger(
            'doctor_alarm.notifier.retention'))

    def given_letter(self, days):
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.dead_letter).values(
                id='%d' % days, message_id='m', source='s', reason='r',
                body='{}', created_at=self.db.now() - days * purge.DAY))

    def letters(self):
        with self.db.reader() as conn:
            return set(conn.execute(
                sa.select(models.dead_letter.c.id)).scalars())

    def make(self):
        kept = retention.Retention(self.conf, self.db)
        self.addCleanup(kept.stop)
        return kept

    def test_what_is_old_goes(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.retention.FIRST', 0.0))
        self.given_letter(29)
        self.given_letter(31)

        self.make().start()

        self.wait_until(lambda: self.letters() == {'29'})
        self.wait_until(lambda: 'dead_letter 1' in self.log.output)

    def test_nothing_goes_at_the_start_or_where_all_is_kept(self):
        for days, alive in ((30, True), (0, False)):
            self.conf.set_override('days', days, group='retention')
            kept = self.make()
            kept.start()
            self.assertEqual(alive, kept._thread.is_alive())
            kept.stop()

    def test_once_a_day(self):
        pauses, purged = [], []

        class Event(threading.Event().__class__):
            def wait(self, timeout=None):
                pauses.append(timeout)
                return len(pauses) > 3
        kept = self.make()
        kept._stopping = Event()
        kept._purge = lambda: purged.append(1)

        kept._run()

        self.assertLessEqual(pauses[0], retention.FIRST)
        self.assertEqual([86400] * 3, pauses[1:])
        self.assertEqual(3, len(purged))

    def test_an_error_is_not_the_end(self):
        def fail(db, days):
            raise ValueError('away, at mysql://u:hush@h/')
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.retention.purge.purge', fail))

        self.make()._purge()

        self.assertIn('30 days could not be deleted', self.log.output)
        self.assertNotIn('hush', self.log.output)

    def test_less_than_what_tells_repetitions_is_refused(self):
        self.conf.set_override('days', 6, group='retention')
        error = self.assertRaises(exception.ConfigurationError, self.make)
        self.assertIn('[retention] days', str(error))
        self.conf.set_override('days', 7, group='retention')
        self.make()
