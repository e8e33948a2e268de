# SPDX-License-Identifier: Apache-2.0
"""Quotas hold whoever creates at the same time."""

import concurrent.futures
import json
import threading

import sqlalchemy as sa

from doctor_alarm.api import alarm_import
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import alarm
from doctor_alarm.objects import quota
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.objects import test_alarm

WORKERS = 6
EACH = 4


class ConcurrentCreates:

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage(self.url()))
        self.db = stored.db
        # As several processes have them: nothing is shared but the database.
        self.workers = [db_api.Database(stored.conf) for _ in range(WORKERS)]
        for worker in self.workers:
            self.addCleanup(worker.dispose)

    def url(self):
        """Return the URL of the database; None: SQLite."""

    def create_everywhere(self, limits, owner):
        """Create at once in all workers; return how many were refused.

        :param owner: index of a worker -> (project, user)
        """
        start = threading.Barrier(WORKERS)

        def work(i):
            project_id, user_id = owner(i)
            refused = 0
            start.wait(60)
            for _ in range(EACH):
                try:
                    alarm.create(self.workers[i], test_alarm.an_alarm(
                        project_id=project_id, user_id=user_id),
                        limits=limits)
                except exception.OverQuota:
                    refused += 1
            return refused

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            return sum(pool.map(work, range(WORKERS), timeout=180))

    def count(self):
        with self.db.reader() as conn:
            return conn.execute(sa.select(
                sa.func.count()).select_from(models.alarm)).scalar_one()

    def test_of_a_project(self):
        """When many create at once, exactly as many as allowed succeed."""
        refused = self.create_everywhere(
            quota.Defaults(project=7), lambda i: ('p1', 'u%d' % i))

        self.assertEqual(7, self.count())
        self.assertEqual(WORKERS * EACH - 7, refused)

    def test_of_a_project_that_has_its_own(self):
        quota.set_project(self.db, 'p1', {quota.ALARMS: 5})

        refused = self.create_everywhere(
            quota.Defaults(), lambda i: ('p1', 'u'))

        self.assertEqual(5, self.count())
        self.assertEqual(WORKERS * EACH - 5, refused)

    def test_of_a_user_in_several_projects(self):
        refused = self.create_everywhere(
            quota.Defaults(user=6), lambda i: ('p%d' % (i % 3), 'u'))

        self.assertEqual(6, self.count())
        self.assertEqual(WORKERS * EACH - 6, refused)

    def test_of_both_at_once(self):
        """Given locks of project and user that cross each other."""
        refused = self.create_everywhere(
            quota.Defaults(project=5, user=8),
            lambda i: ('p%d' % (i % 2), 'u%d' % (i % 3)))

        self.assertEqual(10, self.count())
        self.assertEqual(WORKERS * EACH - 10, refused)

    def test_an_import_is_the_operators(self):
        """Given an import beside creates: it all fits, they get no more."""
        lines = [json.dumps({
            'name': 'a', 'type': 'event', 'event_rule': {},
            'project_id': 'p1', 'user_id': 'u'})] * 10
        limits = quota.Defaults(project=7)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            imported = pool.submit(
                alarm_import.load, self.db, lines, alarm_import.Terms(
                    schemes=frozenset(), vault=credential.Vault(None)))
            self.create_everywhere(limits, lambda i: ('p1', 'u'))
            self.assertEqual(10, imported.result(timeout=180).count)

        self.assertTrue(10 <= self.count() <= 17)
        self.assertRaises(
            exception.OverQuota, alarm.create, self.db,
            test_alarm.an_alarm(project_id='p1', user_id='u'), limits=limits)


class SqliteQuotaTest(ConcurrentCreates, base.TestCase):
    pass


class MariaDBQuotaTest(ConcurrentCreates, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLQuotaTest(ConcurrentCreates, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url
