# SPDX-License-Identifier: Apache-2.0
"""Waits for events that have not come: which of them have ended."""
from __future__ import annotations

from collections.abc import Collection
import dataclasses
import functools

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update


#: Those that end in one transaction.
MANY = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """A wait of an alarm for an event of a resource; ``due``: microseconds.

    ``composed``: composites depend on the alarm.
    """

    alarm_id: str
    resource_key: int
    resource_id: str
    due: int
    composed: bool = False

    @property
    def message_id(self) -> str:
        """How it is named in the log, where events have their message."""
        return 'timeout of alarm %s' % self.alarm_id


def first_due(conn: sa.Connection, after: int) -> int | None:
    """Return when the first wait ends after a time; locks nothing."""
    due = models.active_alarm.c.due
    return conn.execute(
        sa.select(due).where(due > after).order_by(due).limit(1)
    ).scalar()


def ended(conn: sa.Connection, until: int) -> list[Wait]:
    """Return waits that ended until a time, longest first; locks nothing."""
    active, alarm = models.active_alarm.c, models.alarm.c
    return [Wait(*row) for row in conn.execute(sa.select(
        active.alarm_id, active.resource_key, active.resource_id, active.due,
        sa.func.coalesce(alarm.composed, sa.false()),
    ).join_from(
        models.active_alarm, models.alarm, alarm.id == active.alarm_id,
        isouter=True,
    ).where(active.due <= until).order_by(active.due).limit(MANY))]


def move(conn: sa.Connection, dialect: str, waits: Collection[Wait],
         due: int | None) -> None:
    """Set another end, or none, of waits that nobody changed meanwhile."""
    if waits:
        conn.execute(_move(dialect), {'end': due, 'v': rows.values(
            (w.alarm_id, w.resource_key, w.due) for w in waits)})


@functools.cache
def _move(dialect: str) -> sa.Update:
    active = models.active_alarm
    wanted = rows.table(dialect, {
        'alarm_id': 'id', 'resource_key': 'int', 'due': 'int'})
    return update.joined(
        dialect, active, wanted, active.c.alarm_id == wanted.c.alarm_id,
        active.c.resource_key == wanted.c.resource_key,
        active.c.due == wanted.c.due,
    ).values({active.c.due: sa.bindparam('end', type_=sa.BigInteger)})
