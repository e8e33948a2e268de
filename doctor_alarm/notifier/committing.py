# SPDX-License-Identifier: Apache-2.0
"""Outcomes and lanes that are given back, on their way to the database."""
from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from collections.abc import Sequence
import logging
import time

from doctor_alarm.db import api as db_api
from doctor_alarm.notifier import ledger as ledger_mod
from doctor_alarm.notifier import naming
from doctor_alarm.notifier import threads

LOG = logging.getLogger(__name__)

#: Steps that are committed together at most.
BATCH = 500
#: Lanes that are given back together at most: outcomes wait for them.
RETURNED = 100
#: Seconds for which outcomes are collected at most.
COLLECTED = 0.02

#: What became of a step; None: it could not be stored.
Settled = Callable[[ledger_mod.Step, ledger_mod.Committed | None], None]


class Committing:
    """Stores steps of lanes, as many together as have come meanwhile."""

    def __init__(self, ledger: ledger_mod.Ledger, settled: Settled,
                 next_calls: Callable[[], None],
                 active: Callable[[], int]) -> None:
        """Store nothing yet.

        :param settled: is called with each step
        :param next_calls: is called after each commit
        :param active: returns how many calls are under way
        """
        self._ledger = ledger
        self._settled = settled
        self._next_calls = next_calls
        self._active = active
        self._steps: collections.deque[ledger_mod.Step] = collections.deque()
        self._returned: collections.deque[ledger_mod.Step] = (
            collections.deque())
        self._to_commit = asyncio.Event()
        self._collecting = self._stopping = self._ended = False
        self._writer = threads.Worker('notifier-commit')

    def add(self, step: ledger_mod.Step) -> None:
        """Store a step soon: its lane waits for that."""
        self._steps.append(step)
        # The call whose outcome this is has not ended yet.
        if (not self._collecting or self._active() <= 1
                or len(self._steps) >= BATCH):
            self._to_commit.set()

    def give_back(self, step: ledger_mod.Step) -> None:
        """Store a step that nobody here waits for."""
        self._returned.append(step)
        self._to_commit.set()

    def stop(self) -> None:
        """Let nothing gather any more."""
        self._stopping = True

    def end(self) -> None:
        """Let :meth:`run` return when all that has come is stored."""
        self._ended = True
        self._to_commit.set()

    def close(self) -> None:
        """Let go of the thread."""
        self._writer.stop()

    async def run(self) -> None:
        """Store what comes."""
        while self._steps or self._returned or not self._ended:
            await self._to_commit.wait()
            self._to_commit.clear()
            while self._steps or self._returned:
                batch = _some(self._steps, BATCH)
                # Some in any case: else they could pile up.
                batch += _some(
                    self._returned, max(RETURNED // 10, RETURNED - len(batch)))
                started = time.monotonic()
                await self._commit(batch)
                self._next_calls()
                if len(batch) > 1 and self._active():
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

    async def _commit(self, steps: Sequence[ledger_mod.Step]) -> None:
        try:
            committed = await self._writer.run(self._ledger.commit, steps)
        except Exception as exc:
            if len(steps) > 1 and not db_api.is_transient(exc):
                # One of them is the culprit, the others need not suffer.
                middle = len(steps) // 2
                await self._commit(steps[:middle])
                await self._commit(steps[middle:])
                return
            LOG.exception('Could not store the outcome of %d lanes: %s',
                          len(steps), naming.several(steps))
            for step in steps:
                self._settled(step, None)
            return
        for step, ours in zip(steps, committed.ours, strict=True):
            self._settled(step, committed if ours else None)


def _some(items: collections.deque[ledger_mod.Step], limit: int,
          ) -> list[ledger_mod.Step]:
    return [items.popleft() for _ in range(min(limit, len(items)))]
