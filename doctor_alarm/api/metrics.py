# SPDX-License-Identifier: Apache-2.0
"""Counters of the API, beside those of the whole service."""
from __future__ import annotations

import prometheus_client as prom

REQUESTS = prom.Counter(
    'doctor_alarm_api_requests_total',
    'Requests that were answered', ['method', 'status'])
EVENTS = prom.Counter(
    'doctor_alarm_api_events_total',
    'Events that were taken over HTTP')
REPETITIONS = prom.Counter(
    'doctor_alarm_api_repetitions_total',
    'Events of these that were taken a moment before, and not passed on')
