# SPDX-License-Identifier: Apache-2.0
"""Encrypts the credentials in stored actions anew.

In chunks: the work is done before the rows are locked, and what changed in the
meantime is done again. An evaluator waits for a short transaction at most.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
from typing import Any

from oslo_db import api as oslo_db_api
import sqlalchemy as sa

from doctor_alarm import action
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import exception
from doctor_alarm.objects import outbox

#: Rows that are read, and locked, together.
CHUNK = 100

@dataclasses.dataclass(slots=True)
class Rotated:
    """How many rows were encrypted anew.

    ``sealed``: alarms of which something can not be decrypted.
    """

    alarms: int = 0
    lanes: int = 0
    sealed: set[str] = dataclasses.field(default_factory=set)


def rotate(db: db_api.Database, vault: credential.Vault) -> Rotated:
    """Encrypt everything with the first key, also what never was.

    Lanes keep their order and what waits in them.

    :raises NoKey: there is no key
    """
    done = Rotated()
    # Lanes come second: a new one has the action of its alarm.
    done.alarms = _Alarms(db, vault, done).rotate()
    done.lanes += _Lanes(db, vault, done).rotate()
    return done


class _Table:
    """Rows of one table and what they get."""

    table: sa.Table
    columns: tuple[str, ...]

    def __init__(self, db: db_api.Database, vault: credential.Vault,
                 done: Rotated) -> None:
        self._db = db
        self._vault = vault
        self._done = done

    def rotate(self) -> int:
        """Go through the table; return how many rows were changed."""
        total, last = 0, ''
        while chunk := self._read(last):
            last = chunk[-1]['id']
            while new := {row['id']: (row, found) for row in chunk
                          if (found := self.renewed(row))}:
                stored, chunk = self._store(new)
                total += stored
        return total

    def renewed(self, row: sa.RowMapping) -> dict[str, str]:
        """Return what of a row changes."""
        raise NotImplementedError

    def follow(self, conn: sa.Connection, row: sa.RowMapping,
               new: Mapping[str, str]) -> None:
        """Change what depends on a row, in the same transaction."""

    def _select(self) -> sa.Select[Any]:
        id_ = self.table.c.id
        return sa.select(
            id_, *(self.table.c[name] for name in self.columns)).order_by(id_)

    def _read(self, after: str) -> Sequence[sa.RowMapping]:
        with self._db.reader() as conn:
            return conn.execute(self._select().where(
                self.table.c.id > after).limit(CHUNK)).mappings().all()

    @oslo_db_api.wrap_db_retry(max_retries=10, retry_on_deadlock=True)
    def _store(self, new: Mapping[str, tuple[sa.RowMapping, dict[str, str]]],
               ) -> tuple[int, Sequence[sa.RowMapping]]:
        """Change rows; return how many, and those that have changed."""
        with self._db.writer() as conn:
            found = conn.execute(self._select().where(
                self.table.c.id.in_(sorted(new))).with_for_update(),
            ).mappings().all()
            same = [row for row in found if dict(row) == dict(
                new[row['id']][0])]
            if same:
                self._update(conn, [
                    {**row, **new[row['id']][1]} for row in same])
            for row in same:
                self.follow(conn, *new[row['id']])
        return len(same), [row for row in found if row not in same]

    def _update(self, conn: sa.Connection,
                changed: Iterable[Mapping[str, str]]) -> None:
        dialect = self._db.dialect
        new = rows.table(dialect, {
            'id': 'id', **dict.fromkeys(self.columns, 'text')})
        statement = update.joined(
            dialect, self.table, new, self.table.c.id == new.c.id,
        ).values({self.table.c[name]: new.c[name] for name in self.columns})
        for part in _parts([[row['id'], *(row[name] for name in self.columns)]
                            for row in changed]):
            conn.execute(statement, {'v': rows.values(part)})

    def _renew(self, alarm_id: str, stored: str) -> str:
        try:
            return self._vault.renewed(stored)
        except exception.Sealed:
            self._done.sealed.add(alarm_id)
            return stored


class _Alarms(_Table):
    """Definitions, and the lanes of what was never encrypted."""

    table = models.alarm
    columns = ('ok_actions', 'alarm_actions', 'insufficient_data_actions')

    def renewed(self, row: sa.RowMapping) -> dict[str, str]:
        """Return the lists that change."""
        # An action in two lists is the same one in both.
        known: dict[str, str] = {}
        found = {}
        for name in self.columns:
            old = json.loads(row[name])
            for stored in old:
                if stored not in known:
                    known[stored] = self._renew(row['id'], stored)
            if any(known[stored] != stored for stored in old):
                found[name] = json.dumps([known[stored] for stored in old])
        return found

    def follow(self, conn: sa.Connection, row: sa.RowMapping,
               new: Mapping[str, str]) -> None:
        """Let lanes go on under the ids that their actions have now.

        Whoever has a lease of one loses it: what he delivers comes a second
        time.
        """
        moved = {
            old: stored for name in new
            for old, stored in zip(json.loads(row[name]),
                                   json.loads(new[name]), strict=True)
            if action.identity(old) != action.identity(stored)}
        for old, stored in moved.items():
            old_id = outbox.lane_id(row['id'], old)
            new_id = outbox.lane_id(row['id'], stored)
            lane, delivery = models.lane, models.delivery
            self._done.lanes += conn.execute(
                sa.update(lane).where(lane.c.id == old_id)
                .values(id=new_id, action=stored)).rowcount
            conn.execute(
                sa.update(delivery).where(delivery.c.lane_id == old_id)
                .values(lane_id=new_id))


class _Lanes(_Table):
    """Ways to receivers; also those of alarms that are gone."""

    table = models.lane
    columns = ('alarm_id', 'action')

    def renewed(self, row: sa.RowMapping) -> dict[str, str]:
        """Return the action if it changes."""
        stored = self._renew(row['alarm_id'], row['action'])
        return {} if stored == row['action'] else {'action': stored}


def _parts(many: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Divide rows into what fits into one statement each."""
    part: list[list[str]] = []
    size = 0
    for row in many:
        size += sum(map(len, row))
        if part and size > batch.SIZE:
            yield part
            part, size = [], sum(map(len, row))
        part.append(row)
    if part:
        yield part
