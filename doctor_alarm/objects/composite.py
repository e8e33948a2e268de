# SPDX-License-Identifier: Apache-2.0
"""Composites as the API changes them: their leaves, what they refer to.

``alarm.composed`` tells the evaluator that composites depend on an alarm. It
is changed under the lock of that alarm, together with ``composite_member``:
who has the lock, and then reads the composites above, knows all of them.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm import composite
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import exception
from doctor_alarm.objects import alarm_rows
from doctor_alarm.objects import definition
from doctor_alarm.objects import membership
from doctor_alarm.objects.definition import Alarm
from doctor_alarm.schemas import sentence
from doctor_alarm import transition

_RULE = 'composite_rule'


def references(*alarms: Alarm) -> frozenset[str]:
    """Return the ids of the alarms that the rules of composites name."""
    return frozenset(
        alarm_id for alarm in alarms if alarm.type == definition.COMPOSITE
        for alarm_id in composite.references(alarm.rule))


def lock(conn: sa.Connection, ids: Iterable[str]) -> dict[str, sa.Row[Any]]:
    """Lock alarms in the order of their ids; return id, type and project."""
    found = conn.execute(
        _lock(rows.dialect_of(conn)),
        {'v': rows.values((i,) for i in sorted(set(ids)))}).all()
    return {row.id: row for row in found}


def check(new: Alarm, locked: Mapping[str, sa.Row[Any]],
          old: Alarm | None = None) -> None:
    """Refuse a rule that refers to what is not there, or not the project's.

    :param locked: what there is, from :func:`lock`
    :param old: the alarm as it was: what it refers to may be gone since
    :raises Invalid: names the part of the rule
    """
    if new.type != definition.COMPOSITE:
        return
    known = (references(old) if old and old.project_id == new.project_id
             else ())
    for alarm_id, path in composite.references(new.rule).items():
        found = locked.get(alarm_id)
        if alarm_id not in known and (
                found is None or found.type == definition.LEAF
                or found.project_id != new.project_id):
            _refuse(path, alarm_id, 'The project has no such alarm.')


def check_order(conn: sa.Connection, alarm_id: str, new: Alarm) -> None:
    """Refuse a rule of an alarm that depends on this very alarm.

    :raises Invalid: names the part of the rule
    """
    named = (composite.references(new.rule)
             if new.type == definition.COMPOSITE else {})
    if named:
        above = membership.above(conn, [alarm_id]) | {alarm_id}
        for wrong in sorted(above & named.keys()):
            _refuse(named[wrong], wrong,
                    'That alarm depends on this one.')


def _refuse(path: str, alarm_id: str, reason: str) -> None:
    raise exception.Invalid(sentence.invalid(
        '%s%s.alarm_id' % (_RULE, path), alarm_id, reason))


def detach(conn: sa.Connection, alarm: Alarm) -> None:
    """Delete the leaves of a locked alarm, if it is a composite."""
    if alarm.type != definition.COMPOSITE:
        return
    ids = [leaf.id for leaf in _leaves(conn, alarm.id)]
    _delete(conn, models.composite_member.c.composite_id, [alarm.id])
    for column in (models.alarm_key.c.alarm_id,
                   models.active_alarm.c.alarm_id, models.alarm.c.id):
        _delete(conn, column, ids)


def follow(conn: sa.Connection, alarm: Alarm, afresh: bool,
           now: int) -> None:
    """Let the leaves of a locked alarm, if it has some, be as it is.

    :param afresh: forget what they have seen
    """
    if alarm.type != definition.COMPOSITE:
        return
    leaves = _leaves(conn, alarm.id)
    values: dict[str, Any] = {'enabled': alarm.enabled}
    if afresh:
        values |= {'state': transition.UNKNOWN, 'active_count': 0,
                   'state_reason': definition.REASON_DEFAULT}
        _delete(conn, models.active_alarm.c.alarm_id,
                [leaf.id for leaf in leaves])
    if leaves:
        conn.execute(sa.update(models.alarm).where(models.alarm.c.id.in_(
            [leaf.id for leaf in leaves])).values(values))
    for leaf in leaves:
        alarm_rows.wait(
            conn, dataclasses.replace(leaf, enabled=alarm.enabled), now)


def note(conn: sa.Connection, ids: Iterable[str]) -> None:
    """Note at locked alarms whether composites depend on them."""
    many = sorted(set(ids))
    if many:
        conn.execute(_note(rows.dialect_of(conn)), {
            'v': rows.values((i,) for i in many)})


def note_all(conn: sa.Connection) -> None:
    """Note it wherever it is not noted yet."""
    member, alarm = models.composite_member, models.alarm
    note(conn, lock(conn, conn.execute(
        sa.select(member.c.alarm_id).distinct().join_from(
            member, alarm, alarm.c.id == member.c.alarm_id,
        ).where(alarm.c.composed.is_(sa.false()))).scalars()))


def _leaves(conn: sa.Connection, alarm_id: str) -> list[Alarm]:
    member, alarm = models.composite_member, models.alarm
    return [definition.from_row(row) for row in conn.execute(
        sa.select(*definition.COLUMNS).join_from(
            member, alarm, alarm.c.id == member.c.alarm_id,
        ).where(member.c.composite_id == alarm_id,
                alarm.c.type == definition.LEAF)).mappings()]


def _delete(conn: sa.Connection, column: sa.Column[str],
            values: list[str]) -> None:
    if values:
        conn.execute(sa.delete(column.table).where(column.in_(values)))


@functools.cache
def _lock(dialect: str) -> sa.Select[Any]:
    alarm = models.alarm
    wanted = rows.table(dialect, {'id': 'id'})
    query = sa.select(
        alarm.c.id, alarm.c.type, alarm.c.project_id,
    ).select_from(update.straight(
        dialect, wanted, alarm, alarm.c.id == wanted.c.id))
    if dialect == 'mysql':
        return query.with_for_update()
    return query.order_by(alarm.c.id).with_for_update(of=alarm)


@functools.cache
def _note(dialect: str) -> sa.Update:
    alarm, member = models.alarm, models.composite_member
    wanted = rows.table(dialect, {'id': 'id'})
    return update.joined(
        dialect, alarm, wanted, alarm.c.id == wanted.c.id,
    ).values({alarm.c.composed: sa.exists().where(
        member.c.alarm_id == alarm.c.id).correlate(alarm)})
