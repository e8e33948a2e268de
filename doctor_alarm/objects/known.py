# SPDX-License-Identifier: Apache-2.0
"""What a transaction of the evaluator must know before it decides."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import outbox
from doctor_alarm import transition

#: Things of one kind that are asked for one by one.
FEW = 3

_CHANGE, _NOTIFICATION, _RESOURCE, _LANE = range(4)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What of the things that were asked for is there.

    ``changes``: (alarm, message) that made a change before;
    ``notifications``: ids that were stored before.
    """

    changes: set[tuple[str, str]]
    notifications: set[str]
    resources: dict[active_alarm.Pair, transition.ResourceState]


def read(conn: sa.Connection, dialect: str, *,
         changes: Collection[tuple[str, str]],
         notifications: Collection[str],
         resources: Collection[active_alarm.Pair],
         lanes: Mapping[str, outbox.Lane]) -> Known:
    """Read all of it in one statement; lock the lanes and bring them up.

    The alarms are locked already, and so are the lanes then, in the order of
    their ids. Lanes that are not there stay as they are given.
    """
    by_key = active_alarm.by_key(resources)
    known = Known(changes=set(), notifications=set(), resources={})
    found = _found(conn, dialect, {
        'changes': list(changes),
        'notifications': [(i,) for i in notifications],
        'resources': list(by_key),
        'lanes': [(i,) for i in sorted(lanes)]})
    for kind, one, two, three, four, a, b, c, d in found:
        if kind == _CHANGE:
            known.changes.add((one, two))
        elif kind == _NOTIFICATION:
            known.notifications.add(one)
        elif kind == _RESOURCE:
            known.resources[by_key[one, a]] = transition.ResourceState(
                two, b, three, bool(c),
                active_alarm.confirmed_in(four), d)
        else:
            lane = lanes[one]
            lane.token, lane.head, lane.tail, lane.due = two, a, b, c
    return known


def _found(conn: sa.Connection, dialect: str,
           wanted: Mapping[str, list[tuple[Any, ...]]],
           ) -> Iterable[Any]:
    if max(map(len, wanted.values())) > FEW:
        return conn.execute(_statement(dialect), {
            name: rows.values(many) for name, many in wanted.items()})
    text, names = _few(
        conn.dialect, tuple((k, len(many)) for k, many in wanted.items()))
    value = {'%s_%d_%d' % (name, i, j): part
             for name, many in wanted.items()
             for i, row in enumerate(many) for j, part in enumerate(row)}
    return conn.exec_driver_sql(text, tuple([value[name] for name in names]))


@functools.cache
def _statement(dialect: str) -> sa.CompoundSelect[Any]:
    return sa.union_all(*(
        part.of_table(dialect, name) for name, part in _PARTS.items()))


@functools.lru_cache(maxsize=(FEW + 1) ** 4)
def _few(dialect: sa.Dialect, counts: tuple[tuple[str, int], ...],
         ) -> tuple[str, list[str]]:
    """Return the statement for few things, and names of its parameters.

    A lone event waits for it: each table made of JSON costs MariaDB more than
    to read what is wanted.
    """
    return batch.positional(sa.union_all(*(
        _PARTS[name].one_by_one(rows.name_of(dialect), name, count)
        for name, count in counts if count)), dialect)


def _row(kind: int, *values: Any) -> list[Any]:
    # The type of an empty column must be told to PostgreSQL.
    texts = [v for v in values if isinstance(v.type, sa.String)]
    numbers = [v for v in values if v not in texts]
    return [
        sa.literal_column(str(kind)).label('kind'),
        *texts, *[sa.cast(sa.null(), sa.String(255))] * (4 - len(texts)),
        *numbers, *[sa.cast(sa.null(), sa.BigInteger)] * (4 - len(numbers))]


class _Part:
    """Things of one kind: where they are, and by what they are found."""

    def __init__(self, kind: int, keys: Mapping[str, str],
                 shown: Sequence[sa.ColumnElement[Any]], *,
                 locked: bool = False) -> None:
        self._kind, self._keys, self._shown = kind, keys, shown
        self._locked = locked
        self._table: Any = shown[0].table   # type: ignore[attr-defined]

    def of_table(self, dialect: str, name: str) -> sa.Select[Any]:
        """Return the query for rows of a table, see ``rows.table``."""
        wanted = rows.table(dialect, self._keys, name)
        on = sa.and_(*(self._table.c[key] == wanted.c[key]
                       for key in self._keys))
        join = (update.straight(dialect, wanted, self._table, on)
                if self._locked else wanted.join(self._table, on))
        return self._select(dialect, lambda q: q.select_from(join))

    def one_by_one(self, dialect: str, name: str,
                   count: int) -> sa.Select[Any]:
        """Return the query for rows that are parameters ``name_0_0``, ..."""
        where = sa.or_(*(sa.and_(*(
            self._table.c[key] == sa.bindparam('%s_%d_%d' % (name, i, j))
            for j, key in enumerate(self._keys))) for i in range(count)))
        return self._select(dialect, lambda q: update.by_primary_key(
            q.where(where), self._table) if self._locked else q.where(where))

    def _select(self, dialect: str,
                narrow: Callable[[sa.Select[Any]], sa.Select[Any]],
                ) -> sa.Select[Any]:
        if not self._locked:
            return narrow(sa.select(*_row(self._kind, *self._shown)))
        query = narrow(sa.select(*self._shown)).order_by(self._table.c.id)
        found = query.with_for_update(
            of=None if dialect == 'mysql' else self._table).subquery()
        return sa.select(*_row(self._kind, *found.c))


def _resource() -> list[sa.ColumnElement[Any]]:
    active = models.active_alarm.c
    return [active.alarm_id, active.state, active.publisher_id,
            active.confirmed, active.resource_key, active.event_time,
            sa.cast(active.unpaired, sa.Integer), active.due]


_PARTS = {
    'changes': _Part(_CHANGE, {'alarm_id': 'id', 'message_id': 'id'}, [
        models.change.c.alarm_id, models.change.c.message_id]),
    'notifications': _Part(_NOTIFICATION, {'id': 'id'}, [
        models.delivery.c.id]),
    'resources': _Part(
        _RESOURCE, {'alarm_id': 'id', 'resource_key': 'int'}, _resource()),
    'lanes': _Part(_LANE, {'id': 'id'}, [
        models.lane.c.id, models.lane.c.token, models.lane.c.head,
        models.lane.c.tail, models.lane.c.due], locked=True)}
