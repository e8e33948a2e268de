# SPDX-License-Identifier: Apache-2.0
"""Alarm definitions as the API writes and reads them.

Every change is one transaction {alarm, keys, history} and locks the row of
the alarm first, so that it and a transition of the evaluator never overwrite
each other.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
from typing import Any
import uuid

from oslo_db import api as oslo_db_api
import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import alarm_key
from doctor_alarm.objects import alarm_rows
from doctor_alarm.objects import announcement
from doctor_alarm.objects import change
from doctor_alarm.objects import composite
from doctor_alarm.objects import definition
from doctor_alarm.objects import lane_policy
from doctor_alarm.objects import quota

Alarm = definition.Alarm
COLUMNS = definition.COLUMNS
VISIBLE = definition.VISIBLE
REASON_DEFAULT = definition.REASON_DEFAULT
REASON_API = definition.REASON_API
from_row = definition.from_row


def get(conn: sa.Connection, alarm_id: str) -> Alarm:
    """Return an alarm.

    :raises AlarmNotFound: there is none with this id
    """
    return _get(conn, sa.select(*COLUMNS), alarm_id)


def create(db: db_api.Database, alarm: Alarm,
           actor: change.Actor = change.SERVICE,
           limits: quota.Defaults | None = None,
           tell: announcement.Tell = announcement.nobody) -> Alarm:
    """Store a new alarm; in force for the next event.

    :param limits: quotas of who has no other; ``None``: not counted
    :param tell: is called after the commit, as in all of these
    :raises OverQuota: its project or its user has enough of them
    :raises Invalid: its rule refers to what is not there
    """
    now = db.now()
    new = dataclasses.replace(
        alarm, id=str(uuid.uuid4()), version=1, active_count=0,
        timestamp=now, state_timestamp=now, evaluate_timestamp=now)
    rows = alarm_rows.rows_of([new], actor, now)
    _insert_retried(db, new, rows, limits)
    tell(rows.changes[0], new.severity)
    return new


def update(db: db_api.Database, alarm_id: str,
           edit: Callable[[Alarm], Alarm],
           actor: change.Actor = change.SERVICE,
           tell: announcement.Tell = announcement.nobody) -> Alarm:
    """Replace a definition; return it as it is now.

    :param edit: gets the alarm as it is under the lock, returns it as it
        shall be, or raises; without side effects, it may be called again
    :raises AlarmNotFound: there is none with this id
    """
    return _updated(db, alarm_id, edit, actor, change.Type.RULE_CHANGE,
                    tell)


def set_state(db: db_api.Database, alarm_id: str, state: str,
              actor: change.Actor = change.SERVICE,
              check: Callable[[Alarm], None] = lambda alarm: None,
              tell: announcement.Tell = announcement.nobody) -> Alarm:
    """Set the state by hand: the alarm starts afresh; no action fires.

    :param check: gets the alarm as it is under the lock, may raise
    :raises AlarmNotFound: there is none with this id
    """
    def edit(alarm: Alarm) -> Alarm:
        check(alarm)
        return dataclasses.replace(
            alarm, state=state, state_reason=REASON_API)

    return _updated(db, alarm_id, edit, actor, change.Type.STATE_TRANSITION,
                    tell)


def delete(db: db_api.Database, alarm_id: str,
           actor: change.Actor = change.SERVICE,
           check: Callable[[Alarm], None] = lambda alarm: None,
           tell: announcement.Tell = announcement.nobody) -> None:
    """Delete a definition; what already fired is still delivered.

    Lanes and deliveries outlive the alarm until they are drained.

    :param check: gets the alarm as it is under the lock, may raise
    :raises AlarmNotFound: there is none with this id
    """
    tell(*_delete(db, alarm_id, actor, check))


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)
def _delete(db: db_api.Database, alarm_id: str, actor: change.Actor,
            check: Callable[[Alarm], None]) -> tuple[dict[str, Any], str]:
    now = db.now()
    with _locked(db, alarm_id) as (conn, old, _same, named):
        check(old)
        composite.detach(conn, old)
        for table in (models.alarm_key, models.active_alarm):
            conn.execute(sa.delete(table).where(table.c.alarm_id == old.id))
        conn.execute(sa.delete(models.alarm)
                     .where(models.alarm.c.id == old.id))
        composite.note(conn, named)
        row = change.row(
            alarm_id=old.id, on_behalf_of=old.project_id,
            type=change.Type.DELETION, detail=definition.detail(old),
            timestamp=now, actor=actor)
        change.insert(conn, [row])
    return row, old.severity


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)
def _insert_retried(db: db_api.Database, alarm: Alarm,
                    rows: alarm_rows.Rows,
                    limits: quota.Defaults | None) -> None:
    if limits is not None:
        quota.prepare(db, alarm.project_id, alarm.user_id, limits)
    with db.writer() as conn:
        if limits is not None:
            quota.check(conn, alarm.project_id, alarm.user_id, limits)
        named = composite.references(alarm)
        if named:
            composite.check(alarm, composite.lock(conn, named))
        alarm_rows.insert(conn, rows)
        composite.note(conn, named)


def _updated(db: db_api.Database, alarm_id: str,
             edit: Callable[[Alarm], Alarm], actor: change.Actor,
             change_type: change.Type, tell: announcement.Tell) -> Alarm:
    new, row = _update(db, alarm_id, edit, actor, change_type)
    if row is not None:
        tell(row, new.severity)
    return new


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)
def _update(db: db_api.Database, alarm_id: str,
            edit: Callable[[Alarm], Alarm], actor: change.Actor,
            change_type: change.Type,
            ) -> tuple[Alarm, dict[str, Any] | None]:
    now = db.now()
    with _locked(db, alarm_id, edit) as (conn, old, edited, named):
        by_hand = change_type is change.Type.STATE_TRANSITION
        state_set = by_hand or edited.state != old.state
        new = dataclasses.replace(
            edited, id=old.id, version=old.version + 1,
            timestamp=old.timestamp if by_hand else now,
            state_timestamp=now if state_set else old.state_timestamp,
            evaluate_timestamp=old.evaluate_timestamp,
            active_count=old.active_count, composed=old.composed)
        new = _follow(conn, old, new, state_set, now)
        conn.execute(sa.update(models.alarm)
                     .where(models.alarm.c.id == old.id)
                     .values(**definition.to_row(new)))
        composite.note(conn, named)
        if new.delivery != old.delivery:
            lane_policy.change(
                conn, db.dialect, new.id, definition.to_row(new)['delivery'])
        detail = _difference(old, new, always=by_hand)
        row = change.row(
            alarm_id=new.id, on_behalf_of=new.project_id, type=change_type,
            detail=detail, timestamp=now, actor=actor) if detail else None
        change.insert(conn, [row] if row else [])
    return new, row


def _follow(conn: sa.Connection, old: Alarm, new: Alarm, state_set: bool,
            now: int) -> Alarm:
    """Change what is stored beside a locked alarm; return it as it is then.
    """
    ruled = ((new.project_id, new.type, new.rule)
             != (old.project_id, old.type, old.rule))
    switched = new.enabled != old.enabled
    afresh = state_set or ruled
    if afresh:
        conn.execute(sa.delete(models.active_alarm)
                     .where(models.active_alarm.c.alarm_id == old.id))
        new = dataclasses.replace(new, active_count=0)
    if ruled:
        composite.detach(conn, old)
        alarm_key.delete(conn, new.id)
        alarm_rows.insert(conn, alarm_rows.parts_of([new], now))
    elif afresh or switched:
        composite.follow(conn, new, afresh, now)
    if switched or afresh and not ruled:
        alarm_rows.wait(conn, new, now)
    return new


@contextlib.contextmanager
def _locked(db: db_api.Database, alarm_id: str,
            edit: Callable[[Alarm], Alarm] = lambda alarm: alarm,
            ) -> Iterator[tuple[sa.Connection, Alarm, Alarm, frozenset[str]]]:
    """Give an alarm that is locked, as it is, and as it shall be.

    What its rule refers to, before and after, is locked too, and given: all
    of them in the order of their ids, as the evaluator does it. Which they
    are is only known when the alarm is locked: then it begins anew.

    :raises AlarmNotFound: there is none with this id
    :raises Invalid: the rule refers to what is not there, or to itself
    """
    named: frozenset[str] = frozenset()
    while True:
        with db.writer() as conn:
            found = composite.lock(conn, named | {alarm_id}) if named else {}
            old = _get_locked(conn, alarm_id)
            new = edit(old)
            needed = composite.references(old, new)
            if needed <= named:
                if needed:
                    composite.check(new, found, old)
                    composite.check_order(conn, old.id, new)
                yield conn, old, new, named
                return
        named |= needed


def _get(conn: sa.Connection, query: sa.Select[Any], alarm_id: str,
         ) -> Alarm:
    row = None
    if definition.ID.fullmatch(alarm_id):
        row = conn.execute(query.where(
            models.alarm.c.id == alarm_id, VISIBLE)).mappings().first()
    if row is None:
        raise exception.AlarmNotFound(id=alarm_id)
    return from_row(row)


def _get_locked(conn: sa.Connection, alarm_id: str) -> Alarm:
    return _get(conn, sa.select(*COLUMNS).with_for_update(), alarm_id)


def _difference(old: Alarm, new: Alarm, always: bool) -> dict[str, Any]:
    if always:
        return {'state': new.state, 'state_reason': new.state_reason}
    before, after = definition.detail(old), definition.detail(new)
    return {name: value for name, value in after.items()
            if _plain(value) != _plain(before[name])}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
