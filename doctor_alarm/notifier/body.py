# SPDX-License-Identifier: Apache-2.0
"""The body that receivers get: Aodh's form, and what we add to it."""
from __future__ import annotations

import json

from doctor_alarm import event as event_mod
from doctor_alarm.notifier import base


def build(delivery: base.Delivery, fired_at: int) -> bytes:
    """Return the JSON document of a delivery.

    :param fired_at: now, in microseconds
    """
    head = {
        'alarm_id': delivery.alarm_id,
        'alarm_name': delivery.alarm_name,
        'severity': delivery.severity,
        'previous': delivery.previous,
        'current': delivery.current,
        'reason': delivery.reason,
        'notification_id': delivery.id,
        'sequence': delivery.sequence,
        'project_id': delivery.project_id,
        'resource_id': delivery.resource_id,
        'event_time': _iso(delivery.notified_at),
        'fired_at': _iso(fired_at),
    }
    if delivery.replayed:
        head['replayed'] = True
    # The event is stored as JSON; to read and write it again would be half
    # of the work of building a body.
    return ('%s, "reason_data": {"type": "event", "event": %s}}' % (
        json.dumps(head)[:-1], delivery.event_json)).encode()


def _iso(microseconds: int) -> str:
    return event_mod.to_iso(event_mod.from_us(microseconds))
