# SPDX-License-Identifier: Apache-2.0
"""Deliveries as the API shows them."""
from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import page as page_mod
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
    dropped_at: int | None
    replayed_at: int | None


_COLUMNS = tuple(
    models.lane.c.action if field.name == 'action' else _C[field.name]
    for field in dataclasses.fields(Listed))

FIELDS: query.Fields = {
    'created_at': query.Field(_C.created_at, query.time),
    'sequence': query.Field(_C.sequence, int),
}

NEWEST_FIRST = (('created_at', query.DESC), ('sequence', query.DESC))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Only those that have these values; empty: any."""

    alarm_id: str | None = None
    project_id: str | None = None
    status: str | None = None


def find(conn: sa.Connection, which: Which,
         page: query.Page | None = None) -> page_mod.Found[Listed]:
    """Return deliveries, newest first by default.

    They outlive their alarm.

    :raises Invalid: names what is wrong with the page
    """
    if not _is_token(which.alarm_id or ''):
        return page_mod.Found()
    page = page or query.Page(sort=NEWEST_FIRST)
    select = _select()
    for field in dataclasses.fields(which):
        value = getattr(which, field.name)
        if value is not None:
            select = select.where(_column(field.name, value) == value)
    statement = query.paged(conn, select, FIELDS, _C.id, page)
    return page_mod.read(conn, statement, page, lambda row: Listed(**row))


def get(conn: sa.Connection, id_: str,
        project_id: str | None = None) -> Listed:
    """Return one delivery.

    :param project_id: only if it is of this project
    :raises NotFound: there is none
    """
    found = None
    if _is_token(id_):
        found = conn.execute(
            _select().where(_C.id == id_)).mappings().first()
    if found is None or project_id not in (None, found['project_id']):
        raise exception.NotFound(what='Delivery', id=id_)
    return Listed(**found)


def _select() -> sa.Select[Any]:
    return sa.select(*_COLUMNS).join(
        models.lane, models.lane.c.id == _C.lane_id)


def _column(name: str, value: str) -> sa.ColumnElement[str]:
    # Those that were given up are few, and have an index.
    if name == 'status' and value in delivery_obj.GIVEN_UP:
        return _C.given_up
    return _C[name]


def _is_token(text: str) -> bool:
    return text.isascii() and '\0' not in text
