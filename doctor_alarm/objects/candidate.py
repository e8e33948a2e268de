# SPDX-License-Identifier: Apache-2.0
"""The evaluator's view of alarms: look up by key, lock, store the state."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import operator
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.objects import alarm_key
from doctor_alarm import transition


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """An enabled alarm that shares a key with an event."""

    id: str
    project_id: str
    version: int
    rule_text: str


@dataclasses.dataclass(slots=True)
class Locked:
    """An alarm that this transaction has to itself; ``state`` moves on."""

    id: str
    name: str
    severity: str
    project_id: str
    version: int
    rule_text: str
    actions: Mapping[str, list[str]]
    state: transition.AlarmState
    reason: str = ''
    changed: bool = False


def of_events(conn: sa.Connection, events: Sequence[event_mod.Event],
              ) -> list[list[Candidate]]:
    """Return for each event the enabled alarms that it may hit, once each.

    Takes no locks.
    """
    yielding: dict[int, list[event_mod.Event]] = {}
    for event in events:
        for key in match.keys_of_event(event):
            yielding.setdefault(key, []).append(event)
    found: dict[int, dict[str, Candidate]] = {id(e): {} for e in events}
    marked = _collect(conn, yielding, found)
    if marked:
        _collect(conn, alarm_key.refined(conn, marked, yielding), found)
    return [list(found[id(event)].values()) for event in events]


def _collect(conn: sa.Connection,
             yielding: Mapping[int, list[event_mod.Event]],
             found: Mapping[int, dict[str, Candidate]]) -> list[int]:
    """Add the alarms of keys to their events; return keys with a mark."""
    key, alarm = models.alarm_key, models.alarm
    marked = []
    ordered = sorted(yielding)
    for start in range(0, len(ordered), alarm_key.IN_LIST):
        query = sa.select(
            key.c.key, key.c.alarm_id, alarm.c.project_id, alarm.c.version,
            alarm.c.rule,
        ).select_from(key.outerjoin(alarm, sa.and_(
            alarm.c.id == key.c.alarm_id, alarm.c.enabled.is_(sa.true()),
            alarm.c.type == 'event'))
        ).where(key.c.key.in_(ordered[start:start + alarm_key.IN_LIST]))
        for number, alarm_id, *rest in conn.execute(query):
            if alarm_id == alarm_key.MARK:
                marked.append(number)
            elif rest[0] is not None:
                candidate = Candidate(alarm_id, *rest)
                for event in yielding[number]:
                    found[id(event)][alarm_id] = candidate
    return marked


def lock(conn: sa.Connection, ids: Iterable[str]) -> dict[str, Locked]:
    """Lock enabled alarms, in the order of their ids, and return them.

    This lock decides every race with other evaluators and the API. Those that
    are gone or disabled are left out.
    """
    alarm = models.alarm
    ordered = sorted(set(ids))
    found: dict[str, Locked] = {}
    for start in range(0, len(ordered), alarm_key.IN_LIST):
        query = sa.select(
            alarm.c.id, alarm.c.name, alarm.c.severity, alarm.c.project_id,
            alarm.c.version, alarm.c.rule, alarm.c.ok_actions,
            alarm.c.alarm_actions, alarm.c.insufficient_data_actions,
            alarm.c.state, alarm.c.active_count, alarm.c.repeat_actions,
            alarm.c.enabled,
        ).where(
            alarm.c.id.in_(ordered[start:start + alarm_key.IN_LIST])
        ).order_by(alarm.c.id).with_for_update()
        for row in conn.execute(query):
            if row.enabled:
                found[row.id] = _locked(row)
    return found


def store(conn: sa.Connection, dialect: str, alarms: Iterable[Locked],
          now: int) -> None:
    """Store the states of locked alarms, in one statement."""
    values = [
        (a.id, a.state.state, a.reason, now, a.state.active_count)
        for a in sorted(alarms, key=operator.attrgetter('id')) if a.changed]
    if values:
        conn.execute(_store(dialect), {'v': rows.values(values)})


@functools.cache
def _store(dialect: str) -> sa.Update:
    new = rows.table(dialect, {
        'id': 'id', 'state': 'id', 'state_reason': 'text',
        'state_timestamp': 'int', 'active_count': 'int'})
    alarm = models.alarm
    # An empty reason: only the number of resources in alarm changed.
    told = new.c.state_reason != ''
    return update.joined(
        dialect, alarm, new, alarm.c.id == new.c.id,
    ).values({
        alarm.c.state: new.c.state,
        alarm.c.state_reason: sa.case(
            (told, new.c.state_reason), else_=alarm.c.state_reason),
        alarm.c.state_timestamp: sa.case(
            (told, new.c.state_timestamp), else_=alarm.c.state_timestamp),
        alarm.c.evaluate_timestamp: new.c.state_timestamp,
        alarm.c.active_count: new.c.active_count})


def _locked(row: Any) -> Locked:
    return Locked(
        id=row.id, name=row.name, severity=row.severity,
        project_id=row.project_id, version=row.version, rule_text=row.rule,
        actions={
            transition.OK: json.loads(row.ok_actions),
            transition.ALARM: json.loads(row.alarm_actions),
            transition.UNKNOWN: json.loads(row.insufficient_data_actions)},
        state=transition.AlarmState(
            state=row.state, active_count=row.active_count,
            has_clear=_has_clear(row.rule),
            repeat_actions=row.repeat_actions))


def _has_clear(rule_text: str) -> bool:
    try:
        return compiled(rule_text).clears is not None
    except exception.InvalidRule:
        return False


@functools.lru_cache(maxsize=1024)
def compiled(rule_text: str) -> match.Rule:
    """Compile a stored rule; its text is the key, so none is out of date.

    :raises InvalidRule: somebody stored what the API would refuse
    """
    try:
        rule = json.loads(rule_text)
    except ValueError:
        raise exception.InvalidRule(reason='it is not JSON') from None
    return match.compile_rule(rule)
