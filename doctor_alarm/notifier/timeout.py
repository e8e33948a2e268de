# SPDX-License-Identifier: Apache-2.0
"""A time-out for many calls that may all take equally long.

They have to end in the order in which they began, so one timer serves all;
``asyncio.timeout`` sets and cancels one for each.
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any
from typing import TypeVar

T = TypeVar('T')


class Timeout:
    """Cancels the tasks whose call takes too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        #: When they have to end, the oldest first.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Awaitable[T]) -> T:
        """Return what a call returns; a task makes one at a time.

        :raises TimeoutError: it took too long
        """
        task = asyncio.current_task()
        assert task is not None     # noqa: S101
        before, cancelled = task.cancelling(), False
        self._begin(task)
        try:
            return await work
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            late = self._ends.pop(task, None) is None
            # Somebody else may have cancelled it too: that counts.
            if late and task.uncancel() <= before and cancelled:
                raise TimeoutError from None

    def _begin(self, task: asyncio.Task[Any]) -> None:
        loop = task.get_loop()
        self._ends[task] = end = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._check)

    def _check(self) -> None:
        self._timer = None
        while self._ends:
            task, end = next(iter(self._ends.items()))
            loop = task.get_loop()
            if end > loop.time():
                self._timer = loop.call_at(end, self._check)
                return
            del self._ends[task]
            task.cancel()
