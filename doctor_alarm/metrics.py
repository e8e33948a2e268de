# SPDX-License-Identifier: Apache-2.0
"""Counters and timings in Prometheus form; names start with doctor_alarm_."""
from __future__ import annotations

import contextlib
import errno

from oslo_config import cfg
import prometheus_client as prom

from doctor_alarm import exception

_STAGES = (.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60)

NOTIFICATIONS = prom.Counter(
    'doctor_alarm_notifications_total',
    'Notifications taken from a bus', ['exchange'])
LAST_NOTIFICATION = prom.Gauge(
    'doctor_alarm_last_notification_seconds',
    'When the last notification was seen, seconds since the epoch',
    ['exchange'])
MALFORMED = prom.Counter(
    'doctor_alarm_malformed_total',
    'Messages that were put aside as dead letters', ['source'])
EVENTS = prom.Counter(
    'doctor_alarm_events_total',
    'Events that were evaluated', ['source'])
TRANSITIONS = prom.Counter(
    'doctor_alarm_transitions_total',
    'What matched events did to alarms', ['reason'])
BROKEN_RULES = prom.Counter(
    'doctor_alarm_broken_rules_total',
    'Events that met an alarm whose stored rule can not be read')
RETRIES = prom.Counter(
    'doctor_alarm_retries_total',
    'Effects that failed and were tried again', ['effect'])
DELIVERIES = prom.Counter(
    'doctor_alarm_deliveries_total',
    'Attempts to deliver', ['scheme', 'outcome'])
STAGE = prom.Histogram(
    'doctor_alarm_stage_seconds',
    'Time that a delivered fault took to a stage from the one before: '
    'notified, transformed, evaluated, fired, received', ['stage'],
    buckets=_STAGES)
BATCH = prom.Histogram(
    'doctor_alarm_batch_size', 'Items handled together', ['of'],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))

#: Ports that are tried: one for each worker of a service on a host.
_PORTS = 64


def serve(conf: cfg.ConfigOpts) -> int:
    """Offer the metrics of this process over HTTP, in a thread.

    :returns: the port, 0 if there is none configured
    :raises ConfigurationError: it can not listen there
    """
    first = conf.metrics.port
    if not first:
        return 0
    for port in range(first, min(first + _PORTS, 65536)):
        # The port is taken by another worker: the next one.
        with contextlib.suppress(_Taken):
            _listen(port, conf.metrics.bind)
            return port
    raise exception.ConfigurationError(
        where='[metrics] port', reason='%d and the next %d are taken' % (
            first, _PORTS - 1))


class _Taken(Exception):
    pass


def _listen(port: int, address: str) -> None:
    try:
        prom.start_http_server(port, address)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise _Taken from None
        raise exception.ConfigurationError(
            where='[metrics] bind, port',
            reason=exc.strerror or type(exc).__name__) from None
