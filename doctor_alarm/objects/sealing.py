# SPDX-License-Identifier: Apache-2.0
"""Looks through stored actions: what is not encrypted, what has no key."""
from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import json
from typing import Any

import sqlalchemy as sa

from doctor_alarm import action
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm import exception

#: Rows that are read together.
CHUNK = 1000

_LISTS = ('ok_actions', 'alarm_actions', 'insufficient_data_actions')


@dataclasses.dataclass(slots=True)
class Found:
    """Ids of alarms. ``plain``: not encrypted; ``locked``: without a key."""

    plain: set[str] = dataclasses.field(default_factory=set)
    locked: set[str] = dataclasses.field(default_factory=set)


def examine(db: db_api.Database, vault: credential.Vault) -> Found:
    """Look at every action of alarms, and of what still waits for one."""
    found = Found()
    for alarm_id, stored in _stored(db):
        if action.is_sealed(stored):
            try:
                vault.open(stored)
            except exception.Sealed:
                found.locked.add(alarm_id)
        elif action.has_credentials(stored):
            found.plain.add(alarm_id)
    return found


def _stored(db: db_api.Database) -> Iterator[tuple[str, str]]:
    alarm, lane = models.alarm.c, models.lane.c
    columns = [alarm[name] for name in _LISTS]
    some = sa.or_(*(column != '[]' for column in columns))
    for row in _rows(db, alarm.id, alarm.id, *columns, condition=some):
        for text in row[2:]:
            for stored in json.loads(text):
                yield row[0], stored
    for row in _rows(db, lane.id, lane.alarm_id, lane.action,
                     condition=lane.due.is_not(None)):
        yield row[1], row[2]


def _rows(db: db_api.Database, key: sa.Column[str],
          *columns: sa.Column[str], condition: sa.ColumnElement[bool],
          ) -> Iterator[Any]:
    """Give the rows of a table in the order of its key."""
    last = ''
    while True:
        with db.reader() as conn:
            chunk = conn.execute(sa.select(key, *columns).where(
                condition, key > last).order_by(key).limit(CHUNK)).all()
        if not chunk:
            return
        yield from chunk
        last = chunk[-1][0]
