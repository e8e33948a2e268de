# SPDX-License-Identifier: Apache-2.0
"""Which errors of a database pass, code by code."""

import sqlite3

from oslo_db import exception as db_exc
import psycopg2
import pymysql
import sqlalchemy as sa

from doctor_alarm.db import api
from doctor_alarm import exception
from doctor_alarm.tests import base

#: What MariaDB and its driver say -> whether the same may succeed later.
MARIADB = {
    0: True,        # the connection was closed by somebody else
    6: True,        # a temporary file can not be deleted
    20: True,       # no room for a temporary file
    1020: True,     # record has changed since last read
    1021: True,     # disk full
    1040: True,     # too many connections
    1044: True,     # access denied to the database
    1045: True,     # access denied, wrong password
    1047: True,     # Galera: not prepared for use
    1049: True,     # unknown database
    1053: True,     # server shutdown in progress
    1054: True,     # unknown column
    1114: True,     # table is full
    1142: True,     # command denied
    1146: True,     # no such table
    1205: True,     # lock wait timeout
    1213: True,     # deadlock
    1290: True,     # read-only
    1317: True,     # query interrupted
    1927: True,     # connection was killed
    1969: True,     # max_statement_time
    2003: True,     # can not connect
    2006: True,     # server has gone away
    2013: True,     # lost connection during query
    2026: True,     # TLS
    1048: False,    # column can not be null
    1062: False,    # duplicate entry
    1064: False,    # syntax
    1118: False,    # row size too large
    1153: False,    # packet bigger than max_allowed_packet
    1264: False,    # out of range
    1366: False,    # incorrect value
    1406: False,    # data too long
    1452: False,    # foreign key
    4025: False,    # constraint failed
    4038: False,    # JSON syntax
}
POSTGRESQL = {
    '08001': True,  # can not connect
    '08006': True,  # connection failure
    '25006': True,  # read-only transaction
    '28P01': True,  # wrong password
    '3D000': True,  # no such database
    '40001': True,  # serialization failure
    '40P01': True,  # deadlock
    '42501': True,  # insufficient privilege
    '42703': True,  # undefined column
    '42P01': True,  # undefined table
    '53100': True,  # disk full
    '53200': True,  # out of memory
    '53300': True,  # too many connections
    '55P03': True,  # lock not available
    '57014': True,  # cancelled, statement timeout
    '57P01': True,  # shutdown
    '57P03': True,  # can not connect now
    '58030': True,  # I/O error
    '22001': False,     # text too long
    '22003': False,     # out of range
    '22021': False,     # character not in repertoire
    '22P02': False,     # invalid text representation
    '22P05': False,     # untranslatable character
    '23502': False,     # not null
    '23505': False,     # unique
    '23514': False,     # check
    '42601': False,     # syntax
    '54000': False,     # program limit exceeded
}
SQLITE = {
    'database is locked': True,
    'database table is locked: alarm': True,
    'disk I/O error': True,
    'database or disk is full': True,
    'unable to open database file': True,
    'attempt to write a readonly database': True,
    'no such table: alarm': True,
    'no such column: version': True,
    'interrupted': True,
    'UNIQUE constraint failed: alarm.id': False,
    'NOT NULL constraint failed: alarm.name': False,
    'string or blob too big': False,
    'datatype mismatch': False,
    'near "FRM": syntax error': False,
    'malformed JSON': False,
    'too many SQL variables': False,
}


def forms_of(origin):
    """Return what the layers above make of an error of a driver."""
    for kind in (sa.exc.OperationalError, sa.exc.InternalError,
                 sa.exc.DatabaseError, sa.exc.IntegrityError,
                 sa.exc.DataError, sa.exc.ProgrammingError):
        wrapped = kind('SELECT 1', {}, origin)
        yield wrapped
        yield db_exc.DBError(wrapped)


class TransientTest(base.TestCase):

    def check(self, table, make):
        wrong = [
            '%s as %r' % (code, exc) for code, passes in table.items()
            for exc in forms_of(make(code))
            if api.is_transient(exc) is not passes]

        self.assertEqual([], wrong)

    def test_mariadb(self):
        for kind in (pymysql.err.OperationalError, pymysql.err.InternalError):
            self.check(MARIADB, lambda code, kind=kind: kind(code, 'text'))

    def test_postgresql(self):
        def make(code):
            return type('Error', (psycopg2.DatabaseError,),
                        {'pgcode': code})('text')

        self.check(POSTGRESQL, make)

    def test_sqlite(self):
        for kind in (sqlite3.OperationalError, sqlite3.IntegrityError):
            self.check(SQLITE, kind)

    def test_a_driver_that_gives_no_code(self):
        lost = psycopg2.OperationalError('server closed the connection')

        self.assertTrue(api.is_transient(
            sa.exc.OperationalError('', {}, lost)))
        self.assertFalse(api.is_transient(
            sa.exc.DataError('', {}, psycopg2.DataError('text'))))

    def test_what_others_made_of_it(self):
        for exc in (db_exc.DBConnectionError(), db_exc.DBDeadlock(),
                    db_exc.DBNonExistentTable('alarm'),
                    sa.exc.TimeoutError(), sa.exc.PendingRollbackError(),
                    exception.ConfigurationError(where='', reason='')):
            self.assertTrue(api.is_transient(exc), exc)
        for exc in (db_exc.DBDuplicateEntry(), db_exc.DBDataError(),
                    ValueError(), OSError()):
            self.assertFalse(api.is_transient(exc), exc)
