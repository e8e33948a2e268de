# SPDX-License-Identifier: Apache-2.0
"""Lanes wait for a turn of their receiver; then it is called."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Iterable
import logging
import time

from oslo_config import cfg

from doctor_alarm.notifier import attempt as attempt_mod
from doctor_alarm.notifier import bodies as bodies_mod
from doctor_alarm.notifier import committing as committing_mod
from doctor_alarm.notifier import held as held_mod
from doctor_alarm.notifier import ledger
from doctor_alarm.notifier import receivers as receivers_mod
from doctor_alarm.notifier import retry

LOG = logging.getLogger(__name__)

Call = receivers_mod.Call[held_mod.Lane]


class Calling:
    """Calls receivers, and has the outcomes committed."""

    def __init__(self, conf: cfg.ConfigOpts, attempts: attempt_mod.Attempts,
                 bodies: bodies_mod.Bodies, held: held_mod.Held,
                 committing: committing_mod.Committing,
                 freed: Callable[[], None]) -> None:
        """Call nobody yet.

        :param freed: is called when there may be room for others
        """
        self._timeout = conf.notifier.timeout
        self._attempts = attempts
        self._bodies = bodies
        self._held = held
        self._committing = committing
        self._freed = freed
        self._policy = retry.Policy(conf)
        self.receivers: receivers_mod.Receivers[held_mod.Lane] = (
            receivers_mod.Receivers(
                max_calls=conf.notifier.max_concurrency,
                window=conf.notifier.receiver_concurrency,
                max_waiting=conf.notifier.max_waiting,
                pause=self._policy.pause))
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def tasks(self) -> Iterable[asyncio.Task[None]]:
        """In which calls are under way."""
        return self._tasks

    def place(self, lane: held_mod.Lane) -> None:
        """Let a lane wait for its turn, or give it back."""
        pause = 0.0 if self._stopping else self.receivers.offer(
            lane.receiver, lane, time.monotonic())
        if pause is not None:
            self._committing.give_back(lane.returned(pause))

    def start(self) -> None:
        """Make the calls that may be made now."""
        for call in self._due():
            self._start(call)

    def stop(self) -> None:
        """Call nobody any more, and give back the lanes that wait."""
        self._stopping = True
        for lane in self.receivers.clear():
            self.place(lane)

    def _due(self) -> list[Call]:
        if self._stopping:
            return []
        calls = self.receivers.start(time.monotonic())
        self._freed()
        return calls

    def _start(self, call: Call) -> None:
        task = asyncio.create_task(self._make(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, call: Call) -> None:
        """Make a call, and then one that may be made because it ended."""
        while True:
            await self._call(call)
            due = self._due()
            if not due:
                return
            call = due.pop(0)
            for other in due:
                self._start(other)
            # Everybody else comes first, as if it had a task of its own.
            await asyncio.sleep(0)

    async def _call(self, call: Call) -> None:
        lane = call.item
        answered = None
        try:
            answered = await self._attempt(
                lane, await self._bodies.get(lane.waiting[0].message_id))
        except Exception:
            # The lease ends, and the sweep finds the lane.
            LOG.exception('Could not attempt %s', lane)
            self._held.forget(lane)
        finally:
            for other in self.receivers.done(
                    call, answered, time.monotonic()):
                self._committing.give_back(
                    other.returned(self._pause_of(other)))

    async def _attempt(self, lane: held_mod.Lane, body: str | None,
                       ) -> bool | None:
        if lane.stale or lane.ends - time.monotonic() < self._timeout:
            # Somebody else may begin before we would have ended.
            self._held.forget(lane)
            return None
        waiting = lane.current = lane.waiting.popleft()
        done = await self._attempts.make(waiting, body)
        failures = lane.failures + 1
        decision = self._policy.decide(done.outcome, failures, done.age)
        self._attempts.note(done, decision)
        step = ledger.Step(
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
        self._committing.add(step)
        return done.outcome.answered

    def _pause_of(self, lane: held_mod.Lane) -> float:
        return self.receivers.pause_of(lane.receiver, time.monotonic())
