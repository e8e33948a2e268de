# SPDX-License-Identifier: Apache-2.0
"""State of each resource of alarms with ``clear``."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm import match
from doctor_alarm import transition

#: (alarm, resource ID)
Pair = tuple[str, str]

_KEPT = ('state', 'event_time', 'publisher_id', 'unpaired', 'updated_at')


def of_pairs(conn: sa.Connection, dialect: str, pairs: Iterable[Pair],
             ) -> dict[Pair, transition.ResourceState]:
    """Return the states of resources, of alarms that are locked."""
    by_key = {(alarm_id, match.resource_key(resource)): (alarm_id, resource)
              for alarm_id, resource in pairs}
    if not by_key:
        return {}
    active = models.active_alarm
    wanted = rows.table(dialect, {'alarm_id': 'id', 'resource_key': 'int'})
    query = sa.select(
        active.c.alarm_id, active.c.resource_key, active.c.state,
        active.c.event_time, active.c.publisher_id, active.c.unpaired,
    ).select_from(wanted.join(active, sa.and_(
        active.c.alarm_id == wanted.c.alarm_id,
        active.c.resource_key == wanted.c.resource_key)))
    return {
        by_key[row.alarm_id, row.resource_key]: transition.ResourceState(
            row.state, row.event_time, row.publisher_id, row.unpaired)
        for row in conn.execute(query, {'v': rows.values(by_key)})}


def store(conn: sa.Connection, dialect: str, project_of: Mapping[str, str],
          states: Mapping[Pair, transition.ResourceState], now: int) -> None:
    """Insert or update the states of resources, in one statement."""
    if not states:
        return
    values = [{
        'alarm_id': alarm_id, 'resource_key': match.resource_key(resource),
        'resource_id': resource, 'project_id': project_of[alarm_id],
        'state': state.state, 'event_time': state.event_time,
        'publisher_id': state.publisher_id, 'unpaired': state.unpaired,
        'updated_at': now} for (alarm_id, resource), state in states.items()]
    conn.execute(rows.upsert(
        dialect, models.active_alarm, ['alarm_id', 'resource_key'], _KEPT),
        values)
