# SPDX-License-Identifier: Apache-2.0
"""Evaluators that hold events for longer than usual.

Each says so in a row of its own while it lasts. One that can not say so any
more is dead; what it held goes back to the broker.
"""
from __future__ import annotations

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows

#: Microseconds after which one that said nothing more is taken for dead.
DEAD = 2_000_000
#: Microseconds after which its row is swept up.
_FORGOTTEN = 3600 * 1_000_000


def report(conn: sa.Connection, dialect: str, evaluator: str, since: int,
           now: int) -> None:
    """Say since when an evaluator holds what is not committed.

    :param since: time of the database, microseconds; so is ``now``
    """
    conn.execute(rows.upsert(
        dialect, models.behind, ['evaluator'], ('since', 'told_at')),
        {'evaluator': evaluator, 'since': since, 'told_at': now})


def withdraw(conn: sa.Connection, evaluator: str, now: int) -> None:
    """Say that an evaluator has caught up; forget those that died."""
    behind = models.behind.c
    conn.execute(sa.delete(models.behind).where(sa.or_(
        behind.evaluator == evaluator, behind.told_at < now - _FORGOTTEN)))


def is_any(conn: sa.Connection, evaluator: str, until: int,
           now: int) -> bool:
    """Whether another one holds what it took until a time."""
    behind = models.behind.c
    return conn.execute(sa.select(behind.evaluator).where(
        behind.evaluator != evaluator, behind.since <= until,
        behind.told_at > now - DEAD).limit(1)).first() is not None
