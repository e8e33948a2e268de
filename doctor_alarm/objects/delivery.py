# SPDX-License-Identifier: Apache-2.0
"""Deliveries as the notifier uses them: what waits, and what became of it."""
from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm.objects import lane as lane_obj

PENDING = 'pending'
DELIVERED = 'delivered'
DEAD = 'dead'
#: Not sent, because there was something newer: at once, or after a while.
SUPERSEDED = 'superseded'
EXPIRED = 'expired'
STATUSES = (DEAD, EXPIRED, SUPERSEDED, PENDING, DELIVERED)
#: Those that can be sent again.
GIVEN_UP = (DEAD, EXPIRED, SUPERSEDED)


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt changes of a delivery; times in microseconds.

    ``last_error``: None leaves that of an earlier attempt.
    ``received_at``: when the answer came, empty if none did.
    """

    id: str
    status: str
    attempts: int
    last_error: str | None
    committed_at: int | None
    fired_at: int
    received_at: int | None


class Row(NamedTuple):
    """A delivery that waits, and its lane: the columns of :func:`waiting`."""

    lane_id: str
    token: str
    action: str
    project_id: str
    alarm_id: str
    head: int
    tail: int
    lane_attempts: int
    delivery: str
    id: str
    sequence: int
    alarm_name: str
    severity: str
    previous: str
    current: str
    reason: str
    resource_id: str
    attempts: int
    message_id: str
    created_at: int
    notified_at: int
    transformed_at: int
    evaluated_at: int
    replayed_at: int | None
    reason_data: str | None


#: Read from the database, or from a wake-up: their columns are the same.
AnyRow = sa.Row[Any] | Row


def waiting(conn: sa.Connection, dialect: str,
            leases: Iterable[lane_obj.Lease], limit: int,
            ) -> dict[str, list[sa.Row[Any]]]:
    """Return the first deliveries of lanes whose lease is still in force.

    The bodies of their events are read when they are sent (:func:`bodies`).

    :returns: by lane, at most ``limit`` rows in the order of ``sequence``.
        Where deliveries are missing there are rows without ``id``, at least
        one for each lane.
    """
    found: dict[str, list[sa.Row[Any]]] = collections.defaultdict(list)
    for row in conn.execute(_waiting(dialect), {
            'v': rows.values((x.lane_id, x.token) for x in leases),
            'ahead': rows.values((step,) for step in range(limit)),
            'n': limit}):
        found[row.lane_id].append(row)
    for many in found.values():
        # The database would do it in a temporary table.
        if len(many) > 1:
            many.sort(key=lambda row: row.sequence or 0)
    return found


def bodies(conn: sa.Connection, dialect: str, message_ids: Iterable[str],
           ) -> dict[str, str]:
    """Return the bodies of events that are still there, by message id."""
    return {row.message_id: row.body for row in conn.execute(
        _bodies(dialect), {'v': rows.values((i,) for i in message_ids)})}


def store(out: batch.Batch, attempts: Sequence[Attempt]) -> None:
    """Store what became of deliveries whose lanes are locked."""
    failed = [(a.id, a.status, a.attempts, a.committed_at, a.fired_at,
               a.received_at, a.last_error)
              for a in attempts if a.last_error is not None]
    if failed:
        out.update(_STORE_FAILED, failed)
    if len(failed) < len(attempts):
        out.update(_STORE, [
            (a.id, a.status, a.attempts, a.committed_at, a.fired_at,
             a.received_at) for a in attempts if a.last_error is None])


def passed_over(conn: sa.Connection, dialect: str,
                ranges: Iterable[tuple[str, int, int]]) -> dict[str, int]:
    """Return where deliveries wait in parts of lanes that are locked.

    :param ranges: lane, first and last sequence number
    :returns: the first that waits, by lane; a lane without any is left out
    """
    return {row.lane_id: row.first for row in conn.execute(
        _passed_over(dialect), {'v': rows.values(ranges)})}


@functools.cache
def _passed_over(dialect: str) -> sa.Select[Any]:
    delivery = models.delivery
    part = rows.table(dialect, {'id': 'id', 'low': 'int', 'high': 'int'})
    return sa.select(
        part.c.id.label('lane_id'), sa.func.min(delivery.c.sequence).label(
            'first'),
    ).select_from(part.join(delivery, sa.and_(
        delivery.c.lane_id == part.c.id,
        delivery.c.sequence >= part.c.low,
        delivery.c.sequence <= part.c.high,
        delivery.c.status == PENDING)),
    ).group_by(part.c.id).prefix_with(
        'STRAIGHT_JOIN', dialect='mysql').prefix_with(
            'STRAIGHT_JOIN', dialect='mariadb')


@functools.cache
def _waiting(dialect: str) -> sa.Select[Any]:
    lane, delivery = models.lane, models.delivery
    leased = rows.table(dialect, {'id': 'id', 'token': 'id'})
    ahead = rows.table(dialect, {'step': 'int'}, 'ahead')
    # Each sequence number is looked up by itself: a range that depends on
    # the lane would read the whole history of the lane.
    sources = leased.join(lane, sa.and_(
        lane.c.id == leased.c.id, lane.c.token == leased.c.token,
    )).join(ahead, sa.or_(
        ahead.c.step == 0, ahead.c.step <= lane.c.tail - lane.c.head,
    )).outerjoin(delivery, sa.and_(
        delivery.c.lane_id == lane.c.id,
        delivery.c.sequence == lane.c.head + ahead.c.step,
        # PostgreSQL would use the index for the lane alone.
        delivery.c.sequence >= lane.c.head,
        delivery.c.sequence < lane.c.head + sa.bindparam('n'),
        delivery.c.status == PENDING))
    # In the order of Row.
    return sa.select(
        lane.c.id.label('lane_id'), lane.c.token, lane.c.action,
        lane.c.project_id, lane.c.alarm_id, lane.c.head, lane.c.tail,
        lane.c.attempts.label('lane_attempts'), lane.c.delivery,
        delivery.c.id, delivery.c.sequence, delivery.c.alarm_name,
        delivery.c.severity, delivery.c.previous, delivery.c.current,
        delivery.c.reason, delivery.c.resource_id, delivery.c.attempts,
        delivery.c.message_id, delivery.c.created_at,
        delivery.c.notified_at, delivery.c.transformed_at,
        delivery.c.evaluated_at, delivery.c.replayed_at,
        delivery.c.reason_data,
    ).select_from(sources).prefix_with(
        'STRAIGHT_JOIN', dialect='mysql').prefix_with(
            'STRAIGHT_JOIN', dialect='mariadb')


@functools.cache
def _bodies(dialect: str) -> sa.Select[Any]:
    event = models.event
    wanted = rows.table(dialect, {'id': 'id'})
    return sa.select(event.c.message_id, event.c.body).select_from(
        wanted.join(event, event.c.message_id == wanted.c.id)).prefix_with(
            'STRAIGHT_JOIN', dialect='mysql').prefix_with(
                'STRAIGHT_JOIN', dialect='mariadb')


_CHANGED = {
    'id': 'id', 'status': 'id', 'attempts': 'int', 'committed_at': 'int',
    'fired_at': 'int', 'received_at': 'int'}


def _update_failed(dialect: str, new: Any) -> sa.Update:
    return _update(dialect, new).values(
        {models.delivery.c.last_error: new.c.last_error})


def _update(dialect: str, new: Any) -> sa.Update:
    delivery = models.delivery
    return update.joined(
        dialect, delivery, new, delivery.c.id == new.c.id,
        # The rows are the only parameter that db.batch takes.
        delivery.c.status == sa.literal_column("'%s'" % PENDING),
    ).values({
        delivery.c.status: new.c.status,
        delivery.c.attempts: new.c.attempts,
        delivery.c.fired_at: new.c.fired_at,
        delivery.c.received_at: new.c.received_at,
        delivery.c.committed_at: sa.func.coalesce(
            new.c.committed_at, delivery.c.committed_at)})


# Without the error: MariaDB puts rows that have a text on the disk.
_STORE = batch.Update(_CHANGED, _update)
_STORE_FAILED = batch.Update(
    {**_CHANGED, 'last_error': 'text'}, _update_failed)
