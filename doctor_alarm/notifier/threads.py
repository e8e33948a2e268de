# SPDX-License-Identifier: Apache-2.0
"""A thread that blocks on behalf of the loop."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent import futures
import queue
import threading
from typing import Any
from typing import TypeVar

T = TypeVar('T')


class Worker:
    """Makes one call after the other: what comes meanwhile is a group.

    Unlike those of an executor its thread is a daemon: a call that does not
    return keeps no process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """Return what a function returns in the thread."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: futures.Future[T] = futures.Future()
        self._calls.put((future, work, args))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """End after the calls that wait; does not wait for that."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            _make(*call)
            # It is not kept until the next one comes.
            del call


_Call = tuple[futures.Future[Any], Callable[..., Any], tuple[object, ...]]


def _make(future: futures.Future[Any], work: Callable[..., Any],
          args: tuple[object, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work(*args)
    except BaseException as exc:
        future.set_exception(exc)
    else:
        future.set_result(result)
