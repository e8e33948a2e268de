# SPDX-License-Identifier: Apache-2.0
"""The evaluator's side of deliveries: what is written with the transition."""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
from typing import Any
import uuid

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import event as event_mod

PENDING = 'pending'


@dataclasses.dataclass(slots=True)
class Lane:
    """The way to one action of one alarm, locked by this transaction.

    ``leased``: by this transaction, to its wake-up.
    """

    id: str
    alarm_id: str
    project_id: str
    action: str
    head: int = 1
    tail: int = 0
    due: int | None = None
    token: str | None = None
    leased: bool = False

    def append(self, lease_until: int) -> int:
        """Take the next sequence number; lease the lane if it was idle."""
        self.tail += 1
        if self.due is None:
            self.due = lease_until
            self.token = str(uuid.uuid4())
            self.leased = True
        return self.tail


def lane_id(alarm_id: str, action: str) -> str:
    """Return the id of the lane of an alarm and an action URL."""
    return event_mod.derived_id('lane', alarm_id, action)


def notification_id(alarm_id: str, action: str, message_id: str) -> str:
    """Return the id that a receiver sees, the same in every repetition."""
    return event_mod.derived_id('notification', alarm_id, action, message_id)


def lanes(conn: sa.Connection, wanted: Iterable[Lane]) -> dict[str, Lane]:
    """Lock lanes in the order of their ids; new ones as they are given."""
    found = {lane.id: lane for lane in wanted}
    lane = models.lane
    ordered = sorted(found)
    for start in range(0, len(ordered), 900):
        query = sa.select(
            lane.c.id, lane.c.head, lane.c.tail, lane.c.due, lane.c.token,
        ).where(lane.c.id.in_(ordered[start:start + 900])).order_by(
            lane.c.id).with_for_update()
        for row in conn.execute(query):
            known = found[row.id]
            known.head, known.tail = row.head, row.tail
            known.due, known.token = row.due, row.token
    return found


def known_changes(conn: sa.Connection, dialect: str,
                  pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those (alarm, message) that made a change before."""
    if not pairs:
        return set()
    change = models.change
    wanted = rows.table(dialect, {'alarm_id': 'id', 'message_id': 'id'})
    query = sa.select(change.c.alarm_id, change.c.message_id).select_from(
        wanted.join(change, sa.and_(
            change.c.alarm_id == wanted.c.alarm_id,
            change.c.message_id == wanted.c.message_id)))
    return {(row[0], row[1]) for row in conn.execute(
        query, {'v': rows.values(pairs)})}


def known_notifications(conn: sa.Connection, dialect: str,
                        ids: Collection[str]) -> set[str]:
    """Return those notification ids that were stored before."""
    if not ids:
        return set()
    wanted = rows.table(dialect, {'id': 'id'})
    query = sa.select(models.delivery.c.id).select_from(wanted.join(
        models.delivery, models.delivery.c.id == wanted.c.id))
    return {row[0] for row in conn.execute(
        query, {'v': rows.values((i,) for i in ids)})}


def store(conn: sa.Connection, dialect: str, *,
          changes: list[dict[str, Any]], deliveries: list[dict[str, Any]],
          events: Mapping[str, event_mod.Event], lanes: Iterable[Lane],
          now: int) -> None:
    """Insert history, deliveries and their events; move the lanes on."""
    if changes:
        conn.execute(sa.insert(models.change), changes)
    if not deliveries:
        return
    conn.execute(
        rows.upsert(dialect, models.event, ['message_id'], ()),
        [{'message_id': message_id, 'body': json.dumps(event.as_dict()),
          'created_at': now} for message_id, event in events.items()])
    conn.execute(sa.insert(models.delivery), deliveries)
    conn.execute(
        rows.upsert(
            dialect, models.lane, ['id'], ('tail', 'due', 'token')),
        [{'id': lane.id, 'alarm_id': lane.alarm_id,
          'project_id': lane.project_id, 'action': lane.action,
          'head': lane.head, 'tail': lane.tail, 'due': lane.due,
          'token': lane.token, 'attempts': 0} for lane in lanes])


def hand_over(conn: sa.Connection, dialect: str,
              leased: Iterable[tuple[str, str]], now: int) -> None:
    """Let the sweep take lanes whose wake-up could not be sent."""
    lane = models.lane
    wanted = rows.table(dialect, {'id': 'id', 'token': 'id'})
    conn.execute(
        update.joined(
            dialect, lane, wanted, lane.c.id == wanted.c.id,
            lane.c.token == wanted.c.token,
        ).values({lane.c.due: now, lane.c.token: sa.null()}),
        {'v': rows.values(sorted(map(tuple, leased)))})
