# SPDX-License-Identifier: Apache-2.0
"""Deliveries as the notifier uses them: what waits, and what became of it."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.objects import lane as lane_obj

PENDING = 'pending'
DELIVERED = 'delivered'
DEAD = 'dead'


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt changes of a delivery; times in microseconds.

    ``received_at``: when the answer came, empty if none did.
    """

    id: str
    status: str
    attempts: int
    last_error: str | None
    committed_at: int | None
    fired_at: int
    received_at: int | None


def waiting(conn: sa.Connection, dialect: str,
            leases: Iterable[lane_obj.Lease], limit: int,
            ) -> Sequence[sa.Row[Any]]:
    """Return the first deliveries of lanes whose lease is still in force.

    The rows are ordered by lane and sequence, at most ``limit`` a lane. A
    lane of which nothing is found has one row without a delivery (``id``).
    """
    ordered = sorted((lease.lane_id, lease.token) for lease in leases)
    return conn.execute(
        _waiting(dialect), {'v': rows.values(ordered), 'n': limit}).all()


def store(conn: sa.Connection, dialect: str,
          attempts: Sequence[Attempt]) -> None:
    """Store what became of deliveries whose lanes are locked."""
    if attempts:
        conn.execute(_store(dialect), {'v': rows.values(
            (a.id, a.status, a.attempts, a.last_error, a.committed_at,
             a.fired_at, a.received_at) for a in attempts)})


@functools.cache
def _waiting(dialect: str) -> sa.Select[Any]:
    lane, delivery, event = models.lane, models.delivery, models.event
    leased = rows.table(dialect, {'id': 'id', 'token': 'id'})
    sources = leased.join(lane, sa.and_(
        lane.c.id == leased.c.id, lane.c.token == leased.c.token)
    ).outerjoin(delivery, sa.and_(
        delivery.c.lane_id == lane.c.id,
        delivery.c.sequence >= lane.c.head,
        delivery.c.sequence < lane.c.head + sa.bindparam('n'),
        delivery.c.status == PENDING,
    )).outerjoin(event, event.c.message_id == delivery.c.message_id)
    return sa.select(
        lane.c.id.label('lane_id'), lane.c.token, lane.c.action,
        lane.c.project_id, lane.c.alarm_id, lane.c.head, lane.c.tail,
        lane.c.attempts.label('lane_attempts'),
        delivery.c.id, delivery.c.sequence, delivery.c.alarm_name,
        delivery.c.severity, delivery.c.previous, delivery.c.current,
        delivery.c.reason, delivery.c.resource_id, delivery.c.attempts,
        delivery.c.message_id, delivery.c.created_at,
        delivery.c.notified_at, delivery.c.transformed_at,
        delivery.c.evaluated_at, event.c.body,
    ).select_from(sources).order_by(lane.c.id, delivery.c.sequence)


@functools.cache
def _store(dialect: str) -> sa.Update:
    delivery = models.delivery
    new = rows.table(dialect, {
        'id': 'id', 'status': 'id', 'attempts': 'int', 'last_error': 'text',
        'committed_at': 'int', 'fired_at': 'int', 'received_at': 'int'})
    return sa.update(delivery).where(
        delivery.c.id == new.c.id, delivery.c.status == PENDING,
    ).values(
        status=new.c.status, attempts=new.c.attempts,
        last_error=new.c.last_error, fired_at=new.c.fired_at,
        received_at=new.c.received_at,
        committed_at=sa.func.coalesce(
            new.c.committed_at, delivery.c.committed_at))
