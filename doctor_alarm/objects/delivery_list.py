# SPDX-License-Identifier: Apache-2.0
"""Deliveries as the API shows them."""
from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import query

_C = models.delivery.c


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A delivery and its action; times in microseconds, UTC."""

    id: str
    alarm_id: str
    project_id: str
    action: str
    sequence: int
    status: str
    attempts: int
    last_error: str | None
    previous: str
    current: str
    reason: str
    resource_id: str
    message_id: str
    created_at: int
    notified_at: int
    transformed_at: int
    evaluated_at: int
    committed_at: int | None
    fired_at: int | None
    received_at: int | None


_COLUMNS = tuple(
    models.lane.c.action if field.name == 'action' else _C[field.name]
    for field in dataclasses.fields(Listed))

FIELDS: query.Fields = {
    'created_at': query.Field(_C.created_at, query.time),
    'sequence': query.Field(_C.sequence, int),
}

NEWEST_FIRST = (('created_at', query.DESC), ('sequence', query.DESC))


def of_alarm(conn: sa.Connection, alarm_id: str,
             project_id: str | None = None,
             page: query.Page | None = None) -> list[Listed]:
    """Return the deliveries of one alarm, newest first by default.

    They outlive the alarm.

    :param project_id: only those of this project
    :raises Invalid: names what is wrong with the page
    """
    if not alarm_id.isascii() or '\0' in alarm_id:
        return []
    select = sa.select(*_COLUMNS).join(
        models.lane, models.lane.c.id == _C.lane_id
    ).where(_C.alarm_id == alarm_id)
    if project_id is not None:
        select = select.where(_C.project_id == project_id)
    statement = query.paged(
        conn, select, FIELDS, _C.id,
        page or query.Page(sort=NEWEST_FIRST))
    return [Listed(**found) for found in conn.execute(statement).mappings()]
