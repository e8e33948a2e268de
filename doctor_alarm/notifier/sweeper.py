# SPDX-License-Identifier: Apache-2.0
"""When to look for lanes that nobody works on."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
import contextlib
import heapq
import time

#: Seconds by which a sweep comes after the time for which it was asked.
LATE = 0.005
#: Sweeps that are asked for; more retries than that wait for the interval.
ALARMS = 1000
#: Seconds between two sweeps at least, unless the first one found too many.
GAP = 0.05


class Sweeper:
    """Sweeps at an interval, and when it is asked to."""

    def __init__(self, interval: float, sweep: Callable[[], Awaitable[bool]],
                 done: Callable[[float], None]) -> None:
        """Do nothing yet.

        :param sweep: returns whether there may be more
        :param done: called after each regular sweep with its time
        """
        self._interval = interval
        self._sweep = sweep
        self._done = done
        self._alarms: list[float] = []
        self._asked = asyncio.Event()
        self._stopping = False

    def ask(self, seconds: float) -> None:
        """Sweep after so many seconds."""
        at = time.monotonic() + seconds + LATE
        if seconds < self._interval * 20 and len(self._alarms) < ALARMS:
            heapq.heappush(self._alarms, at)
            if self._alarms[0] == at:
                self._asked.set()

    def stop(self) -> None:
        """Sweep no more."""
        self._stopping = True
        self._asked.set()

    async def run(self) -> None:
        """Sweep until told to stop."""
        regular = earliest = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            next_at = max(earliest, min([regular, *self._alarms[:1]]))
            if now < next_at:
                await self._sleep(next_at - now)
                continue
            while self._alarms and self._alarms[0] <= now:
                heapq.heappop(self._alarms)
            if not await self._sweep():
                earliest = time.monotonic() + GAP
                if now >= regular:
                    self._done(now)
                    regular = time.monotonic() + self._interval

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        self._asked.clear()
