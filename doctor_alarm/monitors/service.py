# SPDX-License-Identifier: Apache-2.0
"""The monitors of a process, and their common way to the event API."""
from __future__ import annotations

from collections.abc import Sequence
import logging
import socket
import threading
from typing import Any

from oslo_config import cfg
import stevedore

from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm import metrics as process_metrics
from doctor_alarm.monitors import base
from doctor_alarm.monitors import buffer
from doctor_alarm.monitors import client
from doctor_alarm.monitors import memory
from doctor_alarm.monitors import metrics
from doctor_alarm.monitors import sender
from doctor_alarm import service

LOG = logging.getLogger(__name__)

NAMESPACE = 'doctor_alarm.monitor'
#: Seconds that monitors have to end.
_END = 15.0


class _Reporter(base.Reporter):
    """One monitor's side of the way: its names, its memory."""

    def __init__(self, name: str, waiting: buffer.Buffer,
                 known: memory.Memory) -> None:
        self._name = name
        self._waiting = waiting
        self._known = known

    def report(self, finding: base.Finding) -> None:
        # Few enough for the log: a monitor reports what changes.
        LOG.info('%s: %s is %s: %s', self._name, finding.subject,
                 finding.status, finding.cause or finding.type)
        metrics.FINDINGS.labels(finding.type).inc()
        self._waiting.put(finding)

    def known_down(self, subject: str) -> bool:
        return subject in self._known

    def forget(self, subject: str) -> None:
        self._known.forget(subject)


class MonitorService(service.Service):
    """Runs plugins of ``doctor_alarm.monitor``, each in a thread.

    :raises ConfigurationError: one of them does not exist or can not work
    """

    def __init__(self, conf: cfg.ConfigOpts, names: Sequence[str]) -> None:
        super().__init__()
        self._conf = conf
        self._monitor_id = conf.monitor.monitor_id or '%s@%s' % (
            '+'.join(names), socket.gethostname())
        self._known = memory.Memory(conf.monitor.state_file)
        self._waiting = buffer.Buffer(conf.monitor.buffer_size)
        self._monitors = {
            name: _load(name)(conf, _Reporter(
                name, self._waiting, self._known)) for name in names}
        self._sender = sender.Sender(
            conf, client.Client(conf), self._waiting, self._known.told,
            self._body)
        self._threads: list[threading.Thread] = []

    def open(self) -> None:
        """Start to look and to post."""
        process_metrics.serve(self._conf)
        for monitor in self._monitors.values():
            monitor.open()
        self._sender.start()
        for name, monitor in self._monitors.items():
            thread = threading.Thread(
                target=self._run, args=(monitor,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)    # only then it can be waited for
        LOG.info('Monitor %s works', self._monitor_id)

    def close(self) -> None:
        """Look no more; post what was found."""
        for thread in self._threads:
            thread.join(_END)
        left = self._sender.stop(self._conf.monitor.drain_timeout)
        if left:
            LOG.error('Findings that could not be posted before the end: %d',
                      left)

    def reset(self) -> None:
        """Let the monitors read again what may change."""
        for monitor in self._monitors.values():
            monitor.reload()

    def _run(self, monitor: base.Monitor) -> None:
        try:
            monitor.run(self.stopping)
        except Exception as exc:
            LOG.exception('A monitor failed')
            self.failed(exc)

    def _body(self, finding: base.Finding) -> dict[str, Any]:
        body = finding.body(self._monitor_id)
        if self._conf.monitor.region:
            body['event']['details'][fault.REGION] = self._conf.monitor.region
        return body


def installed() -> list[str]:
    """Return the names of the plugins that are installed."""
    found: stevedore.ExtensionManager[Any] = stevedore.ExtensionManager(
        NAMESPACE, on_load_failure_callback=lambda *_: None)
    return sorted(found.entry_points_names())


def _load(name: str) -> Any:
    if name not in installed():
        raise exception.ConfigurationError(
            where='monitor %s' % name,
            reason='there is none of this name; installed are: %s' % (
                ', '.join(installed())))
    try:
        return stevedore.DriverManager(NAMESPACE, name).driver
    except Exception as exc:
        raise exception.ConfigurationError(
            where='monitor %s' % name, reason='can not be loaded: %s: %s' % (
                type(exc).__name__, exc)) from exc
