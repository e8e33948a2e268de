# SPDX-License-Identifier: Apache-2.0
"""Forgets what is old: history, deliveries and what they leave behind.

In chunks, each a short transaction, so that nobody waits for it.
"""
from __future__ import annotations

from collections.abc import Callable
import functools

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm.objects import outbox
from doctor_alarm import transition

CHUNK = 500
DAY = 86400 * 1000000

#: Deletes one chunk; returns how many rows there were.
_Step = Callable[[sa.Connection, int], int]


def purge(db: db_api.Database, days: int) -> dict[str, int]:
    """Delete what is older than some days; return table -> rows.

    Deliveries that still wait stay, with their lanes and events.
    """
    before = db.now() - days * DAY
    steps: list[tuple[str, _Step]] = [
        ('change', _changes), ('delivery', _deliveries),
        ('event', _events), ('active_alarm', _cleared),
        ('lane', _lanes), ('posted_event', _posted),
        *((table.name, functools.partial(_rows, table)) for table in (
            models.fault, models.fault_server, models.fault_action,
            models.fault_delivery, models.dead_letter))]
    return {name: _repeat(db, step, before) for name, step in steps}


def _repeat(db: db_api.Database, step: _Step, before: int) -> int:
    total = 0
    while True:
        with db.writer() as conn:
            count = step(conn, before)
        if not count:
            return total
        total += count


def _delete(conn: sa.Connection, column: sa.Column[str],
            wanted: sa.Select[tuple[str]],
            *still: sa.ColumnElement[bool]) -> int:
    """Delete the rows that a query names, a chunk of them.

    :param still: what must hold when they are deleted, too
    """
    ids = list(conn.execute(wanted.limit(CHUNK)).scalars())
    if ids:
        conn.execute(sa.delete(column.table).where(column.in_(ids), *still))
    return len(ids)


def _changes(conn: sa.Connection, before: int) -> int:
    change = models.change.c
    return _delete(conn, change.id, sa.select(change.id).where(
        change.timestamp < before))


def _deliveries(conn: sa.Connection, before: int) -> int:
    delivery = models.delivery.c
    # Somebody may ask for one of them again at this moment.
    ended = delivery.status != outbox.PENDING
    return _delete(conn, delivery.id, sa.select(delivery.id).where(
        delivery.created_at < before, ended), ended)


def _events(conn: sa.Connection, before: int) -> int:
    """Delete events that no delivery is made of any more.

    Those of a delivery are stored with it: one that is a day older than the
    deliveries which were just deleted is needed by waiting ones at most.
    """
    event, delivery = models.event.c, models.delivery.c
    waiting = sa.select(delivery.message_id).where(
        delivery.created_at < before)
    return _delete(conn, event.message_id, sa.select(event.message_id).where(
        event.created_at < before - DAY,
        event.message_id.not_in(waiting)))


def _posted(conn: sa.Connection, before: int) -> int:
    posted = models.posted_event.c
    return _delete(conn, posted.id, sa.select(posted.id).where(
        posted.posted_at < before), posted.posted_at < before)


def _rows(table: sa.Table, conn: sa.Connection, before: int) -> int:
    key, = table.primary_key
    return _delete(conn, key, sa.select(key).where(
        table.c.created_at < before))


def _cleared(conn: sa.Connection, before: int) -> int:
    """Delete states of resources that are ok, and not waited for.

    Their alarms are locked first, as the evaluator does: between its look at
    such a row and its update of it, the row must not go.
    """
    active, alarm = models.active_alarm, models.alarm
    old = sa.and_(active.c.updated_at < before,
                  active.c.state == transition.OK, active.c.due.is_(None))
    ids = sorted(set(conn.execute(
        sa.select(active.c.alarm_id).where(old).limit(CHUNK)).scalars()))
    if not ids:
        return 0
    conn.execute(sa.select(alarm.c.id).where(
        alarm.c.id.in_(ids)).order_by(alarm.c.id).with_for_update()).all()
    return conn.execute(sa.delete(active).where(
        old, active.c.alarm_id.in_(ids))).rowcount


def _lanes(conn: sa.Connection, _before: int) -> int:
    """Delete the lanes of deleted alarms that have no deliveries left."""
    lane, delivery = models.lane.c, models.delivery.c
    return _delete(conn, lane.id, sa.select(lane.id).where(
        lane.due.is_(None),
        ~sa.exists().where(models.alarm.c.id == lane.alarm_id),
        ~sa.exists().where(delivery.lane_id == lane.id)))
