# SPDX-License-Identifier: Apache-2.0

import datetime
import logging
import threading
import types

import fixtures
from oslo_db import exception as db_exc

from doctor_alarm.evaluator import committer
from doctor_alarm.evaluator import subject
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.tests import base

NOW = datetime.datetime.now(datetime.timezone.utc)


def an_event(message_id, days=0):
    return event.build(event.Parts(
        message_id=message_id, event_type='t', traits={},
        generated=NOW - datetime.timedelta(days=days)), received=NOW)


class Letters:
    def __init__(self, failures=0):
        self.failures = failures
        self.kept = []

    def put(self, reason, message_id, source, body):
        if self.failures:
            self.failures -= 1
            raise exception.PublishFailed(topic='t', reason='away')
        self.kept.append((message_id, reason))


class TestCommitter(base.TestCase):

    def setUp(self):
        super().setUp()
        self.stopping = threading.Event()
        self.database_answers = False
        self.options = types.SimpleNamespace(
            retry_max=0.001, max_event_age=86400, batch_size=3)
        self.letters = Letters()
        self.committed = []
        self.done = []

    def commit(self, *message_ids, process=None, events=None):
        driver = committer.Committer(
            process or self.process, self.letters, stopping=self.stopping,
            source='s', options=self.options,
            database_answers=lambda: self.database_answers)
        driver.commit([
            committer.Item([e], self.done.append)
            for e in events or [an_event(m) for m in message_ids]])

    def process(self, events):
        self.committed += [e.message_id for e in events]

    def failing(self, *errors):
        pending = list(errors)

        def process(events):
            if pending:
                raise pending.pop(0)
            self.process(events)
        return process

    def test_all_events_of_a_batch_in_one_call_then_acknowledged(self):
        calls = []
        self.commit('a', 'b', process=lambda events: calls.append(
            ([e.message_id for e in events], list(self.done))))
        self.assertEqual([(['a', 'b'], [])], calls)
        self.assertEqual([None, None], self.done)

    def test_transient_errors_are_retried_with_the_whole_batch(self):
        self.commit('a', 'b', process=self.failing(
            db_exc.DBDeadlock(), db_exc.DBConnectionError(),
            db_exc.DBConnectionError()))
        self.assertEqual(['a', 'b'], self.committed)
        self.assertEqual([], self.letters.kept)

    def test_the_single_culprit_is_put_aside(self):
        def process(events):
            if 'bad' in [e.message_id for e in events]:
                raise ValueError('poison')
            self.process(events)

        self.commit('a', 'b', 'bad', 'c', 'd', process=process)

        self.assertEqual(['a', 'b', 'c', 'd'], self.committed)
        self.assertEqual([('bad', 'ValueError: poison')], self.letters.kept)
        self.assertEqual([None] * 5, self.done)

    def test_no_more_events_at_once_than_configured(self):
        sizes = []
        self.commit(*'abcdefgh',
                    process=lambda events: sizes.append(len(events)))
        self.assertEqual([3, 3, 2], sizes)
        self.assertEqual([None] * 8, self.done)

    def test_what_cuts_the_connection_each_time_is_found(self):
        """MariaDB does so when a statement is too large for it."""
        def process(events):
            if 'huge' in [e.message_id for e in events]:
                raise db_exc.DBConnectionError()
            self.process(events)

        self.database_answers = True
        self.commit('a', 'huge', 'b', process=process)
        self.assertEqual(['a', 'b'], self.committed)
        self.assertEqual(['huge'], [m for m, _ in self.letters.kept])

    def test_a_database_that_is_away_blames_no_event(self):
        self.commit('a', process=self.failing(
            *[db_exc.DBConnectionError() for _ in range(40)]))
        self.assertEqual(['a'], self.committed)
        self.assertEqual([], self.letters.kept)

    def test_warnings_say_which_messages_and_alarms(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.committer.RETRY_FIRST', 1.0))
        self.options.batch_size = 100
        many = ['m%d' % i for i in range(40)]

        def process(events):
            with subject.alarms(['alarm%d' % i for i in range(7)]):
                return fails(events)
        fails = self.failing(db_exc.DBDeadlock())
        self.commit(*many, process=process)

        self.assertIn(
            'The commit failed, next attempt in 1.0 s, message m0, m1, m2, '
            'm3, m4 and 35 more (alarm alarm0, alarm1, alarm2, alarm3, '
            'alarm4 and 2 more): ',
            log.output)

    def test_what_is_put_aside_is_named(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))

        def process(_events):
            with subject.alarms(['a1']):
                raise ValueError('poison')
        self.commit('bad', process=process)
        self.commit(events=[an_event('old', days=2)])

        self.assertIn('message bad (alarm a1) can not be evaluated',
                      log.output)
        self.assertIn('message old: older than', log.output)

    def test_put_aside_is_retried_until_it_is_durable(self):
        self.letters.failures = 3
        self.commit('bad', process=self.failing(*[ValueError()] * 1))
        self.assertEqual(['bad'], [m for m, _ in self.letters.kept])
        self.assertEqual([None], self.done)

    def test_the_end_of_the_service_acknowledges_nothing(self):
        def process(events):
            self.stopping.set()
            raise db_exc.DBConnectionError()

        self.commit('a', process=process)
        self.assertIsInstance(self.done[0], committer.Abandoned)

    def test_events_older_than_the_ids_are_put_aside(self):
        self.commit(events=[an_event('old', days=2), an_event('new'),
                            an_event('older', days=3)])
        self.assertEqual(['new'], self.committed)
        (message_id, reason), = self.letters.kept
        self.assertEqual('old', message_id)
        self.assertIn('2 events', reason)
        self.assertEqual([None] * 3, self.done)
