# SPDX-License-Identifier: Apache-2.0
"""History as JSON."""
from __future__ import annotations

from typing import Any

from doctor_alarm.api.forms import alarm
from doctor_alarm.objects import change as change_obj


def serialize(change: change_obj.Change) -> dict[str, Any]:
    """Return a record in Aodh's form; ``detail`` is a text of JSON."""
    return {
        'event_id': change.event_id,
        'alarm_id': change.alarm_id,
        'type': change.type,
        'detail': change.detail,
        'project_id': change.project_id,
        'user_id': change.user_id,
        'on_behalf_of': change.on_behalf_of,
        'timestamp': alarm.iso(change.timestamp),
    }
