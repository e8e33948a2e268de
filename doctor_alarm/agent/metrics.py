# SPDX-License-Identifier: Apache-2.0
"""Counters of what the agent leaves out, or meets for the first time."""
from __future__ import annotations

import prometheus_client as prom

DROPPED = prom.Counter(
    'doctor_alarm_notifications_dropped_total',
    'Notifications that became no event: sent by this service, other form of '
    'nova, or without a definition', ['reason'])
UNKNOWN_OBJECTS = prom.Counter(
    'doctor_alarm_unknown_objects_total',
    'Versioned objects of a name or major version that the definitions were '
    'not written for', ['object'])
