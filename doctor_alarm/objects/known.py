# SPDX-License-Identifier: Apache-2.0
"""What a transaction of the evaluator must know before it decides."""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import outbox
from doctor_alarm import transition

_CHANGE, _NOTIFICATION, _RESOURCE, _LANE = range(4)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What of the things that were asked for is there.

    ``changes``: (alarm, message) that made a change before;
    ``notifications``: ids that were stored before.
    """

    changes: set[tuple[str, str]]
    notifications: set[str]
    resources: dict[active_alarm.Pair, transition.ResourceState]


def read(conn: sa.Connection, dialect: str, *,
         changes: Collection[tuple[str, str]],
         notifications: Collection[str],
         resources: Collection[active_alarm.Pair],
         lanes: Mapping[str, outbox.Lane]) -> Known:
    """Read all of it in one statement; lock the lanes and bring them up.

    The alarms are locked already, and so are the lanes then, in the order of
    their ids. Lanes that are not there stay as they are given.
    """
    by_key = active_alarm.by_key(resources)
    known = Known(changes=set(), notifications=set(), resources={})
    found = conn.execute(_statement(dialect), {
        'changes': rows.values(changes),
        'notifications': rows.values((i,) for i in notifications),
        'resources': rows.values(by_key),
        'lanes': rows.values((i,) for i in sorted(lanes))})
    for kind, one, two, three, four, a, b, c, d in found:
        if kind == _CHANGE:
            known.changes.add((one, two))
        elif kind == _NOTIFICATION:
            known.notifications.add(one)
        elif kind == _RESOURCE:
            known.resources[by_key[one, a]] = transition.ResourceState(
                two, b, three, bool(c),
                active_alarm.confirmed_in(four), d)
        else:
            lane = lanes[one]
            lane.token, lane.head, lane.tail, lane.due = two, a, b, c
    return known


@functools.cache
def _statement(dialect: str) -> sa.CompoundSelect[Any]:
    return sa.union_all(
        _changes(dialect), _notifications(dialect), _resources(dialect),
        _lanes(dialect))


def _row(kind: int, *values: Any) -> list[Any]:
    # The type of an empty column must be told to PostgreSQL.
    texts = [v for v in values if isinstance(v.type, sa.String)]
    numbers = [v for v in values if v not in texts]
    return [
        sa.literal_column(str(kind)).label('kind'),
        *texts, *[sa.cast(sa.null(), sa.String(255))] * (4 - len(texts)),
        *numbers, *[sa.cast(sa.null(), sa.BigInteger)] * (4 - len(numbers))]


def _changes(dialect: str) -> sa.Select[Any]:
    change = models.change
    wanted = rows.table(
        dialect, {'alarm_id': 'id', 'message_id': 'id'}, 'changes')
    return sa.select(*_row(
        _CHANGE, change.c.alarm_id, change.c.message_id,
    )).select_from(wanted.join(change, sa.and_(
        change.c.alarm_id == wanted.c.alarm_id,
        change.c.message_id == wanted.c.message_id)))


def _notifications(dialect: str) -> sa.Select[Any]:
    delivery = models.delivery
    wanted = rows.table(dialect, {'id': 'id'}, 'notifications')
    return sa.select(*_row(_NOTIFICATION, delivery.c.id)).select_from(
        wanted.join(delivery, delivery.c.id == wanted.c.id))


def _resources(dialect: str) -> sa.Select[Any]:
    active = models.active_alarm
    wanted = rows.table(
        dialect, {'alarm_id': 'id', 'resource_key': 'int'}, 'resources')
    return sa.select(*_row(
        _RESOURCE, active.c.alarm_id, active.c.state, active.c.publisher_id,
        active.c.confirmed, active.c.resource_key, active.c.event_time,
        sa.cast(active.c.unpaired, sa.Integer), active.c.due,
    )).select_from(wanted.join(active, sa.and_(
        active.c.alarm_id == wanted.c.alarm_id,
        active.c.resource_key == wanted.c.resource_key)))


def _lanes(dialect: str) -> sa.Select[Any]:
    lane = models.lane
    wanted = rows.table(dialect, {'id': 'id'}, 'lanes')
    locked = sa.select(
        lane.c.id, lane.c.token, lane.c.head, lane.c.tail, lane.c.due,
    ).select_from(update.straight(
        dialect, wanted, lane, lane.c.id == wanted.c.id))
    if dialect == 'postgresql':
        locked = locked.order_by(lane.c.id)
    found = locked.with_for_update(
        of=None if dialect == 'mysql' else lane).subquery()
    return sa.select(*_row(
        _LANE, found.c.id, found.c.token, found.c.head, found.c.tail,
        found.c.due))
