# SPDX-License-Identifier: Apache-2.0
"""Match keys of alarms: stored with the alarm, looked up for events.

An alarm is stored under its plain key. When :data:`CROWD` alarms share one,
those that come later and demand more to be equal are stored under their
refined key, and a row with the alarm ``*`` says so. An event then yields the
refined keys too: what it costs depends on how many alarms it may hit.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm import event as event_mod
from doctor_alarm import match

#: Alarms that may share a plain key before it is refined.
CROWD = 16
#: The alarm of the row that says that a key is refined.
MARK = '*'
#: Values in one IN list.
IN_LIST = 900


def insert(conn: sa.Connection, keys: Iterable[tuple[str, match.Key]],
           ) -> None:
    """Store the keys of new alarms, or of a changed one.

    :param keys: (alarm, key)
    """
    pairs = list(keys)
    counts = _counts(conn, {key.plain for _, key in pairs if key.names})
    stored: set[tuple[int, str]] = set()
    marked: dict[tuple[int, int], str] = {}
    for alarm_id, key in pairs:
        if key.names and counts[key.plain] >= CROWD:
            stored.add((key.refined, alarm_id))
            names = json.dumps(key.names)
            marked[key.plain, match.resource_key(names)] = names
        else:
            stored.add((key.plain, alarm_id))
            if key.plain in counts:
                counts[key.plain] += 1
    # In order of the keys, as every transaction inserts them: locks of
    # index records taken in one order do not deadlock.
    _mark(conn, marked)
    if stored:
        conn.execute(sa.insert(models.alarm_key), [
            {'key': key, 'alarm_id': alarm_id}
            for key, alarm_id in sorted(stored)])


def delete(conn: sa.Connection, alarm_id: str) -> None:
    """Remove the keys of an alarm."""
    conn.execute(sa.delete(models.alarm_key).where(
        models.alarm_key.c.alarm_id == alarm_id))


def refined(conn: sa.Connection, marked: Sequence[int],
            events: Mapping[int, list[event_mod.Event]],
            ) -> dict[int, list[event_mod.Event]]:
    """Return the refined keys of events under plain keys that have some.

    :param events: plain key -> the events that yield it
    """
    table = models.refinement
    found: dict[int, list[event_mod.Event]] = {}
    for start in range(0, len(marked), IN_LIST):
        for plain, names in conn.execute(
                sa.select(table.c.key, table.c.names).where(
                    table.c.key.in_(marked[start:start + IN_LIST]))):
            for event in events[plain]:
                for key in match.refined_keys(
                        plain, json.loads(names), event):
                    found.setdefault(key, []).append(event)
    return found


def _counts(conn: sa.Connection, keys: set[int]) -> dict[int, int]:
    """Return how many alarms share each plain key; a marked one is full."""
    counts = dict.fromkeys(keys, 0)
    table = models.alarm_key
    ordered = sorted(keys)
    for start in range(0, len(ordered), IN_LIST):
        part = ordered[start:start + IN_LIST]
        for key, in conn.execute(sa.select(table.c.key).where(
                table.c.key.in_(part), table.c.alarm_id == MARK)):
            counts[key] = CROWD
        rest = [key for key in part if not counts[key]]
        if rest:
            counts.update((row[0], row[1]) for row in conn.execute(
                sa.select(table.c.key, sa.func.count()).where(
                    table.c.key.in_(rest)).group_by(table.c.key)))
    return counts


def _mark(conn: sa.Connection, marked: Mapping[tuple[int, int], str],
          ) -> None:
    if not marked:
        return
    dialect = rows.dialect_of(conn)
    conn.execute(
        rows.upsert(dialect, models.alarm_key, ['key', 'alarm_id'], ()),
        [{'key': key, 'alarm_id': MARK}
         for key in sorted({plain for plain, _ in marked})])
    values: list[dict[str, Any]] = [
        {'key': plain, 'names_key': names_key, 'names': names}
        for (plain, names_key), names in sorted(marked.items())]
    conn.execute(
        rows.upsert(dialect, models.refinement, ['key', 'names_key'], ()),
        values)
