# SPDX-License-Identifier: Apache-2.0

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import update
from doctor_alarm.tests import base
from doctor_alarm.tests import storage


class Recorder:
    """A connection that notes what it is asked."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.asked = []

    def exec_driver_sql(self, text, parameters):
        self.asked.append((text, parameters))


def maria():
    dialect = mysql.dialect(is_mariadb=True)
    dialect.name = 'mysql'
    return Recorder(dialect)


def an_event(number, size=10):
    return {'message_id': 'm%d' % number, 'body': 'x' * size}


class TestBatch(base.TestCase):

    def insert(self, conn, rows, **kwargs):
        out = batch.Batch(conn)
        out.insert(models.event, rows, same={'created_at': 7}, **kwargs)
        out.insert(models.event, rows, same={'created_at': 7}, **kwargs)
        out.run()
        return conn.asked

    def test_one_round_trip_on_mariadb(self):
        (text, values), = self.insert(maria(), [an_event(1), an_event(2)])
        insert = ('INSERT INTO `event` (`message_id`, `body`, `created_at`) '
                  'VALUES (%s,%s,7),(%s,%s,7)')
        self.assertEqual(
            'BEGIN NOT ATOMIC\n%s;\n%s;\nEND' % (insert, insert), text)
        self.assertEqual(('m1', 'x' * 10, 'm2', 'x' * 10) * 2, values)

    def test_several_on_mysql(self):
        conn = maria()
        conn.dialect.is_mariadb = False
        self.assertEqual(2, len(self.insert(conn, [an_event(1)])))

    def test_one_round_trip_on_postgresql(self):
        (text, values), = self.insert(
            Recorder(postgresql.dialect()), [an_event(1)],
            keys=('message_id',), changes=('body',))
        insert = ('INSERT INTO "event" ("message_id", "body", "created_at") '
                  'VALUES (%s,%s,7) ON CONFLICT ("message_id") DO UPDATE SET '
                  '"body" = excluded."body"')
        self.assertEqual('WITH s0 AS (%s) %s' % (insert, insert), text)
        self.assertEqual(('m1', 'x' * 10) * 2, values)

    def test_much_is_split(self):
        """A server refuses what is too large, and cuts the connection."""
        many = [an_event(n, batch.SIZE // 3) for n in range(10)]
        asked = self.insert(maria(), many)
        self.assertGreater(len(asked), 6)
        self.assertEqual(20, sum(len(values) for _, values in asked) // 2)
        for _, values in asked:
            self.assertLessEqual(sum(map(len, values)), batch.SIZE)

    def test_one_row_may_be_larger(self):
        asked = self.insert(maria(), [an_event(1, 2 * batch.SIZE)])
        self.assertEqual(2, len(asked))

    def test_no_room_for_the_first_row(self):
        """What was added before is executed, and nothing empty after it."""
        db = self.useFixture(storage.Storage()).db
        with db.writer() as conn:
            out = batch.Batch(conn)
            for number in range(3):
                out.insert(models.event, [an_event(number, batch.SIZE // 2)],
                           same={'created_at': 7})
            out.run()
            self.assertEqual(3, conn.execute(
                sa.select(sa.func.count()).select_from(models.event)
            ).scalar_one())

    def test_only_our_own_words_become_text(self):
        out = batch.Batch(maria())
        self.assertRaises(
            ValueError, out.insert, models.event, [{'message_id': 'm'}],
            same={'body': "'; DROP TABLE event"})

    def test_what_is_there_is_changed_as_told(self):
        db = self.useFixture(storage.Storage()).db
        for keys, changes, body in ((('message_id',), (), 'old'),
                                    (('message_id',), ('body',), 'new')):
            with db.writer() as conn:
                conn.execute(sa.delete(models.event))
                for text in ('old', 'new'):
                    out = batch.Batch(conn)
                    out.insert(
                        models.event, [{'message_id': 'm', 'body': text}],
                        same={'created_at': 1}, keys=keys, changes=changes)
                    out.run()
                self.assertEqual([body], conn.execute(
                    sa.select(models.event.c.body)).scalars().all())


class TestUpdate(base.TestCase):
    """Few rows go one by one, many as a table; they come to the same."""

    form = batch.Update({'id': 'id', 'body': 'text'}, lambda dialect, new: (
        update.joined(
            dialect, models.event, new, models.event.c.message_id == new.c.id,
        ).values(body=new.c.body + new.c.body)))

    def test_few_and_many_rows(self):
        db = self.useFixture(storage.Storage()).db
        for count in (1, batch.FEW, batch.FEW + 1, 10):
            with self.subTest(count), db.writer() as conn:
                conn.execute(sa.delete(models.event))
                conn.execute(sa.insert(models.event), [
                    {**an_event(n), 'created_at': 7} for n in range(11)])
                out = batch.Batch(conn)
                out.update(self.form, [
                    ('m%d' % n, "'%s" % n) for n in range(count)])
                out.run()
                found = dict(conn.execute(sa.select(
                    models.event.c.message_id, models.event.c.body)).all())

                self.assertEqual(
                    {'m%d' % n: "'%d'%d" % (n, n) if n < count else 'x' * 10
                     for n in range(11)}, found)

    def test_few_rows_make_no_table(self):
        for count, tables in ((batch.FEW, 0), (batch.FEW + 1, 1)):
            conn = maria()
            out = batch.Batch(conn)
            out.update(self.form, [('m', 'x')] * count)
            out.run()
            (text, _), = conn.asked
            self.assertEqual(tables, text.count('JSON_TABLE'), text)
