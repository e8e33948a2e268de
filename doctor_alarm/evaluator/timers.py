# SPDX-License-Identifier: Apache-2.0
"""Notices that a wait for an event has ended.

It raises nothing itself: it passes on the time until which waits have ended,
behind all events that arrived before. On the bus that is a message in the
queue of the events, so that an evaluator that is behind, or was away, first
takes what waits there, and what others have taken goes first as well, see
:mod:`doctor_alarm.evaluator.behind`; in one process it is the queue of the
committer.
Evaluators that notice the same pass it on several times: that costs a look.
"""
from __future__ import annotations

from collections.abc import Callable
import logging
import threading
import time

from doctor_alarm.db import api as db_api
from doctor_alarm.objects import wait
from doctor_alarm import redact
from doctor_alarm import timeout

LOG = logging.getLogger(__name__)

#: Seconds between looks for a wait that began meanwhile; it lasts a second
#: at least.
POLL = 0.5
#: Seconds between two that are passed on.
SPACING = 0.1
#: Seconds after which what was passed on is taken for lost.
PATIENCE = 5.0


class Timers:
    """A thread that sleeps until the next wait ends."""

    def __init__(self, db: db_api.Database,
                 pass_on: Callable[[int, int], None]) -> None:
        """Do nothing yet.

        :param pass_on: takes when the first of them ended, and until when all
            did, times of the database in microseconds; may block, and raise
        """
        self._db = db
        self._pass_on = pass_on
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='timers', daemon=True)
        self._passed = -1
        self._passed_at = float('-inf')
        self._failing = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, limit: float | None = None) -> None:
        """End the thread, unless what it passes on blocks it for longer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause = self._look()
                self._failing = False
            except Exception as exc:
                # Of whatever kind: nobody else would notice the next wait.
                pause = POLL
                self._complain(exc)
            self._stopping.wait(pause)

    def _look(self) -> float:
        """Pass on what has ended; return seconds until the next look."""
        if time.monotonic() > self._passed_at + PATIENCE:
            self._passed = -1
        with self._db.reader() as conn:
            first = wait.first_due(conn, self._passed)
        if first is None:
            return POLL
        until = self._db.now() - timeout.GRACE
        if first > until:
            return min(POLL, (first - until) / 1e6)
        self._pass_on(first, until)
        self._passed, self._passed_at = until, time.monotonic()
        return SPACING

    def _complain(self, exc: Exception) -> None:
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        LOG.log(level, 'Waits for events that have ended can not be told now:'
                ' %s', redact.text(' '.join(str(exc).split())))
