# SPDX-License-Identifier: Apache-2.0
"""The loop of the notifier: load, wait for a turn, attempt, commit, next.

All of it runs in one event loop; only the ledger's work is in threads. A lane
is in one place at a time: to be loaded, waiting for its receiver, on the wire
or waiting for its commit. It is left by a commit, or when its lease is over.
"""
from __future__ import annotations

import asyncio
from collections.abc import Iterable
import dataclasses
import logging

from oslo_config import cfg

from doctor_alarm.notifier import attempt
from doctor_alarm.notifier import bodies as bodies_mod
from doctor_alarm.notifier import calling as calling_mod
from doctor_alarm.notifier import committing as committing_mod
from doctor_alarm.notifier import held as held_mod
from doctor_alarm.notifier import ledger as ledger_mod
from doctor_alarm.notifier import loading as loading_mod
from doctor_alarm.notifier import naming
from doctor_alarm.notifier import sweeper
from doctor_alarm.objects import wakeup

LOG = logging.getLogger(__name__)

#: Seconds that a database which does not answer may take at the end, beside
#: the calls that are under way.
HANGS = 10.0


class Lanes:
    """What one notifier works on."""

    def __init__(self, conf: cfg.ConfigOpts, ledger: ledger_mod.Ledger,
                 attempts: attempt.Attempts) -> None:
        self._timeout = conf.notifier.timeout
        self._ledger = ledger
        self._bodies = bodies_mod.Bodies(ledger.bodies)
        self._held = held_mod.Held(emptied=self._bodies.clear)
        self._committing = committing_mod.Committing(
            ledger, self._settled, next_calls=lambda: self._calling.start(),
            active=lambda: self._calling.receivers.active)
        self._calling = calling_mod.Calling(
            conf, attempts, self._bodies, self._held, self._committing,
            freed=lambda: self._loading.go_on())
        self._loading = loading_mod.Loading(
            conf, ledger, self._bodies, self._held, self._calling,
            self._committing)
        self._sweeper = sweeper.Sweeper(
            conf.notifier.sweep_interval, self._loading.sweep,
            self._calling.receivers.forget)
        self._stopping = False

    @property
    def backlog(self) -> int:
        """Leases that are not looked at yet; from any thread."""
        return self._loading.backlog

    def take(self, found: wakeup.WakeUp) -> None:
        """Take the leases of a wake-up over."""
        self._loading.take(found)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then finish what is under way."""
        committer = asyncio.create_task(self._committing.run())
        others = [asyncio.create_task(work()) for work in (
            self._loading.run, self._loading.drops.run, self._sweeper.run)]
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([committer, *others, stopped],
                               return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await self._finish(committer, others)

    async def _finish(self, committer: asyncio.Task[None],
                      others: Iterable[asyncio.Task[None]]) -> None:
        self._stopping = True
        self._ledger.stopping()
        try:
            async with asyncio.timeout(self._timeout + HANGS):
                await self._drain(committer, others)
        except TimeoutError:
            # Their leases end, and others go on with them.
            LOG.error('The database does not answer: what is under way is '
                      'left to other notifiers, and comes a second time%s',
                      naming.after(self._held))
        left = [task for task in (committer, *others, *self._calling.tasks)
                if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        self._loading.close()
        self._committing.close()
        await self._bodies.stop()
        for task in (committer, *others):
            if not task.cancelled():
                task.result()

    async def _drain(self, committer: asyncio.Task[None],
                     others: Iterable[asyncio.Task[None]]) -> None:
        self._committing.stop()
        self._loading.stop()
        self._sweeper.stop()
        self._calling.stop()
        await asyncio.wait(others)
        self._loading.give_back()
        if self._calling.tasks:
            await asyncio.wait(self._calling.tasks)
        self._committing.end()
        await asyncio.wait([committer])

    def _settled(self, step: ledger_mod.Step,
                 committed: ledger_mod.Committed | None) -> None:
        """Go on with a lane after a step, if it is still ours."""
        lane = self._held.find(step.lane_id, step.token)
        if committed is None:
            if lane is not None:
                self._held.forget(lane)
            if step.pause is not None:
                self._sweeper.ask(step.pause)
        elif lane is not None:
            lane.ends = committed.ends
            lane.current = None
            if step.lane_id in committed.moved:
                lane.waiting.clear()
            self._go_on(lane, committed.until)

    def _go_on(self, lane: held_mod.Lane, until: int) -> None:
        if self._stopping:
            self._committing.give_back(lane.returned(0))
        elif lane.waiting and not lane.doubts:
            self._calling.place(lane)
        else:
            lane.reloading = True
            self._loading.wake([dataclasses.replace(
                lane.lease, until=until, committed_at=None)])
