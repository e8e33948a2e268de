# SPDX-License-Identifier: Apache-2.0
"""What the database gets of new alarms, in each table."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any
import uuid

import sqlalchemy as sa

from doctor_alarm import composite
from doctor_alarm.db import models
from doctor_alarm import match
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import alarm_key
from doctor_alarm.objects import change
from doctor_alarm.objects import definition
from doctor_alarm.objects.definition import Alarm

#: How ids of leaves begin: they come behind those of all alarms, which are
#: UUIDs. So whoever has locked a composite may lock its leaves.
_LEAF_ID = 'leaf-'


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Rows of new alarms in each table; those of alarms come first."""

    alarms: list[dict[str, Any]]
    keys: list[tuple[str, match.Key]]
    changes: list[dict[str, Any]]
    waiting: list[dict[str, Any]]
    members: list[dict[str, Any]]


def rows_of(alarms: Sequence[Alarm], actor: change.Actor,
            now: int) -> Rows:
    """Return what the database gets of new alarms.

    :param alarms: with ids and times
    """
    rows = parts_of(alarms, now)
    return dataclasses.replace(
        rows, alarms=[definition.to_row(alarm) for alarm in alarms]
        + rows.alarms, changes=[change.row(
            alarm_id=alarm.id, on_behalf_of=alarm.project_id,
            type=change.Type.CREATION, detail=definition.detail(alarm),
            timestamp=now, actor=actor) for alarm in alarms])


def parts_of(alarms: Sequence[Alarm], now: int) -> Rows:
    """Return what the database gets beside alarms: keys, waits, leaves."""
    leaves: list[Alarm] = []
    members: list[dict[str, Any]] = []
    for alarm in alarms:
        if alarm.type == definition.COMPOSITE:
            for position, (member, leaf) in enumerate(_members(alarm)):
                members.append({'composite_id': alarm.id,
                                'position': position, 'alarm_id': member})
                leaves += leaf
    every = [*alarms, *leaves]
    return Rows(
        alarms=[definition.to_row(leaf) for leaf in leaves],
        keys=keys(every), changes=[], members=members,
        waiting=[_waiting(alarm, now) for alarm in every if _waits(alarm)])


def insert(conn: sa.Connection, rows: Rows) -> None:
    """Insert new alarms, a statement for each table."""
    for table, many in ((models.alarm, rows.alarms),
                        (models.composite_member, rows.members),
                        (models.active_alarm, rows.waiting)):
        if many:
            conn.execute(sa.insert(table), many)
    alarm_key.insert(conn, rows.keys)
    change.insert(conn, rows.changes)


def keys(alarms: Iterable[Alarm]) -> list[tuple[str, match.Key]]:
    """Return the match keys of alarms; composites have none."""
    return [(alarm.id, key) for alarm in alarms
            if alarm.type != definition.COMPOSITE
            for key in match.keys_of_alarm(alarm.project_id, alarm.rule)]


def wait(conn: sa.Connection, alarm: Alarm, now: int) -> None:
    """Let a locked alarm wait from now on, or for nothing."""
    if _waits(alarm):
        active_alarm.wait(conn, _waiting(alarm, now))
    elif not alarm.enabled:
        active_alarm.wait_no_more(conn, alarm.id)


def _waits(alarm: Alarm) -> bool:
    """Whether the alarm waits for an event without one that begins it."""
    return bool(alarm.enabled and alarm.rule.get('timeout')
                and not alarm.rule.get('after'))


def _waiting(alarm: Alarm, now: int) -> dict[str, Any]:
    return active_alarm.waiting(
        alarm.id, alarm.project_id, now + alarm.rule['timeout'] * 1_000_000,
        now)


def _members(alarm: Alarm) -> Iterator[tuple[str, list[Alarm]]]:
    """Give the id of each member of a composite, and the leaf if it is one.
    """
    for _path, leaf in composite.leaves(alarm.rule):
        if leaf['type'] == composite.ALARM:
            yield leaf['alarm_id'], []
        else:
            made = _leaf(alarm, leaf)
            yield made.id, [made]


def _leaf(alarm: Alarm, rule: Mapping[str, Any]) -> Alarm:
    return Alarm(
        id=_LEAF_ID + uuid.uuid4().hex[:31], name='', type=definition.LEAF,
        rule={name: value for name, value in rule.items() if name != 'type'},
        project_id=alarm.project_id, enabled=alarm.enabled,
        timestamp=alarm.timestamp, state_timestamp=alarm.timestamp,
        evaluate_timestamp=alarm.timestamp, composed=True)
