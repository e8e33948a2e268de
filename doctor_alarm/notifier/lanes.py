# SPDX-License-Identifier: Apache-2.0
"""The loop of the notifier: load, wait for a turn, attempt, commit, next.

All of it runs in one event loop; only the ledger's work is in threads. A lane
is in one place at a time: to be loaded, waiting for its receiver, on the wire
or waiting for its commit. It is left by a commit, or when its lease is over.
"""
from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import logging
import time
from typing import TypeVar

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm.notifier import attempt as attempt_mod
from doctor_alarm.notifier import bodies as bodies_mod
from doctor_alarm.notifier import ledger as ledger_mod
from doctor_alarm.notifier import naming
from doctor_alarm.notifier import receivers as receivers_mod
from doctor_alarm.notifier import retry
from doctor_alarm.notifier import stale
from doctor_alarm.notifier import sweeper
from doctor_alarm.notifier import threads
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import lane as lane_obj
from doctor_alarm.objects import wakeup

LOG = logging.getLogger(__name__)

#: Lanes that are loaded, or committed, together at most.
BATCH = 500
#: Lanes that are swept, or given back, together at most: wake-ups and
#: outcomes wait for them.
SWEPT = 100
#: Seconds for which outcomes are collected at most.
COLLECTED = 0.02
#: Seconds that a database which does not answer may take at the end, beside
#: the calls that are under way.
HANGS = 10.0

T = TypeVar('T')


@dataclasses.dataclass(slots=True, eq=False)
class Lane:
    """A lane that this process has a lease of; ``ends``: monotonic."""

    lease: lane_obj.Lease
    ends: float
    failures: int
    receiver: receivers_mod.Key
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


class Lanes:
    """What one notifier works on."""

    def __init__(self, conf: cfg.ConfigOpts, ledger: ledger_mod.Ledger,
                 attempts: attempt_mod.Attempts) -> None:
        self._timeout = conf.notifier.timeout
        self._ledger = ledger
        self._attempts = attempts
        self._bodies = bodies_mod.Bodies(ledger.bodies)
        self._policy = retry.Policy(conf)
        self._policies = stale.Policies(conf)
        self._drops: stale.Drops[Lane] = stale.Drops(
            ledger.drop, self._dropped)
        self._receivers: receivers_mod.Receivers[Lane] = (
            receivers_mod.Receivers(
                max_calls=conf.notifier.max_concurrency,
                window=conf.notifier.receiver_concurrency,
                max_waiting=conf.notifier.max_waiting,
                pause=self._policy.pause))
        self._inbox: collections.deque[lane_obj.Lease] = collections.deque()
        self._held: dict[str, Lane] = {}
        #: For each load under way the leases that ended in the meantime.
        self._loads: list[set[str]] = []
        self._steps: collections.deque[ledger_mod.Step] = collections.deque()
        self._excess: collections.deque[ledger_mod.Step] = collections.deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._sweeper = sweeper.Sweeper(
            conf.notifier.sweep_interval, self._sweep,
            self._receivers.forget)
        self._stopping = False
        self._to_load = asyncio.Event()
        self._to_commit = asyncio.Event()
        self._collecting = False
        self._reader = threads.Worker('notifier-load')
        self._writer = threads.Worker('notifier-commit')

    @property
    def backlog(self) -> int:
        """Leases that are not looked at yet; from any thread."""
        return len(self._inbox)

    @property
    def _room(self) -> int:
        """How many more lanes may wait, be it to be looked through."""
        # More than that would wait until their leases are over, and for
        # nothing.
        return self._receivers.room - self._drops.waiting

    def wake(self, leases: Iterable[lane_obj.Lease]) -> None:
        """Take leases over."""
        self._inbox.extend(leases)
        self._to_load.set()

    def take(self, found: wakeup.WakeUp) -> None:
        """Take leases over; what is enclosed need not be loaded."""
        left = found.leases
        if (found.deliveries and not self._inbox and not self._stopping
                and self._room > len(left)):
            self._bodies.keep(found.bodies)
            left = [lease for lease in left if not self._take_enclosed(
                lease, found.deliveries.get(lease.lane_id))]
            self._start_calls()
        if left:
            self.wake(left)

    def _take_enclosed(self, lease: lane_obj.Lease,
                       rows: list[delivery_obj.Row] | None) -> bool:
        ends = self._ledger.ends(lease)
        if not rows or ends is None or ends < time.monotonic() + self._timeout:
            return False
        self._take(ledger_mod.Loaded(lease, ends, ledger_mod.ahead(rows)))
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then finish what is under way."""
        tasks = [asyncio.create_task(work()) for work in (
            self._load_always, self._commit_always, self._sweeper.run,
            self._drops.run)]
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                [*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await self._finish(tasks)

    async def _finish(self, tasks: list[asyncio.Task[None]]) -> None:
        self._stopping = True
        self._ledger.stopping()
        try:
            async with asyncio.timeout(self._timeout + HANGS):
                await self._drain(*tasks)
        except TimeoutError:
            # Their leases end, and others go on with them.
            LOG.error('The database does not answer: what is under way is '
                      'left to other notifiers, and comes a second time%s',
                      naming.after(self._held.values()))
        left = [task for task in (*tasks, *self._calls) if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        self._reader.stop()
        self._writer.stop()
        await self._bodies.stop()
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _drain(self, loader: asyncio.Task[None],
                     committer: asyncio.Task[None],
                     sweep: asyncio.Task[None],
                     drops: asyncio.Task[None]) -> None:
        self._to_load.set()
        self._sweeper.stop()
        self._drops.stop()
        await asyncio.wait([loader, sweep, drops])
        for lane in self._receivers.clear() + self._drops.clear():
            self._give_back(lane, 0)
        for lease in ledger_mod.distinct(self._inbox).values():
            self._commit(ledger_mod.Step(lease.lane_id, lease.token, pause=0))
        self._inbox.clear()
        if self._calls:
            await asyncio.wait(self._calls)
        self._to_commit.set()
        await asyncio.wait([committer])

    # Loading

    async def _load_always(self) -> None:
        while not self._stopping:
            await self._to_load.wait()
            self._to_load.clear()
            while (self._inbox and not self._stopping
                   and self._room > 0):
                await self._load(_some(self._inbox, BATCH))

    async def _load(self, leases: list[lane_obj.Lease]) -> None:
        batch = ledger_mod.distinct(leases)
        ended: set[str] = set()
        self._loads.append(ended)
        try:
            found, bodies = await self._reader.run(
                self._ledger.load, list(batch.values()), self._bodies)
            self._bodies.keep(bodies)
        except Exception:
            # The leases end, and the sweep finds the lanes.
            LOG.exception('Could not load %d lanes%s', len(batch),
                          naming.after(
                              self._held.get(lane_id, lease)
                              for lane_id, lease in batch.items()))
            found = []
        self._loads.remove(ended)
        for loaded in found:
            if loaded.lease.token not in ended:
                self._take(loaded)
            batch.pop(loaded.lease.lane_id)
        for lost in batch.values():
            held = self._held.get(lost.lane_id)
            if held and held.reloading and held.lease.token == lost.token:
                self._forget(held)
        self._start_calls()

    def _take(self, loaded: ledger_mod.Loaded) -> None:
        lease = loaded.lease
        held = self._held.get(lease.lane_id)
        if held is not None:
            if held.lease.token != lease.token:
                held.stale = True
            elif not held.reloading:
                return      # the same wake-up came twice
        first = loaded.rows[0]
        receiver, action = receivers_mod.target_of(
            first.project_id, first.action)
        lane = Lane(lease, loaded.ends, first.lane_attempts, receiver,
                    first.alarm_id, collections.deque(),
                    self._policies.of(first.delivery))
        if held is not None and held.lease.token == lease.token:
            lane.looked = held.looked
        self._held[lease.lane_id] = lane
        lane.waiting.extend(
            attempt_mod.Waiting(row, action, _committed_at(row, lease))
            for row in loaded.rows if row.id is not None)
        if not lane.waiting:
            # A gap: rows were deleted, or there are those that had their
            # turn before somebody asked for an earlier one again. The step
            # ends at the next that waits.
            self._commit(ledger_mod.Step(
                lease.lane_id, lease.token, first.tail + 1,
                attempts=lane.failures))
        elif self._doubts(lane) and first.tail > max(
                lane.looked, lane.waiting[0].sequence):
            self._look_through(lane, first.tail)
        else:
            self._place(lane)

    def _doubts(self, lane: Lane) -> bool:
        return lane.policy is not None and lane.policy.doubts(
            lane.waiting[0].since, stale.now())

    def _look_through(self, lane: Lane, tail: int) -> None:
        low = lane.waiting[0].sequence
        lane.looked = min(tail, low + stale.WINDOW - 1)
        if lane.policy is not None:
            self._drops.add(stale.Look(
                lane, lane.lease, low, lane.looked, lane.policy))

    def _dropped(self, look: stale.Look[Lane],
                 looked: stale.Looked | None) -> None:
        lane = look.item
        if looked is None or lane.stale:
            self._forget(lane)
        elif not looked.dropped:
            self._place(lane)
        else:
            stale.count(look, looked, str(lane.receiver[1]))
            lane.waiting.clear()
            self._commit(ledger_mod.Step(
                lane.lease.lane_id, lane.lease.token, look.high + 1,
                attempts=lane.failures))
        # Others may be loaded now.
        self._start_calls()

    def _place(self, lane: Lane) -> None:
        if self._stopping:
            self._give_back(lane, 0)
            return
        pause = self._receivers.offer(
            lane.receiver, lane, time.monotonic())
        if pause is not None:
            self._give_back(lane, pause)

    def _give_back(self, lane: Lane, pause: float) -> None:
        self._excess.append(ledger_mod.Step(
            lane.lease.lane_id, lane.lease.token, pause=pause,
            attempts=lane.failures, waiting=next(iter(lane.waiting), None)))
        self._to_commit.set()

    # Calling

    def _start_calls(self) -> None:
        for call in self._due_calls():
            self._start(call)

    def _start(self, call: receivers_mod.Call[Lane]) -> None:
        task = asyncio.create_task(self._make_calls(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _due_calls(self) -> list[receivers_mod.Call[Lane]]:
        if self._stopping:
            return []
        calls = self._receivers.start(time.monotonic())
        if self._inbox and self._room > 0:
            self._to_load.set()
        return calls

    async def _make_calls(self, call: receivers_mod.Call[Lane]) -> None:
        """Make a call, and then one that may be made because it ended."""
        while True:
            await self._call(call)
            due = self._due_calls()
            if not due:
                return
            call = due.pop(0)
            for other in due:
                self._start(other)
            # Everybody else comes first, as if it had a task of its own.
            await asyncio.sleep(0)

    async def _call(self, call: receivers_mod.Call[Lane]) -> None:
        lane = call.item
        answered = None
        try:
            answered = await self._attempt(
                lane, await self._bodies.get(lane.waiting[0].message_id))
        except Exception:
            # The lease ends, and the sweep finds the lane.
            LOG.exception('Could not attempt %s', lane)
            self._forget(lane)
        finally:
            for other in self._receivers.done(
                    call, answered, time.monotonic()):
                self._give_back(other, self._pause_of(other))

    async def _attempt(self, lane: Lane, body: str | None) -> bool | None:
        if lane.stale or lane.ends - time.monotonic() < self._timeout:
            # Somebody else may begin before we would have ended.
            self._forget(lane)
            return None
        waiting = lane.current = lane.waiting.popleft()
        done = await self._attempts.make(waiting, body)
        failures = lane.failures + 1
        decision = self._policy.decide(done.outcome, failures, done.age)
        self._attempts.note(done, decision)
        step = ledger_mod.Step(
            lane.lease.lane_id, lane.lease.token,
            attempt=done.record(decision), waiting=waiting)
        if decision.pause is None:
            step.head = waiting.sequence + 1
            lane.failures = 0
            step.attempts = 0
            step.pause = 0 if self._stopping else None
        else:
            step.attempts = failures
            step.pause = max(decision.pause, self._pause_of(lane))
        self._commit(step)
        return done.outcome.answered

    def _pause_of(self, lane: Lane) -> float:
        return self._receivers.pause_of(lane.receiver, time.monotonic())

    # Committing

    def _commit(self, step: ledger_mod.Step) -> None:
        self._steps.append(step)
        # The call whose outcome this is has not ended yet.
        if (not self._collecting or self._receivers.active <= 1
                or len(self._steps) >= BATCH):
            self._to_commit.set()

    async def _commit_always(self) -> None:
        while (self._steps or self._excess or self._calls
               or not self._stopping):
            await self._to_commit.wait()
            self._to_commit.clear()
            while self._steps or self._excess:
                batch = _some(self._steps, BATCH)
                # Some in any case: else they could pile up.
                batch += _some(
                    self._excess, max(SWEPT // 10, SWEPT - len(batch)))
                started = time.monotonic()
                await self._commit_batch(batch)
                self._start_calls()
                if len(batch) > 1 and self._receivers.active:
                    await self._collect(time.monotonic() - started)

    async def _collect(self, seconds: float) -> None:
        """Let outcomes gather, so that there are fewer commits under load.

        It takes as long as the last commit at most: the lanes are not more
        than twice as long without their next call. It ends when no call is
        under way any more.
        """
        if self._stopping:
            return
        self._to_commit.clear()
        self._collecting = True
        timer = asyncio.get_running_loop().call_later(
            min(seconds, COLLECTED), self._to_commit.set)
        await self._to_commit.wait()
        timer.cancel()
        self._collecting = False

    async def _commit_batch(self, steps: Sequence[ledger_mod.Step]) -> None:
        try:
            committed = await self._writer.run(
                self._ledger.commit, steps)
        except Exception as exc:
            if len(steps) > 1 and not db_api.is_transient(exc):
                # One of them is the culprit, the others need not suffer.
                middle = len(steps) // 2
                await self._commit_batch(steps[:middle])
                await self._commit_batch(steps[middle:])
                return
            LOG.exception('Could not store the outcome of %d lanes: %s',
                          len(steps), naming.several(steps))
            for step in steps:
                self._left(step)
            return
        for step, ours in zip(steps, committed.ours, strict=True):
            if ours:
                self._go_on(step, committed)
            else:
                self._left(step)

    def _left(self, step: ledger_mod.Step) -> None:
        lane = self._held.get(step.lane_id)
        if lane is not None and lane.lease.token == step.token:
            self._forget(lane)
        if step.pause is not None:
            self._sweeper.ask(step.pause)

    def _go_on(self, step: ledger_mod.Step,
               committed: ledger_mod.Committed) -> None:
        lane = self._held.get(step.lane_id)
        if lane is None or lane.lease.token != step.token:
            return
        lane.ends = committed.ends
        lane.current = None
        if step.lane_id in committed.moved:
            lane.waiting.clear()
        if self._stopping:
            self._give_back(lane, 0)
        elif lane.waiting and not self._doubts(lane):
            self._place(lane)
        else:
            lane.reloading = True
            self.wake([dataclasses.replace(
                lane.lease, until=committed.until, committed_at=None)])

    def _forget(self, lane: Lane) -> None:
        if self._held.get(lane.lease.lane_id) is lane:
            del self._held[lane.lease.lane_id]
            if not self._held:
                self._bodies.clear()
        for ended in self._loads:
            ended.add(lane.lease.token)

    # Sweeping

    async def _sweep(self) -> bool:
        """Take lanes that are due; return whether there may be more."""
        limit = min(SWEPT, self._room)
        if limit <= 0:
            return False
        closed = self._receivers.closed(time.monotonic())
        try:
            leases, count = await self._reader.run(
                self._ledger.sweep, limit, closed)
        except Exception:
            LOG.exception('Could not sweep')
            return False
        self._receivers.park(closed)
        if leases:
            # In turn with what is woken: both need the same thread.
            await self._load(leases)
        return count == limit


def _committed_at(row: delivery_obj.AnyRow,
                  lease: lane_obj.Lease) -> int | None:
    # Later deliveries came with another commit, which sent no wake-up.
    if lease.committed_at and row.evaluated_at <= lease.committed_at:
        return lease.committed_at
    return None


def _some(items: collections.deque[T], limit: int) -> list[T]:
    return [items.popleft() for _ in range(min(limit, len(items)))]
