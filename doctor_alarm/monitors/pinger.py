# SPDX-License-Identifier: Apache-2.0
"""Who is pinged when, and what is made of it; time and net come from outside.
"""
from __future__ import annotations

import collections
from collections.abc import Iterable
import dataclasses
import heapq
import itertools
from typing import Any
from typing import Protocol

from doctor_alarm.monitors import base
from doctor_alarm.monitors import debounce
from doctor_alarm.monitors import hosts
from doctor_alarm.monitors import icmp
from doctor_alarm.monitors import metrics

#: Pings between two looks at the answers: as many fit into the smallest
#: buffer of a kernel.
_BURST = 100
_SEQUENCES = 65536


class Transport(Protocol):
    """The net, see :class:`icmp.Icmp`."""

    def send(self, address: str, sequence: int) -> None:
        """Send an echo."""

    def receive(self) -> Iterable[tuple[str, int]]:
        """Give the answers that have come."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds."""

    interval: float
    timeout: float
    down_after: int
    up_after: int
    hold_down: float

    @classmethod
    def of(cls, options: Any) -> Settings:
        """Return those of [monitor_ping]."""
        return cls(*(getattr(options, field.name)
                     for field in dataclasses.fields(cls)))


@dataclasses.dataclass(slots=True, eq=False)
class _Target:
    """A host, or a canary, which has no state.

    ``silent_since``: when the first ping was sent that it did not answer.
    """

    name: str
    address: str
    state: debounce.Debouncer | None
    gone: bool = False
    silent_since: float | None = None


@dataclasses.dataclass(slots=True)
class _Ping:
    target: _Target
    sent: float


class Pinger:
    """Pings every target once per interval, evenly spread."""

    def __init__(self, settings: Settings, transport: Transport,
                 reporter: base.Reporter) -> None:
        self._settings = settings
        self._transport = transport
        self._reporter = reporter
        self._targets: dict[tuple[bool, str], _Target] = {}
        self._due: list[tuple[float, int, _Target]] = []
        self._numbers = itertools.count()
        self._sequence = 0
        # In the order of sending: all have the same time.
        self._pending: collections.OrderedDict[
            int, _Ping] = collections.OrderedDict()
        #: When the last ping that a canary answered was sent.
        self._saw = float('-inf')
        self._canaries = 0

    def watch(self, listed: hosts.HostList, now: float) -> None:
        """Ping these from now on; what stays keeps its state."""
        wanted = {(False, name): address
                  for name, address in listed.hosts.items()}
        wanted.update({(True, address): address
                       for address in listed.canaries})
        for key, target in list(self._targets.items()):
            if wanted.get(key) != target.address:
                target.gone = True
                del self._targets[key]
                if key not in wanted and not key[0]:
                    self._reporter.forget('host/' + target.name)
        self._canaries = len(set(listed.canaries))
        new = [key for key in wanted if key not in self._targets]
        for number, key in enumerate(new):
            target = _Target(key[1], wanted[key],
                             None if key[0] else self._state(key[1]))
            self._targets[key] = target
            heapq.heappush(self._due, (
                now + self._settings.interval * number / len(new),
                next(self._numbers), target))

    def _state(self, name: str) -> debounce.Debouncer:
        options = self._settings
        return debounce.Debouncer(
            options.down_after, options.up_after, options.hold_down,
            self._reporter.known_down('host/' + name))

    def count(self) -> dict[str, int]:
        """Return how many hosts are down, and how many are not."""
        down = sum(target.state.down for target in self._targets.values()
                   if target.state is not None)
        return {base.DOWN: down,
                base.UP: len(self._targets) - self._canaries - down}

    def step(self, now: float) -> float:
        """Do what is due; return when the next is.

        Answers first: one that came while this process was not running is
        no loss.
        """
        self._receive(now)
        self._expire(now)
        for number in range(1, len(self._due) + 1):
            if not self._due or self._due[0][0] > now:
                break
            self._send_next(now)
            if number % _BURST == 0:
                self._receive(now)
        times = [self._due[0][0]] if self._due else []
        if self._pending:
            times.append(next(iter(self._pending.values())).sent
                         + self._settings.timeout)
        return min(times, default=now + self._settings.interval)

    def _send_next(self, now: float) -> None:
        due, _number, target = heapq.heappop(self._due)
        if target.gone:
            return
        # What a late process has missed is not made up for.
        due = max(due + self._settings.interval, now)
        heapq.heappush(self._due, (due, next(self._numbers), target))
        self._sequence = (self._sequence + 1) % _SEQUENCES
        former = self._pending.pop(self._sequence, None)
        if former is not None:      # more under way than there are numbers
            self._lost(former, now, 'no answer')
        ping = _Ping(target, now)
        try:
            self._transport.send(target.address, self._sequence)
            self._pending[self._sequence] = ping
        except icmp.Unsent as exc:
            if exc.ours:
                metrics.BLIND.labels('ping').inc()
            else:
                self._lost(ping, now, str(exc))

    def _receive(self, now: float) -> None:
        for address, sequence in self._transport.receive():
            ping = self._pending.get(sequence)
            if ping is None or ping.target.address != address.partition(
                    '%')[0]:
                continue
            del self._pending[sequence]
            ping.target.silent_since = None
            self._observe(ping.target, True, now, 'answers')
            if ping.target.state is None:
                self._saw = max(self._saw, ping.sent)

    def _expire(self, now: float) -> None:
        while self._pending:
            sequence, ping = next(iter(self._pending.items()))
            if ping.sent + self._settings.timeout > now:
                return
            del self._pending[sequence]
            self._lost(ping, now, 'no answer')

    def _lost(self, ping: _Ping, now: float, reason: str) -> None:
        if self._blind(ping):
            metrics.BLIND.labels('ping').inc()
            return
        if ping.target.silent_since is None:
            ping.target.silent_since = ping.sent
        self._observe(ping.target, False, now, '%s to %d pings of %s' % (
            reason, self._settings.down_after, ping.target.address))

    def _blind(self, ping: _Ping) -> bool:
        """Say whether nothing at all was seen at the time of a ping."""
        since = ping.sent - self._settings.interval
        return self._canaries > 0 and self._saw < since

    def _observe(self, target: _Target, answered: bool, now: float,
                 cause: str) -> None:
        if target.gone or target.state is None:
            return
        status = target.state.observe(answered, now)
        if status is not None:
            since = target.silent_since
            self._reporter.report(base.host_finding(
                target.name, status, cause,
                None if since is None else now - since))
