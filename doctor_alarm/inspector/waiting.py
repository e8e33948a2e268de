# SPDX-License-Identifier: Apache-2.0
"""Holds what is to be tried again, without a thread for each."""
from __future__ import annotations

from collections.abc import Callable
import heapq
import itertools
import threading
import time
from typing import Generic
from typing import TypeVar

_T = TypeVar('_T')


class Waiting(Generic[_T]):
    """Gives each item back when its time has come, in a thread of its own.

    :param release: takes an item; returns at once
    """

    def __init__(self, release: Callable[[_T], None]) -> None:
        self._release = release
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, _T]] = []
        self._number = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name='waiting', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Forget what waits, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, item: _T, seconds: float) -> None:
        """Take an item that may be tried again after some time."""
        with self._changed:
            heapq.heappush(self._heap, (
                time.monotonic() + seconds, next(self._number), item))
            self._changed.notify()

    def hurry(self, wanted: Callable[[_T], bool]) -> None:
        """Give some items back at once."""
        with self._changed:
            self._heap = [
                (0.0 if wanted(item) else due, number, item)
                for due, number, item in self._heap]
            heapq.heapify(self._heap)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                pause = (self._heap[0][0] - time.monotonic()
                         if self._heap else None)
                if pause is None or pause > 0:
                    self._changed.wait(pause)
                    continue
                item = heapq.heappop(self._heap)[2]
            self._release(item)
