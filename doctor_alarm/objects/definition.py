# SPDX-License-Identifier: Apache-2.0
"""Alarms and their rows."""
from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import re
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import transition

#: What clients and test suites of Aodh look for.
REASON_DEFAULT = 'Not evaluated yet'
REASON_API = 'Manually set via API'

#: Types of rows. A leaf is a condition of a composite: an alarm without name
#: and actions, which nobody but the evaluator sees.
EVENT = 'event'
COMPOSITE = 'composite'
LEAF = 'leaf'
#: Those that there are for anybody else.
VISIBLE: sa.ColumnElement[bool] = models.alarm.c.type != LEAF

#: What an id looks like at most; others are not even asked for: they could
#: be equal to one by the rules of the database, or be refused by it.
ID = re.compile(r'[\w.:-]{1,36}', re.ASCII)

#: What is stored as JSON, and the text of most of them: what is empty.
_JSON = {
    'rule': '{}', 'delivery': '{}', 'ok_actions': '[]',
    'alarm_actions': '[]', 'insufficient_data_actions': '[]',
    'time_constraints': '[]'}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A definition and its present state; times in microseconds, UTC.

    The storage sets ``id``, times, ``version``, ``active_count`` and
    ``composed``.
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
    composed: bool = False


FIELDS = tuple(field.name for field in dataclasses.fields(Alarm))
COLUMNS = tuple(models.alarm.c[name] for name in FIELDS)
#: What the history does not list as changed: it follows from the change.
_DERIVED = frozenset((
    'id', 'version', 'active_count', 'timestamp', 'state_timestamp',
    'evaluate_timestamp', 'composed'))


def from_row(row: sa.RowMapping) -> Alarm:
    """Return the alarm of a row that has :data:`COLUMNS`."""
    return Alarm(**{
        name: json.loads(row[name]) if name in _JSON else row[name]
        for name in FIELDS})


def to_row(alarm: Alarm) -> dict[str, Any]:
    """Return the row of an alarm."""
    values = {name: getattr(alarm, name) for name in FIELDS}
    for name, empty in _JSON.items():
        values[name] = json.dumps(values[name]) if values[name] else empty
    return values


def detail(alarm: Alarm) -> dict[str, Any]:
    """Return what the history tells about an alarm as a whole."""
    return {'alarm_id': alarm.id, **{
        name: getattr(alarm, name) for name in FIELDS
        if name not in _DERIVED}}
