# SPDX-License-Identifier: Apache-2.0
"""The body that receivers get: Aodh's form, and what we add to it."""
from __future__ import annotations

import functools
import json

from doctor_alarm import event as event_mod
from doctor_alarm.notifier import base
from doctor_alarm import timeout

#: Of a text, many times faster than json.dumps() of a dictionary of texts.
_quoted = json.JSONEncoder().encode

# The event is stored as JSON; to read and write it again would be half of the
# work of building a body.
_FORM = (
    '{"alarm_id": %s, "alarm_name": %s, "severity": %s, "previous": %s,'
    ' "current": %s, "reason": %s, "notification_id": %s, "sequence": %d,'
    ' "project_id": %s, "resource_id": %s, "event_time": "%s",'
    ' "fired_at": "%s", %s"reason_data": {%s, "event": %s}}')


def build(delivery: base.Delivery, fired_at: int) -> bytes:
    """Return the JSON document of a delivery.

    :param fired_at: now, in microseconds
    """
    return (_FORM % (
        _quoted(delivery.alarm_id), _quoted(delivery.alarm_name),
        _quoted(delivery.severity), _quoted(delivery.previous),
        _quoted(delivery.current), _quoted(delivery.reason),
        _quoted(delivery.id), delivery.sequence,
        _quoted(delivery.project_id), _quoted(delivery.resource_id),
        _event_time(delivery.notified_at), _iso(fired_at),
        '"replayed": true, ' if delivery.replayed else '',
        _beside_event(delivery), delivery.event_json)).encode()


def _beside_event(delivery: base.Delivery) -> str:
    """Return the other members of ``reason_data``."""
    if delivery.reason_data:
        return delivery.reason_data[1:-1]
    return '"type": "%s"' % (
        'timeout' if timeout.is_reason(delivery.reason) else 'event')


def _iso(microseconds: int) -> str:
    return event_mod.to_iso(event_mod.from_us(microseconds))


#: Many deliveries are about one event.
_event_time = functools.lru_cache(256)(_iso)
