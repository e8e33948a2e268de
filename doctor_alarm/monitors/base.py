# SPDX-License-Identifier: Apache-2.0
"""What a monitor is, and what it finds.

A plugin is a subclass of :class:`Monitor`, installed under an entry point of
the namespace ``doctor_alarm.monitor``. Each runs in a thread of its own.
"""
from __future__ import annotations

import abc
from collections.abc import Mapping
import dataclasses
import datetime
import threading
from typing import Any
import uuid

from oslo_config import cfg

from doctor_alarm import fault

CRITICAL = 'critical'
NORMAL = 'normal'
DOWN, UP = fault.DOWN, fault.UP


def utcnow() -> datetime.datetime:
    """Return the time, aware, UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a monitor found.

    ``subject``: what it is about; of two findings about the same the later
    one counts. ``status``: ``up``, or what is wrong, until it is ``up``
    again. ``details``: of the event, on top of what every event has.
    ``occurred_at``: when it began, if that is known; ``time``: of the finding.
    ``found_id``: the ``monitor_event_id``; it stays the same however often the
    finding is posted.
    """

    subject: str
    type: str
    status: str
    severity: str = CRITICAL
    cause: str = ''
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    occurred_at: datetime.datetime | None = None
    time: datetime.datetime = dataclasses.field(default_factory=utcnow)
    found_id: str = dataclasses.field(
        default_factory=lambda: str(uuid.uuid4()))

    def body(self, monitor_id: str) -> dict[str, Any]:
        """Return the event as the event API takes it (ETSI, Doctor)."""
        details = {
            **self.details, fault.SOURCE: monitor_id,
            fault.STATUS: self.status, fault.SEVERITY: self.severity,
            fault.MONITOR_ID: monitor_id,
            fault.MONITOR_EVENT_ID: self.found_id}
        if self.cause:
            details[fault.CAUSE] = self.cause
        if self.occurred_at is not None:
            details[fault.OCCURRED_AT] = _iso(self.occurred_at)
        return {'event': {
            'time': _iso(self.time), 'type': self.type, 'details': details}}


def _iso(when: datetime.datetime) -> str:
    return when.strftime('%Y-%m-%dT%H:%M:%S.%fZ')


def host_finding(host: str, status: str, cause: str,
                 lasts: float | None = None) -> Finding:
    """Return a finding that a host is down or up.

    :param lasts: seconds since it began; None: nobody knows
    """
    down, now = status == DOWN, utcnow()
    return Finding(
        subject='host/' + host, status=status,
        type=fault.HOST_DOWN if down else fault.HOST_UP,
        severity=CRITICAL if down else NORMAL, cause=cause, time=now,
        details={fault.HOSTNAME: host}, occurred_at=None if lasts is None
        else now - datetime.timedelta(seconds=lasts))


class Reporter(abc.ABC):
    """What a monitor sees of the way to the event API."""

    @abc.abstractmethod
    def report(self, finding: Finding) -> None:
        """Take a finding to be posted; from any thread, returns at once."""

    @abc.abstractmethod
    def known_down(self, subject: str) -> bool:
        """Say whether the last that the event API was told was a fault."""

    @abc.abstractmethod
    def forget(self, subject: str) -> None:
        """Take note that a subject is not looked at any more."""


class Monitor(abc.ABC):
    """Looks for faults; the base of every plugin."""

    def __init__(self, conf: cfg.ConfigOpts, reporter: Reporter) -> None:
        """Read the options.

        :raises ConfigurationError: it can not work like this
        """
        self.conf = conf
        self.reporter = reporter

    def open(self) -> None:  # noqa: B027
        """Make ready what the start has to wait for, before ``run``.

        :raises ConfigurationError: it can not work like this
        """

    @abc.abstractmethod
    def run(self, stopping: threading.Event) -> None:
        """Look for faults until told to stop; then let go of everything."""

    def reload(self) -> None:  # noqa: B027
        """Read again what may change, on SIGHUP; called by a handler of a
        signal, so take note of it only.
        """
