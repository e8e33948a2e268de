# SPDX-License-Identifier: Apache-2.0
"""Repetitions that nothing but their time and contents tells.

Here and not in the evaluator, because whoever else reads the bus shall know
them as well; in the database and not in memory, because the next one may come
to another worker or another host.
"""
from __future__ import annotations

import logging

from oslo_db import exception as db_exc

from doctor_alarm.db import api as db_api
from doctor_alarm import event
from doctor_alarm.objects import posted_event

LOG = logging.getLogger(__name__)

#: Several workers may note the same host in another order.
ATTEMPTS = 5


class Window:
    """Tells repetitions.

    :param seconds: ``[event] duplicate_window``; 0: nothing is one
    """

    def __init__(self, db: db_api.Database, seconds: float) -> None:
        self._db = db
        self._window = int(seconds * 1e6)
        self._failed = False

    def apply(self, events: list[event.Event]) -> list[event.Event]:
        """Return the events, repetitions with the id of the first."""
        if not self._window:
            return events
        try:
            found = self._noted(events)
        except Exception as exc:
            if not db_api.is_transient(exc):
                raise
            # A fault that is told twice is better than one that is not told.
            LOG.log(logging.DEBUG if self._failed else logging.WARNING,
                    'Repetitions are not told from news, the database is not '
                    'available: %s', type(exc).__name__)
            self._failed = True
            return events
        self._failed = False
        return found

    def _noted(self, events: list[event.Event]) -> list[event.Event]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._db.writer() as conn:
                    return posted_event.share_ids(
                        conn, self._db.dialect, events, self._db.now(),
                        self._window)
            except db_exc.DBDeadlock:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError('unreachable')
