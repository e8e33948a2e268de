# SPDX-License-Identifier: Apache-2.0
"""Evaluators that are behind, and the end of waits, on every database."""

import threading
import types
from unittest import mock

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import behind
from doctor_alarm.evaluator import service
from doctor_alarm.evaluator import stage
from doctor_alarm.objects import behind as told
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.evaluator import test_timeout
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage
from doctor_alarm import timeout

SECOND = 1_000_000


class Evaluator:
    """A service as far as it has to do with the end of waits."""

    def __init__(self, case, db):
        self.case = case
        self.behind = behind.Behind(db)
        self.service = service.EvaluatorService(case.storage.conf)
        self.service._batches = mock.Mock()
        self.committer = case.committer
        self.now = db.now
        self.acknowledged = []

    def end_waits(self, until):
        return self.case.committer.end(self.case.engine, until)

    def holds(self, seconds):
        """What was taken some seconds ago is not committed."""
        self.behind.held._since['event'] = (
            behind.time.monotonic() - seconds)
        self.tells()

    def commits(self, *events):
        self.case.engine.process(list(events))
        self.behind.held.remove('event')
        self.tells()

    def tells(self):
        self.behind._tell(self.behind.held.since())

    def takes(self, until, **payload):
        """Take the message that waits have ended."""
        self.service._take(self, [service._Taken(types.SimpleNamespace(
            message={'event_type': service.ENDED, 'payload': {
                'until': until, **payload}},
            acknowledge=lambda: self.acknowledged.append(until)), True)])

    def takes_again(self):
        pause, taken = self.case.timers.pop()
        self.service._take(self, [taken])
        return pause


class BehindTests(test_timeout.TimeoutSetting):

    def setUp(self):
        super().setUp()
        self.timers = []
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.service.threading.Timer', self.timer))
        other = self.useFixture(storage.Storage(self.storage.url))
        self.first = Evaluator(self, self.db)
        self.second = Evaluator(self, other.db)

    def timer(self, pause, _function, args):
        self.timers.append((pause, *args))
        return mock.Mock()

    def given_a_wait_that_is_over(self):
        created = self.an_alarm(test_timeout.ABSENCE)
        self.lapse(test_timeout.TIMEOUT + 60)
        return created, self.waits()[0].due

    def until(self):
        return self.db.now() - timeout.GRACE

    def rows(self):
        return self.all_of(models.behind)

    def test_what_another_one_holds_goes_first(self):
        _, due = self.given_a_wait_that_is_over()
        self.first.holds(seconds=5)
        # when: it is over, says the other one
        self.second.takes(self.until())
        self.second.takes_again()
        self.assertEqual([], self.second.acknowledged)
        self.first.commits(self.an_event(arrival=due))
        self.assertEqual(behind.USUAL, self.second.takes_again())
        # then: it came in time
        self.assertEqual([('insufficient data', 'ok')], self.told())
        self.assertEqual(1, len(self.second.acknowledged))
        self.assertEqual([], self.timers)
        self.assertEqual([], self.rows())

    def test_what_it_took_later_does_not(self):
        self.given_a_wait_that_is_over()
        self.first.holds(seconds=5)
        self.second.takes(self.until())
        # when: it goes on to be behind, with what it took since
        (_, taken), = self.timers
        with self.db.writer() as conn:
            told.report(conn, self.db.dialect, self.first.behind._name,
                        taken.asked + 1, self.db.now())
        self.second.takes_again()

        self.assertEqual([('insufficient data', 'alarm')], self.told())

    def test_its_own_queue_is_in_order(self):
        self.given_a_wait_that_is_over()
        self.second.holds(seconds=5)
        self.second.takes(self.until())

        self.assertEqual([('insufficient data', 'alarm')], self.told())

    def test_one_that_died_stops_nobody(self):
        self.given_a_wait_that_is_over()
        self.first.holds(seconds=5)
        self.second.takes(self.until())
        with self.db.writer() as conn:
            conn.execute(sa.update(models.behind).values(
                told_at=models.behind.c.told_at - told.DEAD))
        self.second.takes_again()

        self.assertEqual([('insufficient data', 'alarm')], self.told())

    def test_one_that_hangs_stops_nobody_for_ever(self):
        self.given_a_wait_that_is_over()
        self.first.holds(seconds=5)
        self.second.takes(self.until())
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.behind.PATIENCE', 0.0))
        self.second.takes_again()

        self.assertEqual([('insufficient data', 'alarm')], self.told())

    def test_behind_a_queue_others_get_time_to_tell(self):
        self.given_a_wait_that_is_over()
        for expected, payload in ((behind.TOLD, {}),
                                  (service.HOLD, {'late': True})):
            self.second.takes(self.until() - SECOND, **payload)
            self.assertEqual(expected, self.timers[-1][0])
        self.assertEqual([], self.told())
        self.second.takes_again()
        self.assertEqual([('insufficient data', 'alarm')], self.told())

    def test_what_is_usual_is_not_told(self):
        self.given_a_wait_that_is_over()
        self.first.holds(seconds=behind.USUAL / 2)
        self.assertEqual([], self.rows())

    def test_where_nothing_is_waited_for_nobody_tells(self):
        self.first.holds(seconds=5)
        self.assertEqual([], self.rows())

    def test_rows_of_those_who_died_are_swept(self):
        self.given_a_wait_that_is_over()
        for one in (self.first, self.second):
            one.holds(seconds=5)
        with self.db.writer() as conn:
            conn.execute(sa.update(models.behind).values(told_at=1))
        self.second.commits()
        self.assertEqual([], self.rows())

    def test_an_agent_that_evaluates_itself(self):
        """It has no queue: its own events go first as well."""
        _, due = self.given_a_wait_that_is_over()
        self.second.holds(seconds=5)
        stopping = mock.Mock()

        def commit(_pause):
            self.second.commits(self.an_event(arrival=due))
            return False
        stopping.wait.side_effect = commit
        at_work = types.SimpleNamespace(
            behind=self.second.behind, now=self.db.now, _stopping=stopping,
            end_waits=self.second.end_waits)

        stage.Stage._end_waits(at_work, due, self.until())

        self.assertEqual(1, stopping.wait.call_count)
        self.assertEqual([('insufficient data', 'ok')], self.told())

    def test_the_thread_tells_and_withdraws(self):
        self.given_a_wait_that_is_over()
        self.first.behind.held.add('event')
        self.first.behind.start()
        self.addCleanup(self.first.behind.stop)
        self.wait_until(self.rows)
        self.first.behind.held.remove('event')
        self.wait_until(lambda: not self.rows())
        self.first.behind.held.add('event')
        self.wait_until(self.rows)
        self.first.behind.stop()
        self.assertEqual([], self.rows())


class HeldTest(base.TestCase):

    def test_the_oldest_counts(self):
        held = behind.Held()
        self.assertIsNone(held.since())
        held.add(1)
        first = held.since()
        held.add(2)
        self.assertEqual(first, held.since())
        held.remove(1)
        self.assertGreaterEqual(held.since(), first)
        held.remove(2)
        held.remove(2)
        self.assertIsNone(held.since())

    def test_from_several_threads(self):
        held = behind.Held()

        def work(name):
            for n in range(2000):
                held.add((name, n))
                held.since()
                held.remove((name, n))
        threads = [threading.Thread(target=work, args=(n,))
                   for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertIsNone(held.since())


class TestSqlite(BehindTests, base.TestCase):

    def database_url(self):
        return None


class TestMariaDB(BehindTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class TestPostgreSQL(BehindTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
