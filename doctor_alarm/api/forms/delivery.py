# SPDX-License-Identifier: Apache-2.0
"""Deliveries as JSON."""
from __future__ import annotations

from typing import Any

from doctor_alarm import action
from doctor_alarm.api.forms import alarm
from doctor_alarm.objects import delivery_list

#: Stages of a fault, in their order.
STAGES = ('notified_at', 'transformed_at', 'evaluated_at', 'committed_at',
          'fired_at', 'received_at', 'dropped_at')


def serialize(delivery: delivery_list.Listed) -> dict[str, Any]:
    """Return a delivery; the action without its credentials."""
    return {
        'id': delivery.id,
        'alarm_id': delivery.alarm_id,
        'project_id': delivery.project_id,
        'action': action.masked(delivery.action),
        'sequence': delivery.sequence,
        'status': delivery.status,
        'attempts': delivery.attempts,
        'last_error': delivery.last_error,
        'previous': delivery.previous,
        'current': delivery.current,
        'reason': delivery.reason,
        'resource_id': delivery.resource_id,
        'message_id': delivery.message_id,
        'replayed_at': _iso(delivery.replayed_at),
        'timeline': {stage: _iso(getattr(delivery, stage))
                     for stage in STAGES},
    }


def _iso(microseconds: int | None) -> str | None:
    return None if microseconds is None else alarm.iso(microseconds)
