# SPDX-License-Identifier: Apache-2.0
"""No query on the way of an event reads a whole table."""

import dataclasses
import datetime
import re
import threading
import uuid

import sqlalchemy as sa
from sqlalchemy import event as sa_event

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import event
from doctor_alarm import match
from doctor_alarm.notifier import dispatcher
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.objects import delivery_list
from doctor_alarm.objects import outbox
from doctor_alarm.objects import replay
from doctor_alarm.objects import wait
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import receiver
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage

#: Rows in every table: so many that no planner reads all of them.
ROWS = 20000
#: Rows that a plan may estimate to read of a table.
FEW = 2000


class Plans:
    """Run events through every stage, then ask for the plans."""

    DEFAULT_TIMEOUT = 300

    def setUp(self):
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        stored = self.useFixture(storage.Storage(self.url()))
        self.conf, self.db = stored.conf, stored.db
        self.servers = [str(uuid.uuid4()) for _ in range(ROWS)]
        alarm_bulk.import_all(self.db, [alarm.Alarm(
            name=vm, type='event', rule=scenario.rule(vm), project_id='p1',
            alarm_actions=[self.receiver.url], ok_actions=[self.receiver.url],
            delivery={'latest_only': True} if vm == self.servers[8] else {},
            repeat_actions=True) for vm in self.servers])
        self.composites = [alarm.create(self.db, alarm.Alarm(
            name='pair', type='composite', project_id='p1', rule={'and': [
                {'type': 'alarm', 'alarm_id': self.alarm_of(number)},
                {'type': 'event', **scenario.rule(self.servers[number])}]},
            alarm_actions=[self.receiver.url]))
            for number in (10, 11)]
        self.fill()
        self.statements = {}
        self.lock = threading.Lock()

    def fill(self):
        """Rows of alarms that are not asked for."""
        now = self.db.now()
        # PostgreSQL takes a list of rows for a hundred: what is cheaper to
        # read as a whole than by a hundred look-ups would be.
        for _ in range(2 * ROWS // 2000):
            ids = [str(uuid.uuid4()) for _ in range(2000)]
            with self.db.writer() as conn:
                for table, values in (
                        (models.active_alarm, {
                            'resource_id': 'r', 'project_id': 'p',
                            'state': 'ok', 'event_time': now, 'unpaired': 0,
                            'publisher_id': 'p', 'updated_at': now,
                            'due': now + 10 ** 12}),
                        (models.change, {
                            'project_id': 'p', 'on_behalf_of': 'p',
                            'user_id': '', 'type': 'x', 'detail': '{}',
                            'timestamp': now}),
                        (models.composite_member, {'position': 0}),
                        (models.event, {'body': '{}', 'created_at': now}),
                        (models.lane, {
                            'project_id': 'p', 'action': 'http://h/',
                            'head': 2, 'tail': 1, 'attempts': 0}),
                        (models.delivery, {
                            'message_id': 'm', 'project_id': 'p',
                            'alarm_name': 'n', 'severity': 'low',
                            'previous': 'ok', 'current': 'alarm',
                            'reason': 'r' * 100, 'resource_id': 'r',
                            'status': 'delivered', 'attempts': 1,
                            'created_at': now, 'notified_at': now,
                            'transformed_at': now, 'evaluated_at': now})):
                    conn.execute(sa.insert(table), [
                        self.row(table, values, key) for key in ids])
        with self.db.engine.connect().execution_options(
                isolation_level='AUTOCOMMIT') as conn:
            for table in models.metadata.sorted_tables:
                conn.exec_driver_sql(self.analyze % conn.dialect
                                     .identifier_preparer.format_table(table))

    @staticmethod
    def row(table, values, key):
        own = {'id': key, 'alarm_id': key, 'composite_id': key,
               'lane_id': key, 'sequence': 1, 'message_id': key,
               'event_id': key,
               'resource_key': match.resource_key(key)}
        row = {column.name: own[column.name] for column in table.columns
               if column.name in own}
        if isinstance(table.c[0].type, sa.BigInteger) and 'id' in row:
            del row['id']
        return {**row, **values, **({'message_id': key} if table in (
            models.event, models.change) else {})}

    def note(self, _conn, _cursor, statement, parameters, _context, many):
        if many:
            return
        for part, values in self.parts(statement, parameters):
            if re.match('SELECT|UPDATE|DELETE|WITH', part):
                with self.lock:
                    # The longest list of values says most.
                    known = self.statements.get(part)
                    if known is None or len(str(known)) < len(str(values)):
                        self.statements[part] = values

    @staticmethod
    def parts(statement, parameters):
        """Yield the statements of a block of MariaDB, or the only one."""
        block = re.fullmatch(
            'BEGIN NOT ATOMIC\n(.*)\nEND', statement, re.DOTALL)
        if not block:
            yield statement, parameters
            return
        left = list(parameters)
        for part in block[1].split(';\n'):
            part = part.removesuffix(';')
            count = part.count('%s')
            yield part, tuple(left[:count])
            del left[:count]

    def test_no_table_is_scanned(self):
        sa_event.listen(self.db.engine, 'before_cursor_execute', self.note)
        notifier = dispatcher.Dispatcher(self.conf, self.db)
        notifier.start()
        self.addCleanup(notifier.stop)
        evaluator = engine.Engine(self.db, notifier.wake, lease=15)
        for n, state in enumerate(('error', 'active', 'error', 'error')):
            evaluator.process([self.an_event(vm, state, n)
                               for vm in self.servers[:5]])
        self.wait_until(lambda: len(self.receiver.ids()) == 20)
        self.join(evaluator)
        self.wait_in_vain(evaluator)
        self.send_again(self.alarm_of(0))
        self.receiver.stop()
        evaluator.process([self.an_event(self.servers[7], 'error', 0)])
        with self.db.reader() as conn:
            lane = sa.select(models.lane.c.attempts).where(
                models.lane.c.id == outbox.lane_id(
                    self.alarm_of(7), self.receiver_url))
            self.wait_until(lambda: (conn.execute(lane).scalar() or 0) > 1
                            or conn.rollback())
        self.drop(evaluator)
        self.change_policy(self.alarm_of(8))
        self.list_given_up()
        sa_event.remove(self.db.engine, 'before_cursor_execute', self.note)

        self.assertGreater(len(self.statements), 10)
        self.assertTrue([s for s in self.statements
                         if re.search('UPDATE .?alarm', s)
                         or s.startswith('UPDATE (SELECT')])
        complaints = []
        with self.db.reader() as conn:
            for statement, parameters in self.statements.items():
                found = self.scans(conn, statement, parameters)
                complaints += ['%s\n%s' % (scan, statement) for scan in found]
            conn.rollback()
        self.assertEqual([], complaints, '\n\n'.join(complaints))

    def join(self, evaluator):
        """Let events reach composites."""
        evaluator.process([self.an_event(vm, 'error', 0)
                           for vm in self.servers[10:12]])
        with self.db.reader() as conn:
            self.assertEqual(['alarm'] * 2, [
                alarm.get(conn, one.id).state for one in self.composites])
        self.assertTrue(any('RECURSIVE' in text for text in self.statements))

    def wait_in_vain(self, evaluator):
        """Notice the ends of waits, and one that has no alarm."""
        for number, vm in enumerate(self.servers[:5]):
            alarm.update(
                self.db, self.alarm_of(number), lambda old, vm=vm:
                dataclasses.replace(old, rule={
                    **scenario.rule(vm), 'clear': None, 'timeout': 1}))
        later = self.db.now() + 2_000_000
        with self.db.reader() as conn:
            self.assertIsNotNone(wait.first_due(conn, 0))
            self.wait_until(lambda: self.db.now() > later)
        found = evaluator.ended(later)
        self.assertEqual(5, len(found))
        evaluator.end([*found, dataclasses.replace(
            found[0], alarm_id=str(uuid.uuid4()))])

    def send_again(self, alarm_id):
        """Replay what was told first; the lane goes back for it."""
        delivery = models.delivery
        of_alarm = delivery.c.alarm_id == alarm_id
        with self.db.writer() as conn:
            first = conn.execute(sa.select(delivery.c.id).where(
                of_alarm, delivery.c.sequence == 1)).scalar_one()
            conn.execute(sa.update(delivery).where(
                delivery.c.id == first).values(status='dead'))
        replay.replay(self.db, [first])
        idle = sa.select(models.lane.c.id).where(
            models.lane.c.alarm_id == alarm_id, models.lane.c.due.is_(None))

        def told():
            with self.db.reader() as conn:
                return conn.execute(idle).first()
        self.wait_until(told)
        self.assertTrue(any('min(' in text for text in self.statements))

    def drop(self, evaluator):
        """Let something newer wait at a receiver that is away."""
        for n in range(3):
            evaluator.process([self.an_event(self.servers[8], 'error', n)])
        delivery = models.delivery
        dropped = sa.select(delivery.c.id).where(
            delivery.c.alarm_id == self.alarm_of(8),
            delivery.c.status == 'superseded')

        def found():
            with self.db.reader() as conn:
                return len(conn.execute(dropped).all()) == 2
        self.wait_until(found)
        self.assertTrue(any('dropped_at' in text for text in self.statements
                            if text.startswith('UPDATE')))

    def change_policy(self, alarm_id):
        alarm.update(self.db, alarm_id, lambda old: dataclasses.replace(
            old, delivery={'max_age': 60}))

    def list_given_up(self):
        """As an operator does, for all projects."""
        with self.db.reader() as conn:
            for status, count in (('superseded', 2), ('dead', 0)):
                self.assertEqual(count, len(delivery_list.find(
                    conn, delivery_list.Which(status=status))))

    def alarm_of(self, number):
        with self.db.reader() as conn:
            return conn.execute(sa.select(models.alarm.c.id).where(
                models.alarm.c.name == self.servers[number])).scalar()

    @property
    def receiver_url(self):
        return 'http://127.0.0.1:%d/' % self.receiver.port

    def an_event(self, vm, state, seconds):
        now = datetime.datetime.now(datetime.timezone.utc)
        return event.build(event.Parts(
            message_id=str(uuid.uuid4()), project_id='p1',
            event_type='compute.instance.update',
            generated=now + datetime.timedelta(seconds=seconds),
            traits={'instance_id': vm, 'state': state}), received=now)

    @staticmethod
    def tables(text):
        return [name for name in models.metadata.tables
                if name != 'dead_letter' and re.search(
                    r'\b%s\b' % name, text)]


class TestSqlite(Plans, base.TestCase):
    analyze = 'ANALYZE %s'

    def url(self):
        return None

    def scans(self, conn, statement, parameters):
        # SEARCH goes by an index, SCAN reads all; json_each is ours.
        return [row[3] for row in conn.exec_driver_sql(
            'EXPLAIN QUERY PLAN ' + statement, parameters)
            if row[3].startswith('SCAN') and self.tables(row[3])]


class TestMariaDB(Plans, base.TestCase):
    analyze = 'ANALYZE TABLE %s'

    def url(self):
        return self.useFixture(mariadb.Database()).url

    def scans(self, conn, statement, parameters):
        return [
            str(dict(row)) for row in conn.exec_driver_sql(
                'EXPLAIN ' + statement, parameters).mappings()
            if row['type'] in ('ALL', 'index') and row['table']
            in models.metadata.tables and int(row['rows'] or 0) > FEW]


class TestPostgreSQL(Plans, base.TestCase):
    analyze = 'ANALYZE %s'

    def url(self):
        return self.useFixture(postgresql.Database()).url

    def scans(self, conn, statement, parameters):
        return [row[0] for row in conn.exec_driver_sql(
            'EXPLAIN ' + statement, parameters)
            if 'Seq Scan on' in row[0] and self.tables(row[0])]
