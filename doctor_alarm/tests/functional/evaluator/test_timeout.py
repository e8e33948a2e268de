# SPDX-License-Identifier: Apache-2.0
"""Alarms that an absence raises, on every database."""

import collections
import concurrent.futures
import dataclasses
import json
import threading
import types
import uuid

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import behind
from doctor_alarm.evaluator import committer
from doctor_alarm.evaluator import engine
from doctor_alarm.evaluator import timers
from doctor_alarm import event
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.objects import purge
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.evaluator import test_engine
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage
from doctor_alarm import timeout

SECOND = 1_000_000
TIMEOUT = 600
ABSENCE = {'event_type': 'heartbeat', 'query': [], 'timeout': TIMEOUT}
NEVER_ACTIVE = {
    'event_type': 'compute.instance.update', 'query': [
        {'field': 'traits.state', 'op': 'eq', 'value': 'active'}],
    'timeout': TIMEOUT, 'after': {
        'event_type': 'compute.instance.create.start', 'query': []}}
CLOSED = [{'name': 'past', 'start': '0 0 1 1 *', 'duration': 1,
           'timezone': '', 'description': ''}]


class TimeoutSetting(test_engine.Setting):
    """Alarms that wait, events that come, and time that passes."""

    def setUp(self):
        super().setUp()
        self.committer = self.a_committer(self.engine)

    def a_committer(self, engine):
        return committer.Committer(
            engine.process, None, stopping=threading.Event(), source='test',
            options=self.storage.conf.evaluator,
            database_answers=self.db.answers)

    def an_event(self, event_type='heartbeat', vm='vm1', arrival=None,
                 **traits):
        now = test_engine.utcnow()
        return event.build(event.Parts(
            message_id=str(uuid.uuid4()), event_type=event_type, generated=now,
            project_id='p1', publisher_id='nova', transformed_at=arrival or 0,
            traits={'instance_id': vm, **traits}), received=now)

    def created(self, vm='vm1'):
        return self.an_event('compute.instance.create.start', vm)

    def active(self, vm='vm1'):
        return self.an_event('compute.instance.update', vm, state='active')

    def waits(self):
        return [row for row in self.all_of(models.active_alarm)
                if row.due is not None]

    def lapse(self, seconds=TIMEOUT + 1):
        """Let time pass for all waits."""
        table = models.active_alarm
        with self.db.writer() as conn:
            conn.execute(sa.update(table).values(
                due=table.c.due - seconds * SECOND))

    def end(self):
        """End waits as an evaluator does; returns how many turns it took."""
        turns = 1
        while self.committer.end(self.engine, self.db.now()):
            turns += 1
        return turns

    def told(self):
        return [(d.previous, d.current) for d in self.deliveries()]


class TimeoutTests(TimeoutSetting):
    """What holds on every database."""

    def test_an_absence(self):
        created = self.an_alarm(ABSENCE)
        self.end()
        self.assertEqual([], self.deliveries())

        self.lapse()
        self.end()
        self.end()

        now = self.get(created.id)
        self.assertEqual('alarm', now.state)
        self.assertEqual(
            'No event <event_type=heartbeat> hit the query <query=[]> for '
            '600 seconds.', now.state_reason)
        self.assertEqual(['alarm'], self.transitions(created.id))
        delivery, = self.deliveries()
        self.assertEqual(('insufficient data', 'alarm', now.state_reason), (
            delivery.previous, delivery.current, delivery.reason))
        self.assertEqual(1, len(self.hints))
        stored, = self.all_of(models.event)
        body = json.loads(stored.body)
        self.assertEqual('doctor_alarm.timeout', body['event_type'])
        self.assertIn(['timeout', 2, TIMEOUT], body['traits'])
        self.assertEqual([], self.waits())

    def test_arrivals_are_ok_and_counted_from(self):
        created = self.an_alarm(ABSENCE)
        self.lapse(seconds=500)
        before = self.db.now()

        self.engine.process([self.an_event()])

        self.assertEqual('ok', self.get(created.id).state)
        row, = self.waits()
        self.assertGreater(row.due, before + (TIMEOUT - 60) * SECOND)
        self.lapse()
        self.end()
        self.engine.process([self.an_event(vm='vm2')])
        self.assertEqual(
            [('insufficient data', 'ok'), ('ok', 'alarm'), ('alarm', 'ok')],
            self.told())
        self.assertEqual(1, len(self.waits()))

    def test_each_resource_after_its_start(self):
        created = self.an_alarm(NEVER_ACTIVE)
        self.assertEqual([], self.waits())

        self.engine.process([self.created('vm1'), self.created('vm2')])
        self.assertEqual(2, len(self.waits()))
        self.engine.process([self.active('vm1')])
        self.lapse()
        self.end()

        raised = self.deliveries()[-1]
        self.assertEqual(('vm2', 'alarm'),
                         (raised.resource_id, raised.current))
        self.engine.process([self.active('vm2')])
        self.assertEqual(
            [('insufficient data', 'ok'), ('ok', 'alarm'), ('alarm', 'ok')],
            self.told())
        self.assertEqual(0, self.get(created.id).active_count)
        self.assertEqual([], self.waits())

    def test_what_comes_before_the_lock_wins(self):
        self.an_alarm(ABSENCE)
        self.lapse(seconds=TIMEOUT)
        noticed = self.engine.ended(self.db.now())
        self.assertEqual(1, len(noticed))

        self.engine.process([self.an_event(arrival=noticed[0].due)])
        self.engine.end(noticed)

        self.assertEqual([('insufficient data', 'ok')], self.told())
        self.assertEqual(1, len(self.waits()))

    def test_an_evaluator_that_was_away_tells_what_was_due(self):
        created = self.an_alarm(ABSENCE, ok_actions=[test_engine.RECEIVER])
        self.lapse(seconds=3 * TIMEOUT)
        due = self.waits()[0].due

        # when: one came in time, the next one far too late
        self.engine.process([
            self.an_event(arrival=due - SECOND),
            self.an_event(arrival=due + 2 * TIMEOUT * SECOND)])

        self.assertEqual(
            [('insufficient data', 'ok'), ('ok', 'alarm'), ('alarm', 'ok')],
            self.told())
        self.assertEqual([1, 2, 3], [d.sequence for d in self.deliveries()])
        self.assertEqual(['ok', 'alarm', 'ok'], self.transitions(created.id))
        raised, = [d for d in self.deliveries() if d.current == 'alarm']
        self.assertEqual(due + (TIMEOUT - 1) * SECOND, raised.notified_at)

    def test_a_message_twice(self):
        self.an_alarm(ABSENCE)
        self.an_alarm(NEVER_ACTIVE)
        for fired in (self.an_event(), self.created()):
            self.engine.process([fired])
            due = sorted(row.due for row in self.waits())
            self.engine.process([fired, fired])
            self.assertEqual(due, sorted(row.due for row in self.waits()))
        self.lapse()
        self.end()
        count = len(self.deliveries())
        self.engine.process([fired])
        self.end()
        self.assertEqual(count, len(self.deliveries()))

    def test_evaluators_in_parallel_tell_each_once(self):
        alarm_bulk.import_all(self.db, [alarm.Alarm(
            name='a%d' % i, type='event', rule=ABSENCE, project_id='p1',
            alarm_actions=[test_engine.RECEIVER]) for i in range(300)])
        self.lapse()
        stored = [self.useFixture(storage.Storage(self.storage.url))
                  for _ in range(3)]
        engines = [engine.Engine(each.db, self.hints.append, lease=15)
                   for each in stored]
        noticed = [each.ended(self.db.now()) for each in engines]
        self.assertEqual([300] * 3, [len(each) for each in noticed])

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(self.end_by, each, waits)
                       for each, waits in zip(engines, noticed, strict=True)]
            for future in futures:
                future.result(timeout=100)

        told = collections.Counter(d.alarm_id for d in self.deliveries())
        self.assertEqual(300, len(told))
        self.assertEqual({1}, set(told.values()))
        self.assertEqual([], self.waits())

    def end_by(self, engine, waits):
        driver = self.a_committer(engine)
        for start in range(0, len(waits), 20):
            driver._divided('commit', engine.end, waits[start:start + 20],
                            self.fail)

    def test_a_backlog_ends_in_several_transactions(self):
        alarm_bulk.import_all(self.db, [alarm.Alarm(
            name='a%d' % i, type='event', rule=ABSENCE, project_id='p1',
            alarm_actions=[test_engine.RECEIVER]) for i in range(1200)])
        self.lapse()

        self.assertEqual(3, self.end())

        self.assertEqual(1200, len(self.deliveries()))
        self.assertEqual(3, len(self.hints))
        self.assertEqual([], self.waits())

    def test_one_that_breaks_hurts_no_other(self):
        bad, *good = [self.an_alarm(ABSENCE).id for _ in range(4)]
        self.lapse()
        end = self.engine.end

        def break_one(waits):
            if bad in {each.alarm_id for each in waits}:
                raise ValueError(bad)
            end(waits)
        self.engine.end = break_one

        self.end()

        self.assertEqual(set(good), {d.alarm_id for d in self.deliveries()})
        left, = self.waits()
        self.assertEqual(bad, left.alarm_id)
        self.assertGreater(left.due, self.db.now())
        # then: it is not lost
        self.engine.end = end
        self.lapse()
        self.end()
        self.assertEqual(4, len(self.deliveries()))

    def test_deleted_and_disabled_alarms_tell_nothing(self):
        deleted, disabled = self.an_alarm(ABSENCE), self.an_alarm(ABSENCE)
        self.lapse()
        noticed = self.engine.ended(self.db.now())

        alarm.delete(self.db, deleted.id)
        alarm.update(self.db, disabled.id, lambda old: dataclasses.replace(
            old, enabled=False))
        self.engine.end(noticed)

        self.assertEqual([], self.deliveries())
        self.assertEqual([], self.waits())
        # when: it is enabled again, then it is counted anew
        alarm.update(self.db, disabled.id, lambda old: dataclasses.replace(
            old, enabled=True))
        row, = self.waits()
        self.assertGreater(row.due, self.db.now())

    def test_a_wait_without_an_alarm_ends(self):
        created = self.an_alarm(ABSENCE)
        self.lapse()
        with self.db.writer() as conn:
            conn.execute(sa.delete(models.alarm).where(
                models.alarm.c.id == created.id))
        self.end()
        self.assertEqual([], self.waits())

    def test_what_the_api_changes_counts_anew(self):
        for edit, moved in ((lambda old: {'description': 'new'}, False),
                            (lambda old: {'rule': {**ABSENCE, 'timeout': 9}},
                             True),
                            (lambda old: {'state': 'ok'}, True)):
            created = self.an_alarm(ABSENCE)
            self.lapse(seconds=100)
            before, = self.waits()
            alarm.update(self.db, created.id, lambda old, edit=edit:
                         dataclasses.replace(old, **edit(old)))
            after, = self.waits()
            self.assertEqual(moved, after.due != before.due)
            alarm.delete(self.db, created.id)
            self.assertEqual([], self.waits())

    def test_another_rule_waits_for_nothing(self):
        created = self.an_alarm(ABSENCE)
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, rule=test_engine.a_rule()))
        self.assertEqual([], self.waits())

    def test_outside_of_its_time_it_is_counted_again(self):
        self.an_alarm(ABSENCE, time_constraints=CLOSED)
        self.lapse()

        self.end()

        self.assertEqual([], self.deliveries())
        row, = self.waits()
        self.assertGreater(row.due, self.db.now())

    def test_a_purge_leaves_what_is_waited_for(self):
        self.an_alarm(ABSENCE)
        self.an_alarm(NEVER_ACTIVE)
        self.engine.process([self.created('vm1'), self.created('vm2')])
        self.engine.process([self.active('vm1')])
        with self.db.writer() as conn:
            conn.execute(sa.update(models.active_alarm).values(updated_at=1))

        self.assertEqual(1, purge.purge(self.db, 30)['active_alarm'])
        self.assertEqual(2, len(self.waits()))

    def test_a_pinned_alarm_tells_its_resource(self):
        self.an_alarm({**ABSENCE, 'resource_id': 'vm7'})
        self.engine.process([self.an_event(vm='vm8')])
        self.assertEqual([], self.deliveries())
        self.lapse()
        self.end()
        self.assertEqual(['vm7'], [
            d.resource_id for d in self.deliveries()])

    def given_a_clock(self):
        """Time that passes when the test says so; ``now``: microseconds."""
        clock = types.SimpleNamespace(now=self.db.now())
        clock.monotonic = lambda: clock.now / SECOND
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.timers.time', clock))
        self.useFixture(fixtures.MockPatchObject(
            self.db, 'now', lambda: clock.now))
        return clock

    def test_what_passes_it_on(self):
        clock, passed = self.given_a_clock(), []
        looks = timers.Timers(
            self.db, lambda _first, until: passed.append(until))
        self.assertEqual(timers.POLL, looks._look())
        self.an_alarm(ABSENCE)
        self.assertEqual(timers.POLL, looks._look())
        self.assertEqual([], passed)

        clock.now += (TIMEOUT + 1) * SECOND
        self.assertEqual(timers.SPACING, looks._look())

        # then: not again what was passed on, unless nothing comes of it
        self.assertEqual(timers.POLL, looks._look())
        self.assertEqual(1, len(passed))
        self.assertEqual(1, len(self.engine.ended(passed[0])))
        clock.now += int((timers.PATIENCE + 1) * SECOND)
        looks._look()
        self.assertEqual(2, len(passed))

    def test_within_a_second_of_its_time(self):
        """Whenever it begins, and whenever somebody looks."""
        clock, ends = self.given_a_clock(), []
        looks = timers.Timers(self.db, lambda _first, until: (
            ends.append(clock.now), self.committer.end(self.engine, until)))
        for seconds, later in ((1, 0), (1, 0.499), (2, 0.25), (600, 0.1)):
            pause = looks._look()
            # given: it begins while the one who looks sleeps
            clock.now += int(later * SECOND)
            self.an_alarm({**ABSENCE, 'timeout': seconds})
            (row,), pause = self.waits(), pause - later
            while self.waits():
                clock.now += int(pause * SECOND) + 1
                pause = looks._look()
            # then: as soon as those in time have had theirs
            self.assertEqual(1, len(ends))
            late = ends.pop() - row.due
            self.assertGreaterEqual(late, timeout.GRACE)
            self.assertLess(late, timeout.GRACE + 10)
            stored = self.all_of(models.change)[-1]
            self.assertEqual('state transition', stored.type)
            self.assertLess(stored.timestamp - row.due, SECOND)
        # then: of the second something is left for the way
        self.assertLess(timeout.GRACE, SECOND / 2)
        # then: before it is over, those that are behind have said so
        self.assertLess(behind.TOLD * SECOND, timeout.GRACE)


class TestSqlite(TimeoutTests, base.TestCase):

    def database_url(self):
        return None


class TestMariaDB(TimeoutTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class TestPostgreSQL(TimeoutTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
