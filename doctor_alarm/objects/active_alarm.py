# SPDX-License-Identifier: Apache-2.0
"""State of each resource of alarms with ``clear`` or a time-out."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import json
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm import match
from doctor_alarm import timeout
from doctor_alarm import transition

#: (alarm, resource ID)
Pair = tuple[str, str]

#: The resource of an alarm that waits for an event of any.
WHOLE = ''

_KEPT = ('state', 'event_time', 'publisher_id', 'unpaired', 'confirmed',
         'due', 'updated_at')


def by_key(pairs: Iterable[Pair]) -> dict[tuple[str, int], Pair]:
    """Return (alarm, key of the resource) of each pair."""
    return {(alarm_id, match.resource_key(resource)): (alarm_id, resource)
            for alarm_id, resource in pairs}


def confirmed_in(text: str | None) -> tuple[tuple[int, str], ...]:
    """Return ``ResourceState.confirmed`` from its column."""
    return tuple((time, message_id)
                 for time, message_id in json.loads(text)) if text else ()


def store(out: batch.Batch, project_of: Mapping[str, str],
          states: Mapping[Pair, transition.ResourceState], now: int) -> None:
    """Insert or update the states of resources."""
    out.insert(models.active_alarm, [
        _row(alarm_id, resource, project_of[alarm_id], state)
        for (alarm_id, resource), state in states.items()],
        same={'updated_at': now}, keys=('alarm_id', 'resource_key'),
        changes=_KEPT)


def waiting(alarm_id: str, project_id: str, due: int,
            now: int) -> dict[str, Any]:
    """Return the row of an alarm that waits from now on, for any resource."""
    return {**_row(alarm_id, WHOLE, project_id, timeout.new(due)),
            'updated_at': now}


def wait(conn: sa.Connection, row: Mapping[str, Any]) -> None:
    """Let a locked alarm wait from now on; its state stays."""
    conn.execute(rows.upsert(
        rows.dialect_of(conn), models.active_alarm,
        ['alarm_id', 'resource_key'], ['due']), [row])


def wait_no_more(conn: sa.Connection, alarm_id: str) -> None:
    """Let a locked alarm wait for nothing."""
    active = models.active_alarm
    conn.execute(sa.update(active).where(
        active.c.alarm_id == alarm_id, active.c.due.is_not(None),
    ).values(due=None))


def _row(alarm_id: str, resource: str, project_id: str,
         state: transition.ResourceState) -> dict[str, Any]:
    return {
        'alarm_id': alarm_id, 'resource_key': match.resource_key(resource),
        'resource_id': resource, 'project_id': project_id,
        'state': state.state, 'event_time': state.event_time,
        'publisher_id': state.publisher_id, 'unpaired': state.unpaired,
        'confirmed': json.dumps(state.confirmed) if state.confirmed else None,
        'due': state.due}
