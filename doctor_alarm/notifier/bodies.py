# SPDX-License-Identifier: Apache-2.0
"""The bodies of events, for calls that are about to be made.

Lanes that wait for their turn hold none. Those that were read last are kept,
once each, however many deliveries are about them.
"""
from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import itertools
import sys

from doctor_alarm.notifier import threads

#: Bytes of bodies that are kept.
KEPT = 8 * 1024 * 1024
#: Bodies that are read together.
READ = 50


class Bodies:
    """What was read, and what is to be read."""

    def __init__(self, read: Callable[[Collection[str]], Mapping[str, str]],
                 ) -> None:
        """Keep nothing yet.

        :param read: returns the bodies by message id; may block
        """
        self._read = read
        self._reader = threads.Worker('notifier-bodies')
        self._kept: collections.OrderedDict[str, str] = (
            collections.OrderedDict())
        self._size = 0
        self._wanted: dict[str, asyncio.Future[str | None]] = {}
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, message_id: str) -> bool:
        """Whether a body is kept; from any thread."""
        return message_id in self._kept

    def keep(self, found: Mapping[str, str]) -> None:
        """Keep bodies, and let go of those that nobody used for longest."""
        for message_id, body in found.items():
            if message_id not in self._kept:
                self._size += sys.getsizeof(body)
            self._kept[message_id] = body
            self._kept.move_to_end(message_id)
        while self._size > KEPT:
            _id, body = self._kept.popitem(last=False)
            self._size -= sys.getsizeof(body)

    def clear(self) -> None:
        """Let go of all: nobody is about to be called."""
        self._kept.clear()
        self._size = 0

    async def get(self, message_id: str) -> str | None:
        """Return a body; None if the event was purged."""
        if message_id in self._kept:
            self._kept.move_to_end(message_id)
            return self._kept[message_id]
        future = self._wanted.get(message_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._wanted[message_id] = future
            if self._task is None:
                self._task = asyncio.create_task(self._read_wanted())
        return await asyncio.shield(future)

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._reader.stop()

    async def _read_wanted(self) -> None:
        limit = READ
        while self._wanted:
            wanted = list(itertools.islice(self._wanted, limit))
            try:
                found = await self._reader.run(self._read, wanted)
            except Exception as exc:
                # One of them is the culprit, the others need not suffer.
                if len(wanted) == 1:
                    self._wanted.pop(wanted[0]).set_exception(exc)
                limit = 1
                continue
            self.keep(found)
            for message_id in wanted:
                self._wanted.pop(message_id).set_result(found.get(message_id))
        self._task = None
