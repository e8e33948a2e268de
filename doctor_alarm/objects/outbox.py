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

from doctor_alarm import action as action_mod
from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import event as event_mod
from doctor_alarm.objects import delivery

PENDING = delivery.PENDING


@dataclasses.dataclass(slots=True)
class Lane:
    """The way to one action of one alarm, locked by this transaction.

    ``leased``: by this transaction, to its wake-up.
    """

    id: str
    alarm_id: str
    project_id: str
    action: str
    delivery: str = '{}'
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
    """Return the id of the lane of an alarm and a stored action."""
    return event_mod.derived_id(
        'lane', alarm_id, action_mod.identity(action))


def notification_id(alarm_id: str, action: str, message_id: str) -> str:
    """Return the id that a receiver sees, the same in every repetition."""
    return event_mod.derived_id(
        'notification', alarm_id, action_mod.identity(action), message_id)


def store(out: batch.Batch, *, changes: Collection[Mapping[str, Any]],
          deliveries: Collection[Mapping[str, Any]],
          bodies: Mapping[str, str], lanes: Iterable[Lane],
          same: Mapping[str, int]) -> None:
    """Insert history, deliveries and their events; move the lanes on.

    :param bodies: of the events, by message id; see :func:`body`
    :param same: columns of which all deliveries have the same value
    """
    out.insert(models.change, changes, same={})
    out.insert(models.event, [
        {'message_id': message_id, 'body': text}
        for message_id, text in bodies.items()],
        same={'created_at': same['created_at']}, keys=('message_id',))
    out.insert(models.delivery, deliveries, same={
        'status': PENDING, 'attempts': 0, **same})
    out.insert(models.lane, [
        {'id': lane.id, 'alarm_id': lane.alarm_id,
         'project_id': lane.project_id, 'action': lane.action,
         'delivery': lane.delivery, 'head': lane.head, 'tail': lane.tail,
         'due': lane.due, 'token': lane.token} for lane in lanes],
        same={'attempts': 0}, keys=('id',), changes=('tail', 'due', 'token'))


def body(event: event_mod.Event) -> str:
    """Return an event as it is stored, and sent to receivers."""
    return json.dumps(event.as_dict())


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
