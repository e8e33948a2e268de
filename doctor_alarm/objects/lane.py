# SPDX-License-Identifier: Apache-2.0
"""Lanes as the notifier uses them: lock, move on, free, lease again.

``head`` is the sequence number of the next delivery, ``tail`` that of the
last one; nothing waits when ``head`` is greater than ``tail``.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any
import uuid

import sqlalchemy as sa

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a lane until a time of the database's clock.

    ``committed_at``: when the evaluator had committed what it woke the
    notifier for; both in microseconds.
    """

    lane_id: str
    token: str
    until: int
    committed_at: int | None = None

    def __str__(self) -> str:
        """As it is named in the log: it may be all that is known."""
        return 'lane %s' % self.lane_id


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """What of a lane changes. ``due`` empty: idle, nothing waits."""

    id: str
    head: int
    due: int | None
    token: str | None
    attempts: int


def lock(conn: sa.Connection, dialect: str, ids: Iterable[str],
         ) -> dict[str, sa.Row[Any]]:
    """Lock lanes in the order of their ids; return what decides on them."""
    found = conn.execute(
        _lock(dialect), {'v': rows.values([(i,) for i in sorted(set(ids))])})
    return {row.id: row for row in found}


def store(out: batch.Batch, states: Sequence[State]) -> None:
    """Store the states of lanes that this transaction has locked."""
    if states:
        out.update(_STORE, [
            (s.id, s.head, s.due, s.token, s.attempts)
            for s in sorted(states, key=lambda state: state.id)])


def any_due(conn: sa.Connection, now: int) -> bool:
    """Whether the sweep would find something; locks nothing."""
    lane = models.lane
    return conn.execute(
        sa.select(lane.c.id).where(lane.c.due <= now).limit(1)
    ).first() is not None


def take_due(conn: sa.Connection, dialect: str, *, now: int, until: int,
             limit: int, pause_of: Callable[[str, str], float | None],
             ) -> tuple[list[Lease], int]:
    """Lease the lanes that are due, longest first, to the caller.

    Those that somebody else has locked are his.

    :param pause_of: seconds for which a lane (project, action) is left alone
    :returns: the leases, and how many lanes were due
    """
    lane = models.lane
    found = conn.execute(
        sa.select(lane.c.id, lane.c.head, lane.c.attempts,
                  lane.c.project_id, lane.c.action)
        .where(lane.c.due <= now).order_by(lane.c.due).limit(limit)
        .with_for_update(skip_locked=True)).all()
    states = []
    for row in found:
        pause = pause_of(row.project_id, row.action)
        if pause is None:
            due, token = until, str(uuid.uuid4())
        else:
            due, token = now + int(pause * 1e6), None
        states.append(State(row.id, row.head, due, token, row.attempts))
    out = batch.Batch(conn)
    store(out, states)
    out.run()
    return [Lease(s.id, s.token, until) for s in states if s.token], len(found)


@functools.cache
def _lock(dialect: str) -> sa.Select[Any]:
    lane = models.lane
    wanted = rows.table(dialect, {'id': 'id'})
    query = sa.select(
        lane.c.id, lane.c.token, lane.c.head, lane.c.tail, lane.c.due,
        lane.c.attempts,
    ).select_from(wanted.join(lane, lane.c.id == wanted.c.id)).order_by(
        lane.c.id).with_for_update(of=lane)
    for name in ('mysql', 'mariadb'):
        # The locks come in the order of the reading; see db.update.
        query = query.prefix_with('STRAIGHT_JOIN', dialect=name)
    return update.by_primary_key(query, lane)


def _store(dialect: str, new: Any) -> sa.Update:
    lane = models.lane
    return update.joined(dialect, lane, new, lane.c.id == new.c.id).values({
        lane.c.head: new.c.head, lane.c.due: new.c.due,
        lane.c.token: new.c.token, lane.c.attempts: new.c.attempts})


_STORE = batch.Update({
    'id': 'id', 'head': 'int', 'due': 'int', 'token': 'id',
    'attempts': 'int'}, _store)
