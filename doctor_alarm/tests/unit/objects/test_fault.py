# SPDX-License-Identifier: Apache-2.0
"""Faults as they are written down, on SQLite."""

import dataclasses

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.objects import alarm
from doctor_alarm.objects import fault_list
from doctor_alarm.objects import purge
from doctor_alarm.objects import query
from doctor_alarm.tests import base
from doctor_alarm.tests import faults
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import storage

SERVERS = {'vm1': 'p1', 'vm2': 'p2', 'vm3': 'p2'}
TABLES = (models.fault, models.fault_server, models.fault_action,
          models.fault_delivery)
SECOND = 1000000


class Recorded:
    """What an evaluator makes of what inspectors tell, on any database."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.url())).db
        self.engine = engine.Engine(self.db, lambda hint: None, lease=15)
        self.root = faults.root(seconds=-10)
        self.start = self.root.generated_us
        self.events = faults.derived(
            self.root, SERVERS, found_at=self.start + SECOND)
        self.outcomes = faults.outcomes(
            self.events, ended_at=self.start + 5 * SECOND)

    def url(self):
        return None

    def given_alarms(self):
        for vm, project in SERVERS.items():
            alarm.create(self.db, alarm.Alarm(
                name=vm + ' down', type='event', rule=scenario.rule(vm),
                project_id=project, alarm_actions=['http://127.0.0.1:1/']))

    def received(self, **columns):
        """Let all notifications be received."""
        with self.db.writer() as conn:
            conn.execute(sa.update(models.delivery).values(
                status='delivered', **columns))

    def get(self, id_='m1', limit=100):
        with self.db.reader() as conn:
            return fault_list.get(conn, id_, limit)

    def rows(self):
        with self.db.reader() as conn:
            return [sorted(map(tuple, conn.execute(sa.select(table))))
                    for table in TABLES]

    def test_a_fault_and_all_that_belongs_to_it(self):
        self.given_alarms()
        self.engine.process([self.root, *self.events])
        self.engine.process(self.outcomes)
        self.received(fired_at=self.start + 2 * SECOND,
                      received_at=self.start + 3 * SECOND)

        found = self.get()

        self.assertEqual(fault_list.Listed(
            id='m1', status='down', fault_type=fault.HOST_DOWN,
            root_cause='host failure: h1', cause='h1 is dead', source='ping',
            resource_id='h1', host='h1', affected=3, unmonitored=0,
            occurred_at=None, detected_at=self.start,
            reported_at=self.root.transformed_at,
            found_at=self.start + SECOND), found.fault)
        self.assertEqual(
            {('vm1', 'the vm1', 'p1', 'error'),
             ('vm2', 'the vm2', 'p2', 'error'),
             ('vm3', 'the vm3', 'p2', 'error')},
            set(map(tuple, found.servers)))
        self.assertEqual(
            {('h1', 'force_down'), ('vm1', 'reset_state'),
             ('vm2', 'reset_state'), ('vm3', 'reset_state')},
            {(row.target, row.action) for row in found.actions})
        self.assertEqual((3, 3), (found.notified, found.delivered))
        self.assertEqual(
            {('vm1', 'p1'), ('vm2', 'p2'), ('vm3', 'p2')},
            {(row.resource_id, row.project_id)
             for row in found.notifications})
        for stage, second in {
                'force_down': 5, 'reset_state': 5, 'transformed_at': 1,
                'fired_at': 2, 'received_at': 3}.items():
            self.assertEqual(2 * (self.start + second * SECOND,),
                             found.spans[stage], stage)

    def test_when_it_began(self):
        root = faults.root(occurred_at='2020-01-01T00:00:00.5')
        self.engine.process(faults.derived(root, SERVERS, found_at=1))

        self.assertEqual('2020-01-01T00:00:00.500000', event_mod.to_iso(
            event_mod.from_us(self.get().fault.occurred_at)))

    def test_it_did_not_begin_after_it_was_noticed(self):
        for number, said in enumerate(('3020-01-01', 'some day', 5, '')):
            root = faults.root('m%d' % number, occurred_at=said)
            self.engine.process(faults.derived(root, {}, found_at=1))

            self.assertIsNone(self.get('m%d' % number).fault.occurred_at)

    def test_what_comes_again_makes_nothing_twice(self):
        self.given_alarms()
        self.engine.process(self.events)
        self.engine.process(self.outcomes)
        before = self.rows()
        # when: an inspector that was killed does all of it again, later
        again = faults.derived(self.root, SERVERS, found_at=self.start + 9)
        self.engine.process(again + again)
        self.engine.process(faults.outcomes(again, 9, 'unchanged'))

        self.assertEqual(before, self.rows())

    def test_killed_between_notifications_and_record(self):
        self.given_alarms()

        with fixtures.MonkeyPatch('doctor_alarm.objects.fault.record',
                                  lambda *args: 1 / 0):
            self.assertRaises(
                ZeroDivisionError, self.engine.process, self.events)
        before = self.rows()
        self.engine.process(self.events)

        found = self.get()
        self.assertEqual((3, 3), (found.notified, len(found.servers)))
        self.assertEqual(3, len(before[3]))
        self.assertEqual(before[3], self.rows()[3])

    def test_in_any_order(self):
        self.given_alarms()
        self.engine.process(self.outcomes)
        self.assertRaises(exception.NotFound, self.get)
        for event in reversed(self.events):
            self.engine.process([event])

        found = self.get()
        self.assertEqual((3, 4, 3), (
            len(found.servers), len(found.actions), found.notified))

    def test_nothing_is_written_of_other_events(self):
        self.given_alarms()
        self.engine.process([self.root, *(
            dataclasses.replace(event, message_id='posted %d' % number)
            for number, event in enumerate(self.events + self.outcomes))])

        self.assertEqual(4 * [[]], self.rows())

    def test_what_did_not_work_took_no_effect(self):
        self.engine.process(self.events)
        self.engine.process(faults.outcomes(
            self.events, 5, 'failed', reason='HTTP 500: é \N{BUG}'))

        found = self.get()
        self.assertEqual({'failed'}, {row.outcome for row in found.actions})
        self.assertEqual({'HTTP 500: é \N{BUG}'},
                         {row.reason for row in found.actions})
        self.assertNotIn('force_down', found.spans)

    def test_what_was_not_received(self):
        self.given_alarms()
        self.engine.process(self.events)

        found = self.get()
        self.assertEqual((3, 0), (found.notified, found.delivered))
        self.assertEqual((None, None), found.spans['received_at'])
        self.assertIsNotNone(found.spans['evaluated_at'][0])

    def test_the_newest_first(self):
        for number in range(4):
            self.engine.process(faults.derived(faults.root(
                'm%d' % number, (fault.HOST_DOWN, fault.HOST_UP)[number % 2]),
                SERVERS))

        def ids(status=None, **page):
            with self.db.reader() as conn:
                return [item.id for item in fault_list.find(
                    conn, status, query.Page(
                        sort=fault_list.NEWEST_FIRST, **page))]

        self.assertEqual(['m3', 'm2', 'm1', 'm0'], ids())
        self.assertEqual(['m3', 'm1'], ids('up'))
        self.assertEqual(['m2', 'm0'], ids('down'))
        self.assertEqual(['m2', 'm1'], ids(marker='m3', limit=2))
        self.assertRaises(exception.Invalid, ids, marker='nope')

    def test_there_is_none(self):
        for id_ in ('nope', '', 'é', '\0', "'", 'x' * 1000):
            self.assertRaises(exception.NotFound, self.get, id_)

    def test_many_servers(self):
        events = faults.derived(self.root, {
            'vm%d' % number: 'p1' for number in range(3000)})
        self.engine.process(events)

        found = self.get(limit=20)
        self.assertEqual((3000, 20), (
            found.fault.affected, len(found.servers)))
        with self.db.reader() as conn:
            self.assertEqual(3000, conn.execute(sa.select(
                sa.func.count()).select_from(models.fault_server)).scalar())

    def test_purge(self):
        self.given_alarms()
        self.engine.process(self.events + self.outcomes)
        with self.db.writer() as conn:
            for table in TABLES:
                conn.execute(sa.update(table).values(
                    created_at=self.db.now() - 40 * purge.DAY))
        self.engine.process(faults.derived(faults.root('m2'), SERVERS))

        counts = purge.purge(self.db, 30)

        self.assertEqual([1, 3, 4, 3], [counts[t.name] for t in TABLES])
        self.assertRaises(exception.NotFound, self.get)
        self.assertEqual(3, len(self.get('m2').servers))


class SqliteTest(Recorded, base.TestCase):

    def test_the_way_of_other_events_is_as_short_as_ever(self):
        # given: what no inspector told
        events = [dataclasses.replace(event, message_id=str(number))
                  for number, event in enumerate(self.events)]
        statements = []
        sa.event.listen(self.db.engine, 'before_cursor_execute', (
            lambda *args: statements.append(args[2])))

        self.engine.process(events)

        self.assertEqual([], [s for s in statements if 'fault' in s])
