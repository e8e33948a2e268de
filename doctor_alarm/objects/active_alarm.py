# SPDX-License-Identifier: Apache-2.0
"""State of each resource of alarms with ``clear``."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import json

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm import match
from doctor_alarm import transition

#: (alarm, resource ID)
Pair = tuple[str, str]

_KEPT = ('state', 'event_time', 'publisher_id', 'unpaired', 'confirmed',
         'updated_at')


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
    out.insert(models.active_alarm, [{
        'alarm_id': alarm_id, 'resource_key': match.resource_key(resource),
        'resource_id': resource, 'project_id': project_of[alarm_id],
        'state': state.state, 'event_time': state.event_time,
        'publisher_id': state.publisher_id, 'unpaired': state.unpaired,
        'confirmed': json.dumps(state.confirmed) if state.confirmed else None,
    } for (alarm_id, resource), state in states.items()],
        same={'updated_at': now}, keys=('alarm_id', 'resource_key'),
        changes=_KEPT)
