# SPDX-License-Identifier: Apache-2.0
"""Groups what comes one by one."""
from __future__ import annotations

from collections.abc import Callable
import logging
import queue
import threading
from typing import Any

LOG = logging.getLogger(__name__)


class Batcher:
    """Calls ``process(items)`` with all that came since the last call.

    Grouping costs a lone item no waiting and a crowd one transaction.
    ``process`` runs in one thread. It should not raise: then it is called
    again with each item alone.
    """

    def __init__(self, name: str, process: Callable[[list[Any]], None],
                 limit: int) -> None:
        self._process = process
        self._limit = limit
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, item: Any) -> None:
        """Queue an item; returns at once."""
        self._queue.put(item)

    @property
    def waiting(self) -> int:
        """Items that are queued, about; from any thread."""
        return self._queue.qsize()

    def stop(self, timeout: float | None = None) -> None:
        """Process what is queued, then end."""
        self._queue.put(_STOP)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._queue.get()]
            while len(batch) < self._limit:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            if _STOP in batch:
                stopping = True
                batch = [item for item in batch if item is not _STOP]
            if batch:
                self._try(batch)

    def _try(self, batch: list[Any]) -> None:
        try:
            self._process(batch)
        except Exception:
            LOG.exception('Batch of %s failed', self._thread.name)
            # One of them is the culprit: the others need not suffer.
            for item in batch if len(batch) > 1 else ():
                self._try([item])


_STOP = object()
