# SPDX-License-Identifier: Apache-2.0
"""Pings hosts: one that does not answer any more is down."""
from __future__ import annotations

import logging
import threading
import time

from oslo_config import cfg

from doctor_alarm import exception
from doctor_alarm.monitors import base
from doctor_alarm.monitors import hosts
from doctor_alarm.monitors import icmp
from doctor_alarm.monitors import metrics
from doctor_alarm.monitors import pinger

LOG = logging.getLogger(__name__)

#: Seconds between two looks at the sockets: fewer wake-ups for many hosts,
#: and a tenth of the shortest interval.
_TICK = 0.01
#: Longest sleep, seconds: until a SIGHUP or SIGTERM is noticed.
_IDLE = 0.2
#: Seconds between two updates of what only metrics show.
_SHOW = 5.0


class PingMonitor(base.Monitor):
    """ICMP echo to every host of a list, in one thread."""

    def __init__(self, conf: cfg.ConfigOpts,
                 reporter: base.Reporter) -> None:
        super().__init__(conf, reporter)
        self._again = threading.Event()
        self._list = hosts.read(conf.monitor_ping)
        if not self._list.hosts:
            raise exception.ConfigurationError(
                where='[monitor_ping] hosts, hosts_file',
                reason='name no host')
        self._transport: icmp.Icmp | None = None

    def open(self) -> None:
        """Open the sockets, for which this process may lack the right."""
        self._transport = icmp.Icmp(self._list.families())

    def reload(self) -> None:
        """Read the list of hosts again, soon."""
        self._again.set()

    def run(self, stopping: threading.Event) -> None:
        """Ping until told to stop."""
        transport = self._transport
        assert transport is not None        # noqa: S101
        work = pinger.Pinger(
            pinger.Settings.of(self.conf.monitor_ping), transport,
            self.reporter)
        work.watch(self._list, time.monotonic())
        LOG.info('Pinging %d hosts every %g s over %s sockets',
                 len(self._list.hosts), self.conf.monitor_ping.interval,
                 transport.kind)
        shown = 0.0
        try:
            while not stopping.is_set():
                if self._again.is_set():
                    self._again.clear()
                    self._read_again(work, transport)
                now = time.monotonic()
                due = work.step(now)
                if now - shown > _SHOW:
                    shown = now
                    _show(work)
                stopping.wait(min(max(
                    due - time.monotonic(), _TICK), _IDLE))
        finally:
            transport.close()

    def _read_again(self, work: pinger.Pinger,
                    transport: icmp.Icmp) -> None:
        try:
            found = hosts.read(self.conf.monitor_ping)
            transport.add(found.families())
        except exception.ConfigurationError as exc:
            LOG.error('The list of hosts stays as it was: %s', exc)
            return
        work.watch(found, time.monotonic())
        LOG.info('Pinging %d hosts', len(found.hosts))


def _show(work: pinger.Pinger) -> None:
    for state, number in work.count().items():
        metrics.TARGETS.labels('ping', state).set(number)
