# SPDX-License-Identifier: Apache-2.0
"""The evaluator's view of alarms: look up by key, lock, store the state."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import functools
import json
import operator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from doctor_alarm import constraint
from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.objects import alarm_key
from doctor_alarm.objects import definition
from doctor_alarm import transition

#: Rules that are kept compiled: those of a few batches. More would help those
#: alone who have no more alarms than that, and cost memory.
COMPILED = 2048
#: State that events lead to -> column that counts how often.
_COUNTERS = {transition.OK: 'led_to_ok', transition.ALARM: 'led_to_alarm'}


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """An enabled alarm that shares a key with an event."""

    id: str
    project_id: str
    version: int
    rule_text: str
    constraints: str
    composed: bool = False


@dataclasses.dataclass(slots=True)
class Locked:
    """An alarm that this transaction has to itself; ``state`` moves on.

    ``composed``: composites depend on it.
    ``pin``: the resource that its rule is about, if it is about one.
    ``led_to``: how often which state was recorded.
    """

    id: str
    name: str
    severity: str
    project_id: str
    version: int
    rule_text: str
    constraints: str
    delivery: str
    actions: Mapping[str, list[str]]
    state: transition.AlarmState
    pin: str = ''
    reason: str = ''
    changed: bool = False
    led_to: dict[str, int] = dataclasses.field(default_factory=dict)
    kind: str = definition.EVENT
    composed: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether nobody but the evaluator sees it."""
        return self.kind == definition.LEAF

    def count(self, state: str) -> None:
        """Note that an event led to a state."""
        self.led_to[state] = self.led_to.get(state, 0) + 1
        self.changed = True

    def resource_of(self, event: event_mod.Event) -> str:
        """Return the resource whose state an event may change."""
        return '' if self.state.whole else event.resource_id


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
    if not yielding:
        return []
    marked = []
    dialect, keys = rows.dialect_of(conn), sorted(yielding)
    for number, alarm_id, *rest in conn.execute(_look_up(dialect), {
            'v': keys if dialect == 'postgresql'
            else rows.values((key,) for key in keys)}):
        if alarm_id == alarm_key.MARK:
            marked.append(number)
        elif rest[0] is not None:
            candidate = Candidate(alarm_id, *rest)
            for event in yielding[number]:
                found[id(event)][alarm_id] = candidate
    return marked


@functools.cache
def _look_up(dialect: str) -> sa.Select[Any]:
    key, alarm = models.alarm_key, models.alarm
    shown = sa.and_(
        alarm.c.id == key.c.alarm_id, alarm.c.enabled.is_(sa.true()),
        alarm.c.type != definition.COMPOSITE)
    query = sa.select(
        key.c.key, key.c.alarm_id, alarm.c.project_id, alarm.c.version,
        alarm.c.rule, alarm.c.time_constraints, alarm.c.composed)
    if dialect == 'postgresql':
        # It knows how many there are in an array; of a list in JSON it
        # thinks that a hundred are, and rather reads a table.
        keys = sa.bindparam('v', type_=postgresql.ARRAY(sa.BigInteger))
        return query.select_from(key.outerjoin(alarm, shown)).where(
            key.c.key == sa.any_(sa.cast(keys, keys.type)))
    wanted = rows.table(dialect, {'wanted': 'int'})
    return query.select_from(update.straight(
        dialect, wanted, key, key.c.key == wanted.c.wanted,
    ).outerjoin(alarm, shown))


def lock(conn: sa.Connection, ids: Iterable[str], clock: str | None = None,
         ) -> tuple[dict[str, Locked], int | None]:
    """Lock enabled alarms, in the order of their ids, and return them.

    This lock decides every race with other evaluators and the API. Those that
    are gone or disabled are left out.

    :param clock: an expression, see ``Database.clock``
    :returns: alarms by id, and the value of the expression
    """
    found = conn.execute(
        _lock(rows.dialect_of(conn), clock),
        {'v': rows.values((i,) for i in sorted(set(ids)))}).all()
    return ({row[0]: _locked(row) for row in found if row.enabled},
            int(found[0].clock) if clock and found else None)


@functools.cache
def _lock(dialect: str, clock: str | None) -> sa.Select[Any]:
    alarm = models.alarm
    wanted = rows.table(dialect, {'id': 'id'})
    query = sa.select(
        alarm.c.id, alarm.c.name, alarm.c.severity, alarm.c.project_id,
        alarm.c.version, alarm.c.rule, alarm.c.time_constraints,
        alarm.c.delivery, alarm.c.ok_actions, alarm.c.alarm_actions,
        alarm.c.insufficient_data_actions,
        alarm.c.state, alarm.c.active_count, alarm.c.repeat_actions,
        alarm.c.type, alarm.c.composed, alarm.c.enabled,
    ).select_from(update.straight(
        dialect, wanted, alarm, alarm.c.id == wanted.c.id))
    if clock:
        query = query.add_columns(sa.literal_column(clock).label('clock'))
    if dialect == 'mysql':
        return query.with_for_update()
    return query.order_by(alarm.c.id).with_for_update(of=alarm)


def store(out: batch.Batch, alarms: Iterable[Locked], now: int) -> None:
    """Store the states of locked alarms."""
    values = [
        (a.id, a.state.state, a.reason, now, a.state.active_count,
         *(a.led_to.get(state, 0) for state in _COUNTERS))
        for a in sorted(alarms, key=operator.attrgetter('id')) if a.changed]
    if values:
        out.update(_STORE, values)


def _store(dialect: str, new: Any) -> sa.Update:
    alarm = models.alarm
    # An empty reason: only the number of resources in alarm changed.
    told = new.c.state_reason != sa.literal_column("''")
    return update.joined(
        dialect, alarm, new, alarm.c.id == new.c.id,
    ).values({
        alarm.c.state: new.c.state,
        alarm.c.state_reason: sa.case(
            (told, new.c.state_reason), else_=alarm.c.state_reason),
        alarm.c.state_timestamp: sa.case(
            (told, new.c.state_timestamp), else_=alarm.c.state_timestamp),
        alarm.c.evaluate_timestamp: new.c.state_timestamp,
        alarm.c.active_count: new.c.active_count,
        **{alarm.c[name]: alarm.c[name] + getattr(new.c, name)
           for name in _COUNTERS.values()}})


_STORE = batch.Update({
    'id': 'id', 'state': 'id', 'state_reason': 'text',
    'state_timestamp': 'int', 'active_count': 'int',
    **dict.fromkeys(_COUNTERS.values(), 'int')}, _store)


def _locked(row: Any) -> Locked:
    (alarm_id, name, severity, project_id, version, rule_text, constraints,
     delivery, ok, alarm, unknown, state, active_count, repeat_actions,
     kind, composed, *_) = row
    rule = _BROKEN if kind == definition.COMPOSITE else _rule(rule_text)
    return Locked(
        id=alarm_id, name=name, severity=severity, project_id=project_id,
        version=version, rule_text=rule_text, constraints=constraints,
        delivery=delivery, actions={
            transition.OK: _loads(ok), transition.ALARM: _loads(alarm),
            transition.UNKNOWN: _loads(unknown)},
        state=transition.AlarmState(
            state=state, active_count=active_count,
            has_clear=rule.clears is not None,
            repeat_actions=repeat_actions, timeout=rule.timeout * 1_000_000,
            whole=rule.timeout > 0 and rule.starts is None),
        pin=rule.clears and rule.clears.pin or '', kind=kind,
        composed=bool(composed))


def _loads(actions: str) -> list[str]:
    found: list[str] = [] if actions == '[]' else json.loads(actions)
    return found


def _rule(rule_text: str) -> match.Rule:
    try:
        return compiled(rule_text).rule
    except exception.InvalidRule:
        return _BROKEN


_BROKEN = match.Rule(None, None)


class Compiled:
    """A stored rule that is ready to be matched.

    ``rule``: with :meth:`match.Rule.verdict`.
    """

    __slots__ = ('_queries', '_text', 'rule')

    def __init__(self, text: str) -> None:
        self._text = text
        self._queries: dict[str, str] = {}
        try:
            self.rule = match.compile_rule(json.loads(text))
        except ValueError:
            raise exception.InvalidRule(reason='it is not JSON') from None

    @property
    def event_type(self) -> str:
        """The type that the rule itself asks for."""
        found: str = json.loads(self._text).get('event_type') or '*'
        return found

    def query(self, verdict: str) -> str:
        """Return the conditions behind a verdict as JSON, for a reader."""
        if verdict not in self._queries:
            rule = json.loads(self._text)
            if verdict == match.CLEAR:
                rule = rule.get('clear', rule)
            elif verdict == match.START:
                rule = rule['after']
            self._queries[verdict] = json.dumps(rule.get('query') or [])
        return self._queries[verdict]


@functools.lru_cache(maxsize=COMPILED)
def compiled(rule_text: str) -> Compiled:
    """Compile a stored rule; its text is the key, so none is out of date.

    :raises InvalidRule: somebody stored what the API would refuse
    """
    return Compiled(rule_text)


def in_time(constraints: str, moment: datetime.datetime) -> bool:
    """Whether stored time constraints permit a moment.

    :raises InvalidRule: somebody stored what the API would refuse
    """
    if constraints == '[]':
        return True
    try:
        return constraint.permits(_constraints(constraints), moment)
    except (ValueError, TypeError, LookupError, AttributeError,
            ArithmeticError, OSError) as exc:
        raise exception.InvalidRule(
            reason='time constraints: %s' % exc) from exc


@functools.lru_cache(maxsize=COMPILED)
def _constraints(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    return found
