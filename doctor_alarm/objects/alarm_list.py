# SPDX-License-Identifier: Apache-2.0
"""Lists of alarms: which fields they are filtered and sorted by."""
from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import alarm
from doctor_alarm.objects import page as page_mod
from doctor_alarm.objects import query

_C = models.alarm.c

#: From the least to the worst, which the alphabet does not know.
_SEVERITY = {'low': 1, 'moderate': 2, 'critical': 3}


def _severity(value: Any) -> int:
    if not isinstance(value, str) or value not in _SEVERITY:
        raise ValueError('one of %s' % ', '.join(_SEVERITY))
    return _SEVERITY[value]


FIELDS: query.Fields = {
    # What complex queries of Aodh may call them.
    'project': query.Field(_C.project_id, query.text),
    'user': query.Field(_C.user_id, query.text),
    'alarm_id': query.Field(_C.id, query.token),
    'name': query.Field(_C.name, query.text),
    'type': query.Field(_C.type, query.token),
    'description': query.Field(_C.description, query.text),
    'enabled': query.Field(_C.enabled, query.boolean),
    'project_id': query.Field(_C.project_id, query.text),
    'user_id': query.Field(_C.user_id, query.text),
    'state': query.Field(_C.state, query.token),
    'state_reason': query.Field(_C.state_reason, query.text),
    'severity': query.Field(
        sa.case(_SEVERITY, value=_C.severity, else_=0), _severity),
    'repeat_actions': query.Field(_C.repeat_actions, query.boolean),
    'timestamp': query.Field(_C.timestamp, query.time),
    'state_timestamp': query.Field(_C.state_timestamp, query.time),
    'evaluate_timestamp': query.Field(_C.evaluate_timestamp, query.time),
}

NEWEST_FIRST = (('timestamp', query.DESC),)


def find(conn: sa.Connection, condition: sa.ColumnElement[bool] | None,
         page: query.Page) -> page_mod.Found[alarm.Alarm]:
    """Return one page of the alarms that fulfil a condition.

    :param condition: of :func:`query.condition`; ``None``: all alarms
    :raises Invalid: names the marker, the field or the direction
    """
    select = sa.select(*alarm.COLUMNS).where(alarm.VISIBLE)
    if condition is not None:
        select = select.where(condition)
    statement = query.paged(conn, select, FIELDS, _C.id, page)
    return page_mod.read(conn, statement, page, alarm.from_row)
