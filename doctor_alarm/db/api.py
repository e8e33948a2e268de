# SPDX-License-Identifier: Apache-2.0
"""The database: engine, transactions, its clock, and which errors pass."""
from __future__ import annotations

from collections.abc import Iterator
import contextlib
import functools
import logging
import os
import sqlite3
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy as sa
from sqlalchemy import event as sa_event

from doctor_alarm.db import models
from doctor_alarm.db import pool
from doctor_alarm import exception

LOG = logging.getLogger(__name__)

#: Seconds for which an offset to the clock of the database is believed.
CLOCK_TTL = 30.0
#: Seconds that a writer waits for SQLite's lock.
SQLITE_BUSY = 30

#: Microseconds when a statement arrived, however long it waits for a lock.
_CLOCK = {
    'mysql': 'CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)',
    'postgresql':
        '(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::BIGINT',
}


class Database:
    """Transactions on SQLite, MariaDB/MySQL or PostgreSQL.

    The engine is made on first use, hence after a fork.
    """

    def __init__(self, conf: cfg.ConfigOpts, *,
                 patient: bool = False) -> None:
        """Connect to nothing yet.

        :param patient: statements may take as long as they like; for changes
            of the schema
        """
        self._conf = conf
        self._patient = patient
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        self._offset = 0.0
        self._offset_until = float('-inf')

    @property
    def engine(self) -> sa.Engine:
        """The engine; connects on first use.

        :raises ConfigurationError: no or a malformed connection URL
        """
        with self._lock:
            if self._engine is None:
                self._engine = _create_engine(self._conf, self._patient)
            return self._engine

    @property
    def dialect(self) -> str:
        """One of ``sqlite``, ``mysql`` (MariaDB too) and ``postgresql``."""
        name = self.engine.dialect.name
        return 'mysql' if name == 'mariadb' else name

    @contextlib.contextmanager
    def reader(self) -> Iterator[sa.Connection]:
        """Give a connection for reading; it holds no locks."""
        with self.engine.connect() as conn:
            yield conn

    @contextlib.contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction; commits at the end of it."""
        with self.engine.connect() as conn, self.transaction(conn):
            yield conn

    @contextlib.contextmanager
    def transaction(self, conn: sa.Connection) -> Iterator[None]:
        """Make a connection that may have read a writer; commits at the end.

        What it has read is not more than that: under READ COMMITTED each
        statement sees what was committed before it.
        """
        if self.dialect == 'sqlite':
            conn.rollback()
            # NOTE: oslo.db would begin with a deferred transaction, which
            # fails at its first write when another one wrote in between;
            # this flag tells it that we began our own.
            conn.info['in_transaction'] = True
            conn.begin()
            conn.exec_driver_sql('BEGIN IMMEDIATE')
        try:
            yield
            conn.commit()
        except BaseException:
            conn.rollback()
            raise

    def answers(self) -> bool:
        """Whether it takes a small change now; the change is not kept."""
        try:
            with self.engine.connect() as conn:
                conn.execute(sa.insert(models.event).values(
                    message_id='?', body='', created_at=0))
                conn.rollback()
        except Exception as exc:
            LOG.debug('The database does not answer: %s', exc)
            return False
        return True

    @property
    def clock(self) -> str | None:
        """SQL for the time of the database, when it has to be asked again.

        For a statement that is executed anyway; :meth:`set_clock` takes the
        value.
        """
        if time.monotonic() <= self._offset_until:
            return None
        return _CLOCK.get(self.dialect)

    def set_clock(self, remote: int, asked: float) -> None:
        """Note the time of the database when a statement arrived there.

        :param remote: microseconds
        :param asked: when it was sent, on the monotonic clock
        """
        self._offset = remote / 1e6 - asked
        self._offset_until = time.monotonic() + CLOCK_TTL

    def now(self) -> int:
        """Return the time of the database in microseconds.

        Leases compare times of several hosts: theirs may differ, the
        database's is one. It is kept as an offset to the monotonic clock.
        """
        if time.monotonic() > self._offset_until:
            self._measure_offset()
        return int((time.monotonic() + self._offset) * 1e6)

    def _measure_offset(self) -> None:
        clock = _CLOCK.get(self.dialect)
        if clock is None:
            self._offset = time.time() - time.monotonic()
        else:
            with self.reader() as conn:
                before = time.monotonic()
                remote = conn.exec_driver_sql('SELECT ' + clock).scalar_one()
                after = time.monotonic()
            self._offset = int(remote) / 1e6 - (before + after) / 2
        self._offset_until = time.monotonic() + CLOCK_TTL

    def dispose(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None


def is_transient(exc: BaseException) -> bool:
    """Whether the same transaction may succeed later.

    A database that lacks a table or a privilege will have it when somebody
    has repaired it: that is no fault of what is to be stored. The code
    decides, for the classes of the drivers say little.
    """
    if isinstance(exc, db_exc.DBConnectionError | db_exc.DBDeadlock
                  | sa.exc.TimeoutError | sa.exc.PendingRollbackError
                  | db_exc.DBNonExistentTable | db_exc.DBNonExistentDatabase
                  | exception.ConfigurationError):
        return True
    wrapped = getattr(exc, 'inner_exception', None) or exc
    origin = getattr(wrapped, 'orig', None)
    if isinstance(origin, sqlite3.Error):
        return any(hint in str(origin) for hint in _SQLITE_PASSES)
    state = getattr(origin, 'pgcode', None)
    if state is not None:
        return state.startswith(_SQLSTATE_PASSES)
    code = getattr(origin, 'args', None)
    if code and isinstance(code[0], int):
        return code[0] < _SQL_ERRORS or code[0] in _MYSQL_PASSES
    return isinstance(wrapped, sa.exc.OperationalError
                      | sa.exc.InterfaceError)


#: Below, MariaDB speaks of its own files: temporary ones that it can not
#: write or delete, for one.
_SQL_ERRORS = 100
#: The server is away, busy, full, read-only or not set up; MariaDB's codes.
_MYSQL_PASSES = frozenset((
    0, 1020, 1021, 1037, 1040, 1041, 1042, 1043, 1044, 1045, 1047, 1049, 1053,
    1054, 1114, 1129, 1130, 1142, 1143, 1146, 1158, 1159, 1160, 1161, 1180,
    1184, 1203, 1205, 1206, 1213, 1226, 1227, 1290, 1317, 1370, 1412, 1613,
    1614, 1637, 1689, 1698, 1792, 1836, 1927, 1928, 1969, 2002, 2003, 2004,
    2005, 2006, 2011, 2012, 2013, 2014, 2026, 2027, 2055, 3024, 3572, 4031))
#: PostgreSQL's: connection, no such role, transaction rollback, undefined
#: table and column, no privilege, resources, not in this state (locks, start
#: and shutdown), system, read-only.
_SQLSTATE_PASSES = ('08', '28', '40', '42P01', '42703', '42501', '3D000',
                    '53', '55', '57', '58', '25006')
_SQLITE_PASSES = ('locked', 'busy', 'disk I/O', 'is full', 'unable to open',
                  'readonly', 'no such table', 'no such column', 'interrupt')


def _create_engine(conf: cfg.ConfigOpts, patient: bool) -> sa.Engine:
    options = {
        opt: getattr(conf.database, opt) for opt in conf.database
        if opt in _ENGINE_OPTIONS}
    if not options.get('connection'):
        raise exception.ConfigurationError(
            where='[database] connection', reason='is not set')
    try:
        url = sa.engine.make_url(options['connection'])
    except sa.exc.ArgumentError:
        raise exception.ConfigurationError(
            where='[database] connection',
            reason='is not a database URL') from None
    backend = url.get_backend_name()
    defaults = _URL_DEFAULTS.get(url.drivername.partition('+')[2], {})
    url = url.update_query_dict(
        {key: value for key, value in defaults.items()
         if key not in url.query
         and not (patient and key in ('read_timeout', 'write_timeout'))})
    if backend == 'sqlite' and url.database not in (None, '', ':memory:'):
        folder = os.path.dirname(os.path.abspath(str(url.database)))
        try:
            os.makedirs(folder, mode=0o750, exist_ok=True)
            # It holds what projects keep from each other.
            os.close(os.open(str(url.database), os.O_CREAT, 0o600))
        except OSError as exc:
            raise exception.ConfigurationError(
                where=str(url.database),
                reason=exc.strerror or str(exc)) from exc
        url = url.update_query_dict({'timeout': str(SQLITE_BUSY)})
    options['connection'] = url.render_as_string(hide_password=False)
    facade = enginefacade.transaction_context()
    facade.configure(**options)
    engine: sa.Engine = facade.writer.get_engine()
    # Parameters have what projects keep from each other; without this every
    # error of a statement quotes them.
    engine.hide_parameters = True
    if backend == 'sqlite':
        sa_event.listen(engine, 'connect', _prepare_sqlite)
        return engine
    pool.tune(engine)
    if backend in ('mysql', 'mariadb'):
        sa_event.listen(engine, 'connect', _prepare_mysql)
    else:
        sa_event.listen(engine, 'connect', functools.partial(
            _prepare_other, engine.dialect))
    # The facade has tried a connection already, which nothing prepared: it
    # would stay in the pool.
    engine.dispose()
    return engine


#: Driver -> query of the URL: every network call has a time-out.
_URL_DEFAULTS = {
    'pymysql': {'charset': 'utf8mb4', 'connect_timeout': '10',
                'read_timeout': '20', 'write_timeout': '20'},
    'psycopg2': {'connect_timeout': '10', 'tcp_user_timeout': '20000',
                 'keepalives_idle': '10', 'keepalives_interval': '10'},
}
_ENGINE_OPTIONS = frozenset((
    'connection', 'connection_recycle_time', 'max_pool_size', 'max_retries',
    'retry_interval', 'max_overflow', 'pool_timeout', 'mysql_sql_mode',
    'mysql_wsrep_sync_wait', 'connection_debug', 'connection_trace',
    'connection_parameters', 'sqlite_synchronous'))


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute('PRAGMA journal_mode=WAL')
    cursor.execute('PRAGMA synchronous=FULL')
    # As the collations of the other databases have it.
    cursor.execute('PRAGMA case_sensitive_like=ON')
    cursor.close()


def _prepare_other(dialect: sa.Dialect, dbapi_connection: Any,
                   _record: Any) -> None:
    # PostgreSQL's default, but a role, a database or a server may have
    # another one: transactions would fail where they are to wait.
    dialect.set_isolation_level(dbapi_connection, 'READ COMMITTED')


def _prepare_mysql(dbapi_connection: Any, _record: Any) -> None:
    cursor = dbapi_connection.cursor()
    # Under REPEATABLE READ, MariaDB's default, gap locks of concurrent
    # evaluators deadlock on each other. Without backslashes PyMySQL has
    # nothing but single quotes to escape: a tenth of the client's time for
    # JSON, which is full of the double ones.
    cursor.execute(
        'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
    cursor.execute("SET SESSION sql_mode = TRIM(LEADING ',' FROM"
                   " CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'))")
    if len(cursor.mogrify('%s', ('\\',))) != len("'x'"):
        # A proxy in between keeps it from the driver, which would go on to
        # escape a quote so that it ends the text: SQL from anybody's text.
        cursor.execute('SET SESSION sql_mode = REPLACE('
                       "@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')")
    # On Galera, let a read see what another node committed before it.
    cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
    row = cursor.fetchone()
    if row and row[1] == 'ON':
        cursor.execute('SET SESSION wsrep_sync_wait = 1')
    cursor.close()
