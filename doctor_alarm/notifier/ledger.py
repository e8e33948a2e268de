# SPDX-License-Identifier: Apache-2.0
"""The database side of the lanes: load, commit in groups, sweep.

The functions block; the loop calls them in threads.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import itertools
import logging
import time
from typing import Any
from typing import TypeVar

from oslo_config import cfg
import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm import metrics
from doctor_alarm.notifier import attempt as attempt_mod
from doctor_alarm.notifier import naming
from doctor_alarm.notifier import receivers
from doctor_alarm.notifier import stale
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import lane as lane_obj

LOG = logging.getLogger(__name__)

#: Deliveries of one lane that are read at once.
AHEAD = 10
#: Characters of the deliveries of one lane that are kept, beside the first.
AHEAD_SIZE = 4096
#: Bodies of events that are read at once, and characters of them that are
#: read with the deliveries; the rest is read when it is sent.
BODIES = 100
BODIES_SIZE = 8 * 1024 * 1024
#: Seconds between attempts of a transaction, first and last.
PAUSE = (0.02, 1.0)
#: Seconds without a sweep after the database was away, so that every
#: notifier can commit what it knows before others take its lanes. More than
#: the longest pause.
GRACE = 3.0
#: Seconds that a stopping notifier waits for a database that is away.
PATIENCE = 5.0

T = TypeVar('T')
Bodies = dict[str, str]


@dataclasses.dataclass(slots=True)
class Step:
    """A change of a leased lane that waits for its commit.

    ``head``, ``attempts``: None leaves them as they are. ``pause``: seconds
    after which the sweep may take the lane; None: it is kept, or freed if
    nothing waits. ``waiting``: what was attempted, or would be next.
    """

    lane_id: str
    token: str
    head: int | None = None
    pause: float | None = None
    attempts: int | None = None
    attempt: delivery_obj.Attempt | None = None
    waiting: attempt_mod.Waiting | None = None

    def __str__(self) -> str:
        """As it is named in the log."""
        return str(self.waiting or 'lane %s' % self.lane_id)


@dataclasses.dataclass(slots=True)
class Loaded:
    """A leased lane and the first of what waits; ``ends``: monotonic."""

    lease: lane_obj.Lease
    ends: float
    rows: Sequence[delivery_obj.AnyRow]


@dataclasses.dataclass(frozen=True, slots=True)
class Committed:
    """What became of lanes: ``ours`` is true for those that are kept.

    Their lease ends at ``until`` (microseconds, the database's clock), that
    is ``ends`` in monotonic seconds. ``moved``: lanes whose next delivery is
    another one than was read, because somebody asked for it again.
    """

    ours: list[bool]
    until: int
    ends: float
    moved: Collection[str] = ()


class Ledger:
    """Transactions of the notifier."""

    def __init__(self, conf: cfg.ConfigOpts, db: db_api.Database) -> None:
        self._db = db
        self._lease = conf.notifier.lease
        self._timeout = conf.notifier.timeout
        self._trouble_until = float('-inf')
        self._give_up_at = float('inf')

    @property
    def in_trouble(self) -> bool:
        """Whether the database was away a moment ago."""
        return time.monotonic() < self._trouble_until

    def stopping(self) -> None:
        """Do not wait for long any more for a database that is away."""
        self._give_up_at = time.monotonic() + PATIENCE

    def ends(self, lease: lane_obj.Lease) -> float | None:
        """Return when a lease ends, in monotonic seconds.

        None if the database had to be asked for its time.
        """
        if self._db.clock is not None:
            return None
        return lease.until / 1e6 + time.monotonic() - self._db.now() / 1e6

    def load(self, leases: Sequence[lane_obj.Lease],
             known: Container[str] = ()) -> tuple[list[Loaded], Bodies]:
        """Read what waits in lanes; leave out the lost ones.

        :param known: ids of events whose bodies are not needed
        :returns: the lanes, and the bodies of the events that come first
        """
        return self._retried(
            'load', lambda: self._load(leases, known), leases)

    def bodies(self, message_ids: Collection[str]) -> Bodies:
        """Read bodies of events."""
        return self._retried(
            'load', lambda: self._bodies(message_ids),
            ['message %s' % i for i in message_ids])

    def commit(self, steps: Sequence[Step]) -> Committed:
        """Store what has happened, in one transaction.

        A step whose lease is lost changes nothing.
        """
        return self._retried('commit', lambda: self._commit(steps), steps)

    def drop(self, looks: Sequence[stale.Look[Any]],
             ) -> list[stale.Looked | None]:
        """Drop what is out of date in parts of leased lanes."""
        return self._retried(
            'drop', lambda: stale.drop(self._db, self._lease, looks), looks)

    def sweep(self, limit: int, closed: receivers.Closed,
              ) -> tuple[list[lane_obj.Lease], int]:
        """Lease lanes that nobody works on; none while there is trouble.

        :param closed: receivers whose lanes are left alone; counts them
        :returns: the leases, and how many lanes were due
        """
        if self.in_trouble:
            return [], 0
        try:
            return self._sweep(limit, closed)
        except Exception as exc:
            if not db_api.is_transient(exc):
                raise
            self._note_trouble('sweep', exc, ())
            return [], 0

    def _load(self, leases: Sequence[lane_obj.Lease],
              known: Container[str]) -> tuple[list[Loaded], Bodies]:
        offset = time.monotonic() - self._db.now() / 1e6
        soonest = time.monotonic() + self._timeout
        alive = {lease.lane_id: lease for lease in leases
                 if lease.until / 1e6 + offset > soonest}
        if not alive:
            return [], {}
        with self._db.reader() as conn:
            found = delivery_obj.waiting(
                conn, self._db.dialect, alive.values(), AHEAD)
            bodies = self._first_bodies(
                conn, _first_events(found.values(), known))
        return [
            Loaded(alive[lane_id], alive[lane_id].until / 1e6 + offset,
                   ahead(rows))
            for lane_id, rows in found.items()], bodies

    def _first_bodies(self, conn: sa.Connection, message_ids: list[str],
                      ) -> Bodies:
        found: Bodies = {}
        for start in range(0, len(message_ids), BODIES):
            found |= delivery_obj.bodies(
                conn, self._db.dialect, message_ids[start:start + BODIES])
            if sum(len(body) for body in found.values()) > BODIES_SIZE:
                break
        return found

    def _bodies(self, message_ids: Collection[str]) -> Bodies:
        with self._db.reader() as conn:
            return delivery_obj.bodies(conn, self._db.dialect, message_ids)

    def _commit(self, steps: Sequence[Step]) -> Committed:
        dialect = self._db.dialect
        now = self._db.now()
        ends = time.monotonic() + self._lease
        until = now + int(self._lease * 1e6)
        with self._db.writer() as conn:
            held = lane_obj.lock(conn, dialect, (s.lane_id for s in steps))
            mine = [(step, held[step.lane_id]) for step in steps
                    if step.lane_id in held
                    and held[step.lane_id].token == step.token]
            out = batch.Batch(conn)
            delivery_obj.store(out, [
                step.attempt for step, _row in mine if step.attempt])
            moved: dict[str, int] = {}
            jumps = _jumps(mine)
            if jumps:
                out.run()   # what is stored waits no more
                moved = delivery_obj.passed_over(conn, dialect, jumps)
            states = [_state(step, row, moved.get(step.lane_id, step.head),
                             now, until) for step, row in mine]
            lane_obj.store(out, states)
            out.run(last=True)
        metrics.BATCH.labels('deliveries').observe(len(steps))
        kept = {(state.id, state.token) for state in states if state.token}
        return Committed([(step.lane_id, step.token) in kept
                          for step in steps], until, ends, moved)

    def _sweep(self, limit: int, closed: receivers.Closed,
               ) -> tuple[list[lane_obj.Lease], int]:
        now = self._db.now()

        def pause_of(project_id: str, action: str) -> float | None:
            return closed.pause_of(
                receivers.target_of(project_id, action)[0])

        with self._db.reader() as conn:
            if not lane_obj.any_due(conn, now):
                return [], 0
        with self._db.writer() as conn:
            return lane_obj.take_due(
                conn, self._db.dialect, now=now, limit=limit,
                until=now + int(self._lease * 1e6), pause_of=pause_of)

    def _retried(self, what: str, work: Callable[[], T],
                 about: Iterable[object]) -> T:
        pause = PAUSE[0]
        for failures in itertools.count(1):
            try:
                return work()
            except Exception as exc:
                if (not db_api.is_transient(exc)
                        or time.monotonic() > self._give_up_at):
                    raise
                metrics.RETRIES.labels('notifier_' + what).inc()
                if failures > 1:
                    # A deadlock is over at the second attempt.
                    self._note_trouble(what, exc, about)
            time.sleep(pause)
            pause = min(pause * 2, PAUSE[1])
        raise AssertionError

    def _note_trouble(self, what: str, exc: Exception,
                      about: Iterable[object]) -> None:
        if not self.in_trouble:
            LOG.warning('The database does not take the %s of deliveries, '
                        'trying on: %s%s', what, type(exc).__name__,
                        naming.after(about))
        self._trouble_until = time.monotonic() + GRACE


def _first_events(lanes: Iterable[list[sa.Row[Any]]],
                  known: Container[str]) -> list[str]:
    # In the order in which they will be sent.
    ids = dict.fromkeys(
        row.message_id for rows in itertools.zip_longest(*lanes)
        for row in rows if row is not None and row.id is not None)
    return [i for i in ids if i not in known]


def ahead(rows: Sequence[delivery_obj.AnyRow],
          ) -> Sequence[delivery_obj.AnyRow]:
    """Return the first rows of a lane, as many as are kept."""
    # What is left out is read when the rest was sent. If there is none at
    # all, one row says where the lane stands.
    if len(rows) == 1:
        return rows
    there = [row for row in rows if row.id is not None]
    sizes = itertools.accumulate(
        len(row.reason) + len(row.alarm_name) + len(row.resource_id)
        + len(row.reason_data or '')
        for row in there)
    return [row for row, size in zip(there, sizes, strict=True)
            if row is there[0] or size <= AHEAD_SIZE] or rows[:1]


def _jumps(steps: Iterable[tuple[Step, sa.Row[Any]]],
           ) -> list[tuple[str, int, int]]:
    """Return the parts of lanes that are passed over without an attempt.

    Something waits there if somebody asked for a delivery again since the
    lane was read. Who moves by one has attempted that one.
    """
    return [(step.lane_id, row.head, step.head - 1) for step, row in steps
            if step.head is not None and (
                step.attempt is None or step.head > row.head + 1)]


def _state(step: Step, row: sa.Row[Any], to: int | None, now: int,
           until: int) -> lane_obj.State:
    head = row.head if to is None else to
    if head > row.tail:
        # Nothing came in the meantime: the next one leases it again.
        return lane_obj.State(step.lane_id, head, None, None, 0)
    if step.pause is None:
        return lane_obj.State(
            step.lane_id, head, until, step.token, step.attempts or 0)
    attempts = row.attempts if step.attempts is None else step.attempts
    due = now + int(step.pause * 1e6)
    return lane_obj.State(step.lane_id, head, due, None, attempts)


def distinct(leases: Iterable[lane_obj.Lease],
             ) -> dict[str, lane_obj.Lease]:
    """Return the last lease of each lane."""
    return {lease.lane_id: lease for lease in leases}
