# SPDX-License-Identifier: Apache-2.0
"""The lanes that this process has leases of."""
from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses

from doctor_alarm.notifier import attempt as attempt_mod
from doctor_alarm.notifier import ledger
from doctor_alarm.notifier import receivers
from doctor_alarm.notifier import stale
from doctor_alarm.objects import lane as lane_obj


@dataclasses.dataclass(slots=True, eq=False)
class Lane:
    """A lane that this process has a lease of; ``ends``: monotonic."""

    lease: lane_obj.Lease
    ends: float
    failures: int
    receiver: receivers.Key
    alarm_id: str
    waiting: collections.deque[attempt_mod.Waiting]
    #: How what waits ages; up to where something newer was looked for.
    policy: stale.Policy | None = None
    looked: int = 0
    #: What is attempted or waits for its commit.
    current: attempt_mod.Waiting | None = None
    #: Its next deliveries are being loaded.
    reloading: bool = False
    #: Another lease has taken its place.
    stale: bool = False

    def __str__(self) -> str:
        """As it is named in the log."""
        first = self.current or next(iter(self.waiting), None)
        return str(first or '%s of alarm %s' % (self.lease, self.alarm_id))

    @property
    def doubts(self) -> bool:
        """Whether something newer may wait behind what waits."""
        return self.policy is not None and self.policy.doubts(
            self.waiting[0].since, stale.now())

    def returned(self, pause: float) -> ledger.Step:
        """Return the step that gives it back for so many seconds."""
        return ledger.Step(
            self.lease.lane_id, self.lease.token, pause=pause,
            attempts=self.failures, waiting=next(iter(self.waiting), None))

    def passed(self, head: int) -> ledger.Step:
        """Return the step to a later delivery, without an attempt."""
        return ledger.Step(self.lease.lane_id, self.lease.token, head,
                           attempts=self.failures)


class Held:
    """By their ids; of each lane the lease that came last."""

    def __init__(self, emptied: Callable[[], None]) -> None:
        """Hold nothing yet.

        :param emptied: is called when nothing is held any more
        """
        self._emptied = emptied
        self._lanes: dict[str, Lane] = {}
        self._watches: list[set[str]] = []

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def get(self, lane_id: str) -> Lane | None:
        """Return a lane, whichever lease it has."""
        return self._lanes.get(lane_id)

    def find(self, lane_id: str, token: str) -> Lane | None:
        """Return a lane if this is its lease."""
        lane = self._lanes.get(lane_id)
        return lane if lane is not None and lane.lease.token == token else None

    def put(self, lane: Lane) -> None:
        """Hold a lane, in place of what was held of it."""
        self._lanes[lane.lease.lane_id] = lane

    def forget(self, lane: Lane) -> None:
        """Let go of a lane: its lease is lost, over or given back."""
        if self._lanes.get(lane.lease.lane_id) is lane:
            del self._lanes[lane.lease.lane_id]
            if not self._lanes:
                self._emptied()
        for ended in self._watches:
            ended.add(lane.lease.token)

    @contextlib.contextmanager
    def watch(self) -> Iterator[set[str]]:
        """Give the leases that end from now on until the exit."""
        ended: set[str] = set()
        self._watches.append(ended)
        try:
            yield ended
        finally:
            # By identity: two of them may be equal.
            self._watches = [w for w in self._watches if w is not ended]
