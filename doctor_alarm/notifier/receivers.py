# SPDX-License-Identifier: Apache-2.0
"""Who may be called now: nobody takes the turns of another one.

A receiver is a host and port as one project uses it. The number of calls
under way to it grows by one with each answer; one that is not reached gets a
single call at a time, with growing pauses. All share what is free: a project
has at most as many calls, and as many items that wait, as are free beside
them, and a receiver a quarter of the free calls, so that a newcomer always
finds some, however many hang. No I/O and no clock: times are parameters.
"""
from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Hashable
import dataclasses
import functools
from typing import Generic
from typing import TypeVar
import urllib.parse

from doctor_alarm import action as action_mod
from doctor_alarm.notifier import turns

Item = TypeVar('Item')

#: Calls under way to a receiver of which nothing is known yet.
INITIAL = 4
#: Part of the free calls that one receiver may take.
SHARE = 4
#: Part of all calls that receivers which are not reached may take together.
PROBES = 4
#: Items that wait while a receiver is tried with one.
TRIED = 10
#: Seconds for which the failures of a receiver are remembered after a pause.
MEMORY = 120.0

#: Project, and what tells its receivers apart.
Key = tuple[Hashable, ...]


@dataclasses.dataclass(slots=True, eq=False)
class _Receiver(Generic[Item]):
    key: Key
    project: turns.Project
    since: float
    window: int
    active: int = 0
    answers: int = 0
    failures: int = 0
    failed_at: float = float('-inf')
    closed_until: float = float('-inf')
    parked: int = 0
    listed: bool = False
    queue: collections.deque[Item] = dataclasses.field(
        default_factory=collections.deque)

    def refuses(self, now: float) -> bool:
        """Whether nothing more is taken for it."""
        return self.closed_until > now or (
            self.failures > 0 and len(self.queue) >= TRIED)

    def opens_in(self, now: float) -> float:
        """Return after how many seconds to see whether it takes more."""
        return max(self.closed_until - now, turns.EXCESS[0])

    def drained_in(self, now: float) -> float:
        """Return in how many seconds its queue may be empty, roughly."""
        if not self.answers:
            return turns.EXCESS[0]
        each = (now - self.since) / self.answers
        low, high = turns.EXCESS
        return min(max(low, each * len(self.queue)), high)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Call(Generic[Item]):
    """A turn: it lasts until it is given to :meth:`Receivers.done`."""

    item: Item
    receiver: _Receiver[Item]
    started: float
    probe: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Closed:
    """Receivers that take nothing: key -> (for how long, items parked)."""

    receivers: dict[Key, tuple[float, int]]

    def pause_of(self, key: Key) -> float | None:
        """Return the seconds after which an item may come, None: at once."""
        if key not in self.receivers:
            return None
        seconds, parked = self.receivers[key]
        self.receivers[key] = seconds, parked + 1
        return seconds + (parked + 1) / turns.PARKED


class Receivers(Generic[Item]):
    """Queues of items that wait for a call of their receiver."""

    def __init__(self, *, max_calls: int, window: int, max_waiting: int,
                 pause: Callable[[int], float]) -> None:
        """Set the bounds.

        :param max_calls: calls under way, overall
        :param window: calls under way to one receiver
        :param max_waiting: items in the queues, overall
        :param pause: seconds after the n-th call that was not answered
        """
        self._max_calls = max_calls
        self._max_probes = max(1, max_calls // PROBES)
        self._window = window
        self._max_waiting = max_waiting
        self._pause = pause
        self._receivers: dict[Key, _Receiver[Item]] = {}
        self._projects: dict[Hashable, turns.Project] = {}
        self._ready: turns.Turns[_Receiver[Item]] = turns.Turns()
        self._suspects: turns.Turns[_Receiver[Item]] = turns.Turns()
        self.active = 0
        self.waiting = 0
        self._probes = 0

    @property
    def room(self) -> int:
        """How many more items may wait."""
        return self._max_waiting - self.waiting

    def offer(self, key: Key, item: Item, now: float) -> float | None:
        """Queue an item; return None, or after how many seconds to retry."""
        receiver = self._receivers.get(key) or self._add(key, now)
        pause = self._refusal(receiver, now)
        if pause is not None:
            self._drop_if_idle(receiver, now)
            return pause
        receiver.queue.append(item)
        self.waiting += 1
        receiver.project.waiting += 1
        self._list(receiver)
        return None

    def start(self, now: float) -> list[Call[Item]]:
        """Return the calls that may start now, projects in turn."""
        calls: list[Call[Item]] = []
        while receiver := self._ready.take(self._may_call):
            if receiver.failures:
                receiver.listed = False
                self._list(receiver)
            else:
                self._start(receiver, now, calls)
        while receiver := self._suspects.take(self._may_probe):
            self._start(receiver, now, calls)
        return calls

    def done(self, call: Call[Item], answered: bool | None, now: float,
             ) -> list[Item]:
        """End a call; return the items that have to wait elsewhere.

        :param answered: None: there was no call after all
        """
        receiver = call.receiver
        receiver.active -= 1
        receiver.project.active -= 1
        receiver.project.probes -= call.probe
        self.active -= 1
        self._probes -= call.probe
        excess: list[Item] = []
        if answered:
            receiver.failures = receiver.parked = 0
            receiver.answers += 1
            receiver.project.answers += 1
            receiver.closed_until = float('-inf')
            receiver.window = min(receiver.window + 1, self._window)
        elif answered is False and call.started >= receiver.failed_at:
            excess = self._failed(receiver, now)
        self._list(receiver)
        self._drop_if_idle(receiver, now)
        return excess

    def pause_of(self, key: Key, now: float) -> float:
        """Return the seconds after which one more item may come again."""
        receiver = self._receivers.get(key)
        if receiver is None or not receiver.refuses(now):
            return 0.0
        receiver.parked += 1
        return receiver.opens_in(now) + receiver.parked / turns.PARKED

    def closed(self, now: float) -> Closed:
        """Return what a thread needs to know to park items itself."""
        return Closed({
            r.key: (r.opens_in(now), r.parked)
            for r in self._receivers.values() if r.refuses(now)})

    def park(self, closed: Closed) -> None:
        """Take over what a thread has parked."""
        for key, (_seconds, parked) in closed.receivers.items():
            receiver = self._receivers.get(key)
            if receiver is not None and receiver.failures:
                receiver.parked = max(receiver.parked, parked)

    def clear(self) -> list[Item]:
        """Empty the queues and return what was in them."""
        items: list[Item] = []
        for receiver in self._receivers.values():
            items.extend(receiver.queue)
            receiver.queue.clear()
        for project in self._projects.values():
            project.waiting = 0
        self.waiting = 0
        return items

    def forget(self, now: float) -> None:
        """Forget receivers that nobody has called for a while."""
        for receiver in list(self._receivers.values()):
            self._drop_if_idle(receiver, now)

    def _add(self, key: Key, now: float) -> _Receiver[Item]:
        project = self._projects.get(key[0])
        if project is None:
            project = self._projects[key[0]] = turns.Project(now)
        project.receivers += 1
        receiver = self._receivers[key] = _Receiver(
            key, project, now, min(INITIAL, self._window))
        return receiver

    def _refusal(self, receiver: _Receiver[Item], now: float,
                 ) -> float | None:
        if receiver.refuses(now):
            return self.pause_of(receiver.key, now)
        project = receiver.project
        if project.waiting >= max(1, self.room):
            return project.park(now)
        if len(receiver.queue) >= max(1, self.room - project.waiting):
            return receiver.drained_in(now)
        return None

    def _failed(self, receiver: _Receiver[Item], now: float) -> list[Item]:
        # Calls that were under way at the failure do not count: they say
        # nothing new, and a single lost one is not yet a reason to pause.
        receiver.failures += 1
        receiver.failed_at = now
        receiver.window = 1
        if receiver.failures == 1:
            return []
        receiver.closed_until = now + self._pause(receiver.failures - 1)
        receiver.parked = 0
        excess = list(receiver.queue)
        receiver.queue.clear()
        self.waiting -= len(excess)
        receiver.project.waiting -= len(excess)
        return excess

    def _start(self, receiver: _Receiver[Item], now: float,
               calls: list[Call[Item]]) -> None:
        receiver.listed = False
        if not receiver.queue or not self._may_start(receiver):
            return
        probe = receiver.failures > 0
        calls.append(Call(receiver.queue.popleft(), receiver, now, probe))
        receiver.active += 1
        receiver.project.active += 1
        receiver.project.waiting -= 1
        receiver.project.probes += probe
        self.active += 1
        self.waiting -= 1
        self._probes += probe
        self._list(receiver)

    def _may_call(self, project: turns.Project) -> bool:
        return project.active < self._max_calls - self.active

    def _may_probe(self, project: turns.Project) -> bool:
        return (project.probes < self._max_probes - self._probes
                and self._may_call(project))

    def _may_start(self, receiver: _Receiver[Item]) -> bool:
        if receiver.failures:
            return receiver.active < 1
        free = self._max_calls - self.active
        return receiver.active < min(
            receiver.window, max(1, free // SHARE))

    def _list(self, receiver: _Receiver[Item]) -> None:
        # One that may not start now has a call under way, and is looked at
        # again when that ends.
        if (not receiver.listed and receiver.queue
                and self._may_start(receiver)):
            receiver.listed = True
            (self._suspects if receiver.failures else self._ready).add(
                receiver)

    def _drop_if_idle(self, receiver: _Receiver[Item], now: float) -> None:
        if receiver.queue or receiver.active or receiver.listed:
            return
        if (not receiver.failures
                or now > max(receiver.closed_until, receiver.failed_at)
                + MEMORY):
            del self._receivers[receiver.key]
            receiver.project.receivers -= 1
            if not receiver.project.receivers:
                del self._projects[receiver.key[0]]


@functools.lru_cache(4096)
def target_of(project_id: str, action: str,
              ) -> tuple[Key, urllib.parse.SplitResult | None]:
    """Return the receiver that an action calls, and the action if it is one.

    A receiver is a host and port as one project uses it.

    :param action: as it is stored; what is sealed is not returned
    """
    try:
        parts = urllib.parse.urlsplit(
            action.partition(action_mod.SEPARATOR)[0])
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return (project_id, 'invalid'), None
    return (project_id, parts.scheme, parts.hostname or '', port), parts


_PORTS = {'http': 80, 'https': 443}
