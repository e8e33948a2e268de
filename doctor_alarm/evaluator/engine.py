# SPDX-License-Identifier: Apache-2.0
"""What is done with a batch of events, from look-up to commit."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import time
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.evaluator import composite
from doctor_alarm.evaluator import matching
from doctor_alarm.evaluator import subject
from doctor_alarm.evaluator import transaction
from doctor_alarm import event as event_mod
from doctor_alarm import metrics
from doctor_alarm.objects import announcement
from doctor_alarm.objects import fault
from doctor_alarm.objects import wait

#: Matches in one transaction at most, save for those of composites.
TRANSITIONS = 500


class Engine:
    """Evaluates events against the alarms in the database.

    ``on_commit(wakeup)`` is called after each commit that made deliveries,
    see :mod:`doctor_alarm.objects.wakeup`, ``tell`` for each transition.
    Neither may raise; the first one waits for a broker that hangs, once.
    """

    def __init__(self, db: db_api.Database,
                 on_commit: Callable[[dict[str, Any]], None],
                 lease: float,
                 tell: announcement.Tell = announcement.nobody) -> None:
        self._db = db
        self._tell = tell
        self._on_commit = on_commit
        self._lease = int(lease * 1e6)

    def process(self, events: list[event_mod.Event]) -> None:
        """Look up, match, decide and commit; all effects are durable then.

        Safe to repeat with the same events.
        """
        with self._db.reader() as conn:
            # The first transaction goes on where the look-up began: a lone
            # event waits for no round trip more than it must.
            for some in matching.chunks(
                    matching.look_up(conn, events), TRANSITIONS):
                self._commit(conn, some)
        # Behind the notifications: nobody waits for it.
        if told := fault.told(events):
            fault.record(self._db, told)

    def ended(self, until: int) -> list[wait.Wait]:
        """Return waits for events that ended until a time of the database.

        As many as a transaction takes; none that has not ended by now.
        """
        now = self._db.now()
        with self._db.reader() as conn:
            return wait.ended(conn, min(until, now))

    def end(self, waits: Collection[wait.Wait]) -> None:
        """Raise the alarms of ended waits; all effects are durable then.

        Each is raised once, whoever tries it, and how often.
        """
        with self._db.reader() as conn:
            self._commit(conn, (), waits)

    def postpone(self, waits: Collection[wait.Wait], seconds: float) -> None:
        """Try waits that can not be ended again later."""
        with self._db.writer() as conn:
            wait.move(conn, self._db.dialect, waits,
                      self._db.now() + int(seconds * 1e6))

    def _commit(self, conn: sa.Connection,
                matches: Collection[matching.Match],
                ended: Collection[wait.Wait] = ()) -> None:
        alarm_ids = ({hit.alarm_id for hit in matches}
                     | {over.alarm_id for over in ended})
        with subject.alarms(alarm_ids):
            work, wakeup = self._transact(conn, matches, ended)
        for reason, count in work.reasons.items():
            metrics.TRANSITIONS.labels(reason=reason.value).inc(count)
        if wakeup['lanes']:
            self._on_commit(
                wakeup | {'committed_at': int(time.time() * 1e6)})
        for row, severity in work.transitions:
            self._tell(row, severity)

    def _transact(self, conn: sa.Connection,
                  matches: Collection[matching.Match],
                  ended: Collection[wait.Wait],
                  ) -> tuple[transaction.Work, dict[str, Any]]:
        more: set[str] = set()
        while True:
            try:
                with self._db.transaction(conn):
                    work = transaction.Work(self._db, conn, self._lease)
                    work.load(matches, ended, more)
                    work.decide()
                    return work, work.store()
            except composite.Incomplete as exc:
                # A composite was made since the look-up: its lock has a
                # place before some that were taken.
                more |= exc.ids
