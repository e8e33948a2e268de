# SPDX-License-Identifier: Apache-2.0
"""Reads the heartbeats of nova's compute services: /os-services.

A compute that just dies emits nothing on the bus; nova shows its service as
down, service_down_time after the last heartbeat.
"""
from __future__ import annotations

import logging
import threading
import time
from typing import Any

from oslo_config import cfg

from doctor_alarm.conf import monitor_nova_service as options
from doctor_alarm.monitors import base
from doctor_alarm.monitors import heartbeats
from doctor_alarm.monitors import metrics
from doctor_alarm import session

LOG = logging.getLogger(__name__)

#: Longest pause, in intervals, while nova does not answer.
_MAX_PAUSE = 6


class NovaServiceMonitor(base.Monitor):
    """Asks nova, every few seconds."""

    def __init__(self, conf: cfg.ConfigOpts,
                 reporter: base.Reporter) -> None:
        super().__init__(conf, reporter)
        self._options = conf[options.GROUP]
        self._session = session.load(conf, options.GROUP)
        self._compute: Any = None
        self._failures = 0

    def run(self, stopping: threading.Event) -> None:
        """Ask until told to stop."""
        work = heartbeats.Heartbeats(
            heartbeats.Settings.of(self._options), self.reporter)
        pause = 0.0
        while not stopping.wait(pause):
            started = time.monotonic()
            pause = self._look(work, started)
            pause = max(0.0, started + pause - time.monotonic())

    def _look(self, work: heartbeats.Heartbeats, now: float) -> float:
        """Look once; return the seconds from now to the next time."""
        interval: float = self._options.interval
        try:
            work.look(self._services(), now)
        except Exception as exc:
            # Whatever the libraries make of a nova that is not well
            self._failures += 1
            self._compute = None    # it may have moved
            metrics.BLIND.labels('nova_service').inc()
            if self._failures == 1:
                LOG.warning('Nova does not show its services, which says '
                            'nothing about the hosts: %s',
                            ' '.join((str(exc) or repr(exc)).split())[:300])
            return interval * min(self._failures, _MAX_PAUSE)
        if self._failures:
            LOG.info('Nova shows its services again, after %d failures',
                     self._failures)
        self._failures = 0
        for state, number in work.count().items():
            metrics.TARGETS.labels('nova_service', state).set(number)
        return interval

    def _services(self) -> list[dict[str, Any]]:
        if self._compute is None:
            # Here, for it asks Keystone: that may be away at start, too.
            self._compute = self._connect()
        return [service.to_dict() for service in self._compute.services(
            binary=self._options.binary)]

    def _connect(self) -> Any:
        return session.connect(self._session, self._options, {
            'compute': self._options.endpoint}).compute
