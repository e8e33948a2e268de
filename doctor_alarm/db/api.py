# SPDX-License-Identifier: Apache-2.0
"""The database: engine, transactions, its clock, and which errors pass."""
from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy as sa
from sqlalchemy import event as sa_event

from doctor_alarm import exception

#: Seconds for which an offset to the clock of the database is believed.
CLOCK_TTL = 30.0
#: Seconds that a writer waits for SQLite's lock.
SQLITE_BUSY = 30

_NOW = {
    'mysql': 'SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)',
    'postgresql':
        'SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT',
}


class Database:
    """Transactions on SQLite, MariaDB/MySQL or PostgreSQL.

    The engine is made on first use, hence after a fork.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
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
                self._engine = _create_engine(self._conf)
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
        with self.engine.connect() as conn:
            if self.dialect == 'sqlite':
                # NOTE: oslo.db would begin with a deferred transaction,
                # which fails at its first write when another one wrote
                # in between; this flag tells it that we began our own.
                conn.info['in_transaction'] = True
                with conn.begin():
                    conn.exec_driver_sql('BEGIN IMMEDIATE')
                    yield conn
            else:
                with conn.begin():
                    yield conn

    def now(self) -> int:
        """Return the time of the database in microseconds.

        Leases compare times of several hosts: theirs may differ, the
        database's is one. It is kept as an offset to the monotonic clock.
        """
        if time.monotonic() > self._offset_until:
            self._measure_offset()
        return int((time.monotonic() + self._offset) * 1e6)

    def _measure_offset(self) -> None:
        query = _NOW.get(self.dialect)
        if query is None:
            self._offset = time.time() - time.monotonic()
        else:
            with self.reader() as conn:
                before = time.monotonic()
                remote = conn.exec_driver_sql(query).scalar_one()
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
    """Whether the same transaction may succeed later."""
    if isinstance(exc, db_exc.DBConnectionError | db_exc.DBDeadlock
                  | sa.exc.TimeoutError | sa.exc.PendingRollbackError):
        return True
    if isinstance(exc, db_exc.DBDataError | db_exc.DBDuplicateEntry
                  | db_exc.DBReferenceError | db_exc.DBConstraintError
                  | db_exc.DBNonExistentTable):
        return False
    inner: Any = getattr(exc, 'inner_exception', None) or exc
    return isinstance(inner, sa.exc.OperationalError
                      | sa.exc.InterfaceError | sa.exc.InternalError)


def _create_engine(conf: cfg.ConfigOpts) -> sa.Engine:
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
         if key not in url.query})
    if backend == 'sqlite' and url.database not in (None, '', ':memory:'):
        folder = os.path.dirname(os.path.abspath(str(url.database)))
        os.makedirs(folder, mode=0o750, exist_ok=True)
        url = url.update_query_dict({'timeout': str(SQLITE_BUSY)})
    options['connection'] = url.render_as_string(hide_password=False)
    facade = enginefacade.transaction_context()
    facade.configure(**options)
    engine: sa.Engine = facade.writer.get_engine()
    # Parameters have action URLs and their credentials among them; without
    # this every error of a statement quotes them.
    engine.hide_parameters = True
    if backend == 'sqlite':
        sa_event.listen(engine, 'connect', _prepare_sqlite)
        return engine
    if backend in ('mysql', 'mariadb'):
        sa_event.listen(engine, 'connect', _prepare_mysql)
    return engine


#: Driver -> query of the URL: every network call has a time-out.
_URL_DEFAULTS = {
    'pymysql': {'charset': 'utf8mb4', 'connect_timeout': '10',
                'read_timeout': '60', 'write_timeout': '60'},
    'psycopg2': {'connect_timeout': '10', 'tcp_user_timeout': '60000',
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
    cursor.close()


def _prepare_mysql(dbapi_connection: Any, _record: Any) -> None:
    cursor = dbapi_connection.cursor()
    # Under REPEATABLE READ, MariaDB's default, gap locks of concurrent
    # evaluators deadlock on each other.
    cursor.execute(
        'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
    # On Galera, let a read see what another node committed before it.
    cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
    row = cursor.fetchone()
    if row and row[1] == 'ON':
        cursor.execute('SET SESSION wsrep_sync_wait = 1')
    cursor.close()
