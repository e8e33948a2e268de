# SPDX-License-Identifier: Apache-2.0
"""Which composites depend on alarms, and on what else, for the evaluator."""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm import transition

_ABOVE, _MEMBER = range(2)


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """An alarm behind a leaf of a composite.

    ``project_id`` empty: it is gone, or disabled. ``in_alarm``: as it is
    stored.
    """

    alarm_id: str
    project_id: str
    in_alarm: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Members:
    """``above``: alarm -> composites that depend on it directly.
    ``of``: composite -> what it depends on, in the order of its leaves.
    """

    above: dict[str, list[str]]
    of: dict[str, list[Member]]


def above(conn: sa.Connection, ids: Iterable[str]) -> set[str]:
    """Return the composites that depend on alarms, at any depth.

    Takes no locks: :func:`read` tells whether these are all.
    """
    return set(conn.execute(_all_above(rows.dialect_of(conn)), {
        'v': rows.values((i,) for i in sorted(set(ids)))}).scalars())


def read(conn: sa.Connection, composed: Collection[str],
         composites: Collection[str]) -> Members:
    """Read around alarms that are locked.

    :param composed: those that composites depend on
    :param composites: those that depend on others
    """
    found = Members({}, {})
    for kind, one, two, project_id, state, _position in conn.execute(
            _read(rows.dialect_of(conn)), {
                'alarms': rows.values((i,) for i in composed),
                'composites': rows.values((i,) for i in composites)}):
        if kind == _ABOVE:
            found.above.setdefault(one, []).append(two)
        else:
            found.of.setdefault(one, []).append(Member(
                two, project_id or '', state == transition.ALARM))
    return found


@functools.cache
def _all_above(dialect: str) -> sa.Select[Any]:
    member = models.composite_member
    wanted = rows.table(dialect, {'id': 'id'})
    reached = sa.select(member.c.composite_id.label('id')).select_from(
        wanted.join(member, member.c.alarm_id == wanted.c.id),
    ).cte('reached', recursive=True)
    # What is reached a second time is not gone on from: nothing is endless.
    on = member.c.alarm_id == reached.c.id
    if dialect == 'postgresql':
        # It takes what is reached for a thousand rows, and would read all.
        each = sa.select(member.c.composite_id).where(on).correlate(
            reached).offset(sa.literal_column('0')).lateral()
        step = sa.select(each.c.composite_id).join_from(
            reached, each, sa.true())
    else:
        step = sa.select(member.c.composite_id).join_from(reached, member, on)
    reached = reached.union(step)
    return sa.select(reached.c.id)


@functools.cache
def _read(dialect: str) -> sa.CompoundSelect[Any]:
    member, alarm = models.composite_member, models.alarm
    alarms = rows.table(dialect, {'id': 'id'}, 'alarms')
    composites = rows.table(dialect, {'id': 'id'}, 'composites')
    return sa.union_all(
        sa.select(
            sa.literal_column(str(_ABOVE)).label('kind'), member.c.alarm_id,
            member.c.composite_id, sa.cast(sa.null(), sa.String(128)),
            sa.cast(sa.null(), sa.String(32)),
            sa.literal_column('0').label('position'),
        ).select_from(
            alarms.join(member, member.c.alarm_id == alarms.c.id)),
        sa.select(
            sa.literal_column(str(_MEMBER)), member.c.composite_id,
            member.c.alarm_id, alarm.c.project_id, alarm.c.state,
            member.c.position,
        ).select_from(composites.join(
            member, member.c.composite_id == composites.c.id,
        ).outerjoin(alarm, sa.and_(
            alarm.c.id == member.c.alarm_id,
            alarm.c.enabled.is_(sa.true())))),
    ).order_by(sa.text('position'))
