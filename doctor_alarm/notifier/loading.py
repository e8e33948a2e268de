# SPDX-License-Identifier: Apache-2.0
"""Leases become lanes whose first deliveries are known.

A lease comes with a wake-up, from the sweep, or because its lane goes on. A
wake-up may enclose what else had to be read.
"""
from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterable
import logging
import time

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm.notifier import attempt as attempt_mod
from doctor_alarm.notifier import bodies as bodies_mod
from doctor_alarm.notifier import calling as calling_mod
from doctor_alarm.notifier import committing as committing_mod
from doctor_alarm.notifier import held as held_mod
from doctor_alarm.notifier import ledger as ledger_mod
from doctor_alarm.notifier import naming
from doctor_alarm.notifier import receivers
from doctor_alarm.notifier import stale
from doctor_alarm.notifier import threads
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import lane as lane_obj
from doctor_alarm.objects import wakeup

LOG = logging.getLogger(__name__)

#: Lanes that are loaded together at most.
BATCH = 500
#: Lanes that are swept together at most: wake-ups wait for them.
SWEPT = 100


class Loading:
    """Loads lanes as long as there is room, and sends them to be called."""

    def __init__(self, conf: cfg.ConfigOpts, ledger: ledger_mod.Ledger,
                 bodies: bodies_mod.Bodies, held: held_mod.Held,
                 calling: calling_mod.Calling,
                 committing: committing_mod.Committing) -> None:
        """Load nothing yet."""
        self._timeout = conf.notifier.timeout
        self._ledger = ledger
        self._bodies = bodies
        self._held = held
        self._calling = calling
        self._committing = committing
        self._policies = stale.Policies(conf)
        self._inbox: collections.deque[lane_obj.Lease] = collections.deque()
        self._to_load = asyncio.Event()
        self._stopping = False
        self._reader = threads.Worker('notifier-load')
        self.drops: stale.Drops[held_mod.Lane] = stale.Drops(
            ledger.drop, self._dropped)

    @property
    def backlog(self) -> int:
        """Leases that are not looked at yet; from any thread."""
        return len(self._inbox)

    @property
    def _room(self) -> int:
        """How many more lanes may wait, be it to be looked through."""
        # More than that would wait until their leases are over, and for
        # nothing.
        return self._calling.receivers.room - self.drops.waiting

    def wake(self, leases: Iterable[lane_obj.Lease]) -> None:
        """Take leases over."""
        self._inbox.extend(leases)
        self._to_load.set()

    def take(self, found: wakeup.WakeUp) -> None:
        """Take leases over; what is enclosed need not be loaded."""
        left = found.leases
        if self._stopping:
            self._give_back(left)
            return
        if (found.deliveries and not self._inbox
                and self._room > len(left)):
            self._bodies.keep(found.bodies)
            left = [lease for lease in left if not self._take_enclosed(
                lease, found.deliveries.get(lease.lane_id))]
            self._calling.start()
        if left:
            self.wake(left)

    def go_on(self) -> None:
        """Load if something waits for that: there may be room now."""
        if self._inbox and self._room > 0:
            self._to_load.set()

    def stop(self) -> None:
        """Begin to load nothing more."""
        self._stopping = True
        self._to_load.set()
        self.drops.stop()

    def give_back(self) -> None:
        """Give back what is not loaded, or not looked through."""
        for lane in self.drops.clear():
            self._committing.give_back(lane.returned(0))
        self._give_back(self._inbox)
        self._inbox.clear()

    def _give_back(self, leases: Iterable[lane_obj.Lease]) -> None:
        for lease in ledger_mod.distinct(leases).values():
            self._committing.give_back(
                ledger_mod.Step(lease.lane_id, lease.token, pause=0))

    def close(self) -> None:
        """Let go of the thread."""
        self._reader.stop()

    async def run(self) -> None:
        """Load what comes until told to stop."""
        while not self._stopping:
            await self._to_load.wait()
            self._to_load.clear()
            while (self._inbox and not self._stopping
                   and self._room > 0):
                await self._load([self._inbox.popleft() for _ in range(
                    min(BATCH, len(self._inbox)))])

    async def sweep(self) -> bool:
        """Take lanes that are due; return whether there may be more."""
        limit = min(SWEPT, self._room)
        if limit <= 0:
            return False
        closed = self._calling.receivers.closed(time.monotonic())
        try:
            leases, count = await self._reader.run(
                self._ledger.sweep, limit, closed)
        except Exception:
            LOG.exception('Could not sweep')
            return False
        self._calling.receivers.park(closed)
        if leases:
            # In turn with what is woken: both need the same thread.
            await self._load(leases)
        return count == limit

    async def _load(self, leases: list[lane_obj.Lease]) -> None:
        batch = ledger_mod.distinct(leases)
        with self._held.watch() as ended:
            found = await self._read(list(batch.values()))
        for loaded in found:
            if loaded.lease.token not in ended:
                self._try(loaded)
            batch.pop(loaded.lease.lane_id)
        for lost in batch.values():
            held = self._held.find(lost.lane_id, lost.token)
            if held and held.reloading:
                self._held.forget(held)
        self._calling.start()

    async def _read(self, leases: list[lane_obj.Lease],
                    ) -> list[ledger_mod.Loaded]:
        try:
            found, bodies = await self._reader.run(
                self._ledger.load, leases, self._bodies)
        except Exception as exc:
            if len(leases) > 1 and not db_api.is_transient(exc):
                # One of them is the culprit, the others need not suffer.
                middle = len(leases) // 2
                return (await self._read(leases[:middle])
                        + await self._read(leases[middle:]))
            # The leases end, and the sweep finds the lanes.
            LOG.exception('Could not load %d lanes%s', len(leases),
                          naming.after(self._held.get(lease.lane_id) or lease
                                       for lease in leases))
            return []
        self._bodies.keep(bodies)
        return found

    def _take_enclosed(self, lease: lane_obj.Lease,
                       rows: list[delivery_obj.Row] | None) -> bool:
        if not rows:
            return False
        try:
            ends, first = self._ledger.ends(lease), ledger_mod.ahead(rows)
        except (OverflowError, TypeError):
            return False    # it is malformed: the database knows better
        return (ends is not None and ends > time.monotonic() + self._timeout
                and self._try(ledger_mod.Loaded(lease, ends, first)))

    def _try(self, loaded: ledger_mod.Loaded) -> bool:
        try:
            self._take(loaded)
        except Exception:
            # Its lease ends; the others need not suffer.
            LOG.exception('Could not take %s', loaded.lease)
            lane = self._held.find(loaded.lease.lane_id, loaded.lease.token)
            if lane is not None:
                self._held.forget(lane)
            return False
        return True

    def _take(self, loaded: ledger_mod.Loaded) -> None:
        lease, first = loaded.lease, loaded.rows[0]
        held = self._held.get(lease.lane_id)
        if held is not None:
            if held.lease.token != lease.token:
                held.stale = True
            elif not held.reloading:
                return      # the same wake-up came twice
        lane = self._lane(loaded)
        if held is not None and held.lease.token == lease.token:
            lane.looked = held.looked
        self._held.put(lane)
        if not lane.waiting:
            # A gap: rows were deleted, or there are those that had their
            # turn before somebody asked for an earlier one again. The step
            # ends at the next that waits.
            self._committing.add(lane.passed(first.tail + 1))
        elif lane.doubts and first.tail > max(
                lane.looked, lane.waiting[0].sequence):
            self._look_through(lane, first.tail)
        else:
            self._calling.place(lane)

    def _lane(self, loaded: ledger_mod.Loaded) -> held_mod.Lane:
        lease, first = loaded.lease, loaded.rows[0]
        receiver, action = receivers.target_of(first.project_id, first.action)
        return held_mod.Lane(
            lease, loaded.ends, first.lane_attempts, receiver, first.alarm_id,
            collections.deque(
                attempt_mod.Waiting(row, action, _committed_at(row, lease))
                for row in loaded.rows if row.id is not None),
            self._policies.of(first.delivery))

    def _look_through(self, lane: held_mod.Lane, tail: int) -> None:
        low = lane.waiting[0].sequence
        lane.looked = min(tail, low + stale.WINDOW - 1)
        if lane.policy is not None:
            self.drops.add(stale.Look(
                lane, lane.lease, low, lane.looked, lane.policy))

    def _dropped(self, look: stale.Look[held_mod.Lane],
                 looked: stale.Looked | None) -> None:
        lane = look.item
        if looked is None or lane.stale:
            self._held.forget(lane)
        elif not looked.dropped:
            self._calling.place(lane)
        else:
            stale.count(look, looked, str(lane.receiver[1]))
            lane.waiting.clear()
            self._committing.add(lane.passed(look.high + 1))
        # Others may be loaded now.
        self._calling.start()


def _committed_at(row: delivery_obj.AnyRow,
                  lease: lane_obj.Lease) -> int | None:
    # Later deliveries came with another commit, which sent no wake-up.
    if lease.committed_at and row.evaluated_at <= lease.committed_at:
        return lease.committed_at
    return None
