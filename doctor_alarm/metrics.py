# SPDX-License-Identifier: Apache-2.0
"""Counters and timings in Prometheus form; names start with doctor_alarm_."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import contextlib
import errno
import socket
import socketserver
import threading
from typing import Any
from wsgiref import simple_server

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
    'Attempts to deliver, and what was dropped', ['scheme', 'outcome'])
ANNOUNCEMENTS = prom.Counter(
    'doctor_alarm_announcements_total',
    'Notifications about changes of alarms', ['outcome'])
STAGE = prom.Histogram(
    'doctor_alarm_stage_seconds',
    'Time that a delivered fault took to a stage from the one before: '
    'notified, transformed, evaluated, fired, received', ['stage'],
    buckets=_STAGES)
FAULT_STAGE = prom.Histogram(
    'doctor_alarm_fault_seconds',
    'Time that a fault took: detected, received, found, set_error, '
    'marked_down, delivered', ['stage'], buckets=_STAGES)
TIMEOUT_DELAY = prom.Histogram(
    'doctor_alarm_timeout_delay_seconds',
    'Time from the end of a wait for an event until it raised an alarm',
    buckets=_STAGES)
BATCH = prom.Histogram(
    'doctor_alarm_batch_size', 'Items handled together', ['of'],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))

#: Seconds for which a silent client is waited for.
_CLIENT_TIMEOUT = 10
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


class _Handler(simple_server.WSGIRequestHandler):
    timeout = _CLIENT_TIMEOUT

    def log_message(self, *_args: Any) -> None:
        """Nothing: it is asked every few seconds."""


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        if ':' in address:
            self.address_family = socket.AF_INET6
        super().__init__((address, port), _Handler)
        self.set_app(_application)


_all = prom.make_wsgi_app()


def _application(environ: dict[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ['PATH_INFO'] == '/metrics':
        found: Iterable[bytes] = _all(environ, start_response)
        return found
    start_response('404 Not Found', [('Content-Type', 'text/plain')])
    return [b'There is nothing but /metrics.\n']


def _listen(port: int, address: str) -> None:
    try:
        server = _Server(address, port)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise _Taken from None
        raise exception.ConfigurationError(
            where='[metrics] bind, port',
            reason=exc.strerror or type(exc).__name__) from None
    threading.Thread(
        target=server.serve_forever, name='metrics', daemon=True).start()
