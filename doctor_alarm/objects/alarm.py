# SPDX-License-Identifier: Apache-2.0
"""Alarm definitions as the API writes and reads them.

Every change is one transaction {alarm, keys, history} and locks the row of
the alarm first, so that it and a transition of the evaluator never overwrite
each other.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import re
from typing import Any
import uuid

from oslo_db import api as oslo_db_api
import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import alarm_key
from doctor_alarm.objects import announcement
from doctor_alarm.objects import change
from doctor_alarm.objects import lane_policy
from doctor_alarm.objects import quota
from doctor_alarm import transition

#: What clients and test suites of Aodh look for.
REASON_DEFAULT = 'Not evaluated yet'
REASON_API = 'Manually set via API'

#: What an id looks like at most; others are not even asked for: they could
#: be equal to one by the rules of the database, or be refused by it.
ID = re.compile(r'[\w.:-]{1,36}', re.ASCII)

#: What is stored as JSON, and the text of most of them: what is empty.
_JSON = {
    'rule': '{}', 'delivery': '{}', 'ok_actions': '[]',
    'alarm_actions': '[]', 'insufficient_data_actions': '[]',
    'time_constraints': '[]'}
#: What the history does not list as changed: it follows from the change.
_DERIVED = frozenset((
    'version', 'active_count', 'timestamp', 'state_timestamp',
    'evaluate_timestamp'))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A definition and its present state; times in microseconds, UTC.

    The storage sets ``id``, times, ``version`` and ``active_count``.
    """

    name: str
    type: str
    rule: Mapping[str, Any]
    project_id: str
    user_id: str = ''
    description: str = ''
    enabled: bool = True
    severity: str = 'low'
    repeat_actions: bool = False
    ok_actions: Sequence[str] = ()
    alarm_actions: Sequence[str] = ()
    insufficient_data_actions: Sequence[str] = ()
    time_constraints: Sequence[Mapping[str, Any]] = ()
    delivery: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    state: str = transition.UNKNOWN
    state_reason: str = REASON_DEFAULT
    state_timestamp: int = 0
    timestamp: int = 0
    evaluate_timestamp: int = 0
    id: str = ''
    version: int = 1
    active_count: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Rows of new alarms in each table."""

    alarms: list[dict[str, Any]]
    keys: list[tuple[str, match.Key]]
    changes: list[dict[str, Any]]
    waiting: list[dict[str, Any]]


FIELDS = tuple(field.name for field in dataclasses.fields(Alarm))
COLUMNS = tuple(models.alarm.c[name] for name in FIELDS)


def from_row(row: sa.RowMapping) -> Alarm:
    """Return the alarm of a row that has :data:`COLUMNS`."""
    return Alarm(**{
        name: json.loads(row[name]) if name in _JSON else row[name]
        for name in FIELDS})


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
    """
    now = db.now()
    new = dataclasses.replace(
        alarm, id=str(uuid.uuid4()), version=1, active_count=0,
        timestamp=now, state_timestamp=now, evaluate_timestamp=now)
    rows = rows_of([new], actor, now)
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
    with db.writer() as conn:
        old = _get_locked(conn, alarm_id)
        check(old)
        for table in (models.alarm_key, models.active_alarm):
            conn.execute(sa.delete(table).where(table.c.alarm_id == old.id))
        conn.execute(sa.delete(models.alarm)
                     .where(models.alarm.c.id == old.id))
        row = change.row(
            alarm_id=old.id, on_behalf_of=old.project_id,
            type=change.Type.DELETION, detail=_detail(old),
            timestamp=now, actor=actor)
        change.insert(conn, [row])
    return row, old.severity


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)
def _insert_retried(db: db_api.Database, alarm: Alarm, rows: Rows,
                    limits: quota.Defaults | None) -> None:
    if limits is not None:
        quota.prepare(db, alarm.project_id, alarm.user_id, limits)
    with db.writer() as conn:
        if limits is not None:
            quota.check(conn, alarm.project_id, alarm.user_id, limits)
        insert(conn, rows)


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
    with db.writer() as conn:
        old = _get_locked(conn, alarm_id)
        edited = edit(old)
        by_hand = change_type is change.Type.STATE_TRANSITION
        state_set = by_hand or edited.state != old.state
        keys_moved = ((edited.project_id, edited.rule)
                      != (old.project_id, old.rule))
        new = dataclasses.replace(
            edited, id=old.id, version=old.version + 1,
            timestamp=old.timestamp if by_hand else now,
            state_timestamp=now if state_set else old.state_timestamp,
            evaluate_timestamp=old.evaluate_timestamp,
            active_count=old.active_count)
        afresh = state_set or keys_moved or new.type != old.type
        if afresh:
            _start_afresh(conn, old.id)
            new = dataclasses.replace(new, active_count=0)
        _wait(conn, new, afresh or new.enabled != old.enabled, now)
        if keys_moved:
            alarm_key.delete(conn, new.id)
            alarm_key.insert(conn, _keys([new]))
        conn.execute(sa.update(models.alarm)
                     .where(models.alarm.c.id == old.id)
                     .values(**_to_row(new)))
        if new.delivery != old.delivery:
            lane_policy.change(
                conn, db.dialect, new.id, _to_row(new)['delivery'])
        detail = _difference(old, new, always=by_hand)
        row = change.row(
            alarm_id=new.id, on_behalf_of=new.project_id, type=change_type,
            detail=detail, timestamp=now, actor=actor) if detail else None
        change.insert(conn, [row] if row else [])
    return new, row


def _get(conn: sa.Connection, query: sa.Select[Any], alarm_id: str,
         ) -> Alarm:
    row = None
    if ID.fullmatch(alarm_id):
        row = conn.execute(
            query.where(models.alarm.c.id == alarm_id)).mappings().first()
    if row is None:
        raise exception.AlarmNotFound(id=alarm_id)
    return from_row(row)


def _get_locked(conn: sa.Connection, alarm_id: str) -> Alarm:
    return _get(conn, sa.select(*COLUMNS).with_for_update(), alarm_id)


def rows_of(alarms: Sequence[Alarm], actor: change.Actor,
            now: int) -> Rows:
    """Return what the database gets of new alarms.

    :param alarms: with ids and times
    """
    return Rows(
        alarms=[_to_row(alarm) for alarm in alarms], keys=_keys(alarms),
        changes=[change.row(
            alarm_id=alarm.id, on_behalf_of=alarm.project_id,
            type=change.Type.CREATION, detail=_detail(alarm),
            timestamp=now, actor=actor) for alarm in alarms],
        waiting=[_waiting(alarm, now) for alarm in alarms if _waits(alarm)])


def insert(conn: sa.Connection, rows: Rows) -> None:
    """Insert new alarms, a statement for each table."""
    conn.execute(sa.insert(models.alarm), rows.alarms)
    alarm_key.insert(conn, rows.keys)
    change.insert(conn, rows.changes)
    if rows.waiting:
        conn.execute(sa.insert(models.active_alarm), rows.waiting)


def _to_row(alarm: Alarm) -> dict[str, Any]:
    values = {name: getattr(alarm, name) for name in FIELDS}
    for name, empty in _JSON.items():
        values[name] = json.dumps(values[name]) if values[name] else empty
    return values


def _keys(alarms: Iterable[Alarm]) -> list[tuple[str, match.Key]]:
    return [(alarm.id, key) for alarm in alarms
            for key in match.keys_of_alarm(alarm.project_id, alarm.rule)]


def _waits(alarm: Alarm) -> bool:
    """Whether the alarm waits for an event without one that begins it."""
    return bool(alarm.enabled and alarm.rule.get('timeout')
                and not alarm.rule.get('after'))


def _waiting(alarm: Alarm, now: int) -> dict[str, Any]:
    return active_alarm.waiting(
        alarm.id, alarm.project_id, now + alarm.rule['timeout'] * 1_000_000,
        now)


def _wait(conn: sa.Connection, alarm: Alarm, anew: bool, now: int) -> None:
    """Let a changed alarm wait from now on, or for nothing."""
    if anew and _waits(alarm):
        active_alarm.wait(conn, _waiting(alarm, now))
    elif anew and not alarm.enabled:
        active_alarm.wait_no_more(conn, alarm.id)


def _start_afresh(conn: sa.Connection, alarm_id: str) -> None:
    conn.execute(sa.delete(models.active_alarm)
                 .where(models.active_alarm.c.alarm_id == alarm_id))


def _detail(alarm: Alarm) -> dict[str, Any]:
    """Return what the history tells about an alarm as a whole."""
    found = {'alarm_id': alarm.id}
    for name in FIELDS:
        if name not in _DERIVED and name != 'id':
            found[name] = getattr(alarm, name)
    return found


def _difference(old: Alarm, new: Alarm, always: bool) -> dict[str, Any]:
    if always:
        return {'state': new.state, 'state_reason': new.state_reason}
    before, after = _detail(old), _detail(new)
    return {name: value for name, value in after.items()
            if _plain(value) != _plain(before[name])}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
