# SPDX-License-Identifier: Apache-2.0
"""Deliveries that nobody needs any more: there is something newer.

A lane may be of an alarm on many resources. The last word on each of them is
needed, unless the whole alarm became ok after it. What somebody asked for by
hand is needed in any case.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm import transition


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Some deliveries of one lane that are to be dropped.

    ``before``: only those that are older, in microseconds. ``status``: what
    becomes of them.
    """

    lane_id: str
    sequences: Sequence[int]
    before: int
    status: str


def last_words(conn: sa.Connection, dialect: str, lane_id: str, low: int,
               high: int) -> set[int]:
    """Return the deliveries that wait and have nothing newer behind them.

    :param low: first and last sequence number to look at
    """
    found = conn.execute(_last_words(dialect), {
        'lane_id': lane_id, 'low': low, 'high': high}).all()
    over = max((row.over for row in found if row.over), default=0)
    return {row.last for row in found if row.last >= over}


def drop(conn: sa.Connection, dialect: str, parts: Iterable[Part],
         now: int) -> dict[str, int]:
    """Drop deliveries of lanes that are locked; return how many of each."""
    counts: dict[str, int] = {}
    values = []
    for row in conn.execute(_unneeded(dialect), {'v': rows.values(
            (part.lane_id, sequence, part.before, part.status)
            for part in parts for sequence in part.sequences)}):
        values.append((row.id, row.status, now))
        counts[row.lane_id] = counts.get(row.lane_id, 0) + 1
    if values:
        conn.execute(_drop(dialect), {'v': rows.values(values)})
    return counts


@functools.cache
def _last_words(dialect: str) -> sa.Select[Any]:
    delivery = models.delivery
    resource: sa.ColumnElement[Any] = delivery.c.resource_id
    if dialect == 'mysql':
        # It compares texts without the spaces at their end, and groups long
        # ones on the disk.
        resource = sa.func.sha2(resource, 256)
    return sa.select(
        sa.func.max(delivery.c.sequence).label('last'),
        sa.func.max(sa.case((
            delivery.c.current == transition.OK, delivery.c.sequence,
        ))).label('over'),
    ).where(
        delivery.c.lane_id == sa.bindparam('lane_id'),
        delivery.c.sequence >= sa.bindparam('low'),
        delivery.c.sequence <= sa.bindparam('high'),
        delivery.c.status == delivery_obj.PENDING,
    ).group_by(resource)


@functools.cache
def _unneeded(dialect: str) -> sa.Select[Any]:
    delivery = models.delivery
    wanted = rows.table(dialect, {
        'lane_id': 'id', 'sequence': 'int', 'older_than': 'int',
        'status': 'id'})
    # Each by itself: a range that depends on the lane would read the whole
    # history of the lane.
    return sa.select(
        delivery.c.id, delivery.c.lane_id, wanted.c.status,
    ).select_from(wanted.join(delivery, sa.and_(
        delivery.c.lane_id == wanted.c.lane_id,
        delivery.c.sequence == wanted.c.sequence,
        delivery.c.status == delivery_obj.PENDING,
        delivery.c.replayed_at.is_(None),
        delivery.c.created_at < wanted.c.older_than,
    ))).prefix_with('STRAIGHT_JOIN', dialect='mysql').prefix_with(
        'STRAIGHT_JOIN', dialect='mariadb')


@functools.cache
def _drop(dialect: str) -> sa.Update:
    delivery = models.delivery
    new = rows.table(dialect, {
        'id': 'id', 'status': 'id', 'dropped_at': 'int'})
    return update.joined(
        dialect, delivery, new, delivery.c.id == new.c.id,
        delivery.c.status == delivery_obj.PENDING,
    ).values({delivery.c.status: new.c.status,
              delivery.c.dropped_at: new.c.dropped_at})
