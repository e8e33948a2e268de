# SPDX-License-Identifier: Apache-2.0
"""Who is behind, so that nobody tells an absence that is none.

The event that ends a wait may be in the hands of one evaluator while another
is told that the wait is over. Therefore an evaluator that holds events for
longer than usual says so in the database, and the end of a wait has to stand
back until whoever held something at that moment has committed it.
"""
from __future__ import annotations

import logging
import threading
import time
import uuid

from doctor_alarm.db import api as db_api
from doctor_alarm.objects import behind
from doctor_alarm.objects import wait
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

#: Seconds for which it is usual to hold an event; also between two looks.
USUAL = 0.1
#: Seconds within which one that is behind has told it: usual twice, and some
#: for the database. Less than ``timeout.GRACE``.
TOLD = 0.35
#: Seconds for which the end of a wait stands back; nobody is waited for as
#: long who only has much to do.
PATIENCE = 10.0


class Held:
    """What was taken and is not committed; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[object, float] = {}

    def add(self, key: object) -> None:
        """Note that something was taken now."""
        with self._lock:
            self._since.setdefault(key, time.monotonic())

    def remove(self, key: object) -> None:
        """Note that it is committed, or never will be."""
        with self._lock:
            self._since.pop(key, None)

    def since(self) -> float | None:
        """Return the monotonic time at which the oldest of it was taken."""
        with self._lock:
            return next(iter(self._since.values()), None)


class Behind:
    """A thread that says when this evaluator is behind; knows the others."""

    def __init__(self, db: db_api.Database) -> None:
        self.held = Held()
        self._db = db
        self._name = str(uuid.uuid4())
        self._told = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='behind', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, limit: float | None = None) -> None:
        """End the thread; what it said is withdrawn."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit)

    def is_another(self, asked: int) -> bool:
        """Whether another evaluator still holds what it took until then.

        :param asked: time of the database, microseconds
        """
        now = self._db.now()
        if now - asked > PATIENCE * 1e6:
            return False
        with self._db.reader() as conn:
            return behind.is_any(conn, self._name, asked, now)

    def is_this(self, asked: int) -> bool:
        """Whether this one does; see ``is_another``."""
        since = self.held.since()
        now = self._db.now()
        return (since is not None and now - asked <= PATIENCE * 1e6
                and self._taken_at(since, now) <= asked)

    def _run(self) -> None:
        while not self._stopping.wait(USUAL):
            self._try(self.held.since())
        self._try(None)

    def _try(self, since: float | None) -> None:
        try:
            self._tell(since)
        except Exception as exc:
            # The next look tries again; nothing depends on a single one.
            LOG.debug('Can not tell who is behind: %s', redact.text(str(exc)))

    def _tell(self, since: float | None) -> None:
        if since is None or time.monotonic() - since < USUAL:
            if self._told:
                with self._db.writer() as conn:
                    behind.withdraw(conn, self._name, self._db.now())
                self._told = False
            return
        with self._db.reader() as conn:
            if wait.first_due(conn, -1) is None:
                return      # nobody would ask
        now = self._db.now()
        self._told = True
        with self._db.writer() as conn:
            behind.report(conn, self._db.dialect, self._name,
                          self._taken_at(since, now), now)

    @staticmethod
    def _taken_at(since: float, now: int) -> int:
        return now - int((time.monotonic() - since) * 1e6)
