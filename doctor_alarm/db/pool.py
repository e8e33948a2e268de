# SPDX-License-Identifier: Apache-2.0
"""Pooled connections without round trips that tell nothing.

oslo.db asks the database at every checkout whether it is there, and
SQLAlchemy rolls back what was committed just before. On a database that is
1 ms away that is 2 ms of every transaction.
"""
from __future__ import annotations

import time
from typing import Any

from pymysql.constants import SERVER_STATUS
import sqlalchemy as sa
from sqlalchemy import event as sa_event

#: Seconds after which an unused connection is asked whether it still stands.
#: One that broke earlier shows it by its first statement: as an error that
#: passes, like one that breaks between two statements.
IDLE = 1.0

_IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS
_USED = 'doctor_alarm.used'
_CLEAN = 'doctor_alarm.clean'
_COMMITTED = 'doctor_alarm.committed'


def tune(engine: sa.Engine, idle: float = IDLE) -> None:
    """Ping connections after an idle time only; roll back what is open."""
    # NOTE: oslo.db has no options for these two. A test counts the round
    # trips of an event.
    engine.pool._pre_ping = False
    engine.pool._reset_on_return = sa.pool.reset_none

    def check(dbapi_connection: Any, record: Any, _proxy: Any) -> None:
        used = record.info.pop(_USED, None)
        record.info.pop(_CLEAN, None)
        if used is None or time.monotonic() - used < idle:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as exc:
            raise sa.exc.InvalidatePoolError() from exc

    def reset(dbapi_connection: Any, record: Any, state: Any) -> None:
        clean = record.info.pop(_CLEAN, False)
        record.info[_USED] = time.monotonic()
        if not (clean or state.transaction_was_reset):
            dbapi_connection.rollback()

    for name, listener in (('checkout', check), ('reset', reset),
                           ('begin', _begin), ('commit', _commit),
                           ('handle_error', _fail)):
        sa_event.listen(engine, name, listener)
    if getattr(engine.dialect, 'is_mariadb', False):
        engine.dialect.do_commit = _commit_what_is_open  # type: ignore


def note_commit(conn: sa.Connection) -> None:
    """Note that the last statement ended the transaction with a COMMIT.

    The one that follows is not sent then.
    """
    conn.info[_COMMITTED] = True


def _commit_what_is_open(connection: Any) -> None:
    # PyMySQL knows from each answer whether a transaction is open; of another
    # driver nobody knows.
    status = getattr(connection, 'server_status', _IN_TRANSACTION)
    committed = connection.info.pop(_COMMITTED, False)
    if not committed or status & _IN_TRANSACTION:
        connection.commit()


def _begin(conn: sa.Connection) -> None:
    conn.info.pop(_CLEAN, None)
    conn.info.pop(_COMMITTED, None)


def _commit(conn: sa.Connection) -> None:
    # It comes before the database is asked.
    conn.info[_CLEAN] = True


def _fail(context: sa.ExceptionContext) -> None:
    # SQLAlchemy does not roll back after a COMMIT that failed.
    conn = context.connection
    if conn is not None and not (conn.closed or conn.invalidated):
        conn.info.pop(_CLEAN, None)
