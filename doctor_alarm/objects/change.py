# SPDX-License-Identifier: Apache-2.0
"""History of the alarms: who or what changed which."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import enum
import json
from typing import Any
import uuid

import sqlalchemy as sa

from doctor_alarm import action
from doctor_alarm.db import models
from doctor_alarm.objects import page as page_mod
from doctor_alarm.objects import query


class Type(enum.StrEnum):
    """Kinds of changes, as Aodh names them."""

    CREATION = 'creation'
    RULE_CHANGE = 'rule change'
    STATE_TRANSITION = 'state transition'
    DELETION = 'deletion'
    #: An event older than the state of its resource: seen, not applied.
    STALE_EVENT = 'stale event'
    #: One of so many in two seconds that changed nothing that the state of
    #: its resource could not remember it.
    CONFIRMING_EVENT = 'confirming event'
    #: Whatever happened to a leaf of a composite: for the evaluator alone.
    LEAF = 'leaf'


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change; empty: the service itself."""

    user_id: str = ''
    project_id: str = ''


SERVICE = Actor()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A record of the history. ``timestamp``: microseconds, UTC."""

    event_id: str
    alarm_id: str
    project_id: str
    user_id: str
    on_behalf_of: str
    type: str
    detail: str
    timestamp: int


_ACTIONS = ('ok_actions', 'alarm_actions', 'insufficient_data_actions')


def row(*, alarm_id: str, on_behalf_of: str, type: Type,
        detail: Mapping[str, Any], timestamp: int, actor: Actor,
        message_id: str | None = None) -> dict[str, Any]:
    """Return a row of the table; credentials in action URLs stay out."""
    shown = dict(detail)
    for name in _ACTIONS:
        if name in shown:
            shown[name] = [action.masked(url) for url in shown[name]]
    return {
        'event_id': str(uuid.uuid4()),
        'alarm_id': alarm_id,
        'project_id': actor.project_id,
        'user_id': actor.user_id,
        'on_behalf_of': on_behalf_of,
        'type': str(type),
        'detail': json.dumps(shown),
        'timestamp': timestamp,
        'message_id': message_id,
    }


def insert(conn: sa.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the rows of one transaction in one statement."""
    many = list(rows)
    if many:
        conn.execute(sa.insert(models.change), many)


_C = models.change.c
FIELDS: query.Fields = {
    # What complex queries of Aodh may call them.
    'project': query.Field(_C.project_id, query.text),
    'user': query.Field(_C.user_id, query.text),
    'event_id': query.Field(_C.event_id, query.token),
    'alarm_id': query.Field(_C.alarm_id, query.token),
    'type': query.Field(_C.type, query.token),
    'project_id': query.Field(_C.project_id, query.text),
    'user_id': query.Field(_C.user_id, query.text),
    'on_behalf_of': query.Field(_C.on_behalf_of, query.text),
    'timestamp': query.Field(_C.timestamp, query.time),
    'detail': query.Field(_C.detail, query.text),
}

NEWEST_FIRST = (('timestamp', query.DESC),)


def of_alarm(conn: sa.Connection, alarm_id: str,
             on_behalf_of: str | None = None,
             page: query.Page | None = None,
             condition: sa.ColumnElement[bool] | None = None,
             ) -> page_mod.Found[Change]:
    """Return the history of one alarm, newest first by default.

    It outlives the alarm.

    :param on_behalf_of: only what was done for this project
    :param condition: of :func:`query.condition`; ``None``: all records
    :raises Invalid: names what is wrong with the page
    """
    if not alarm_id.isascii() or '\0' in alarm_id:
        return page_mod.Found()
    parts = [_C.alarm_id == alarm_id]
    if on_behalf_of is not None:
        parts.append(_C.on_behalf_of == on_behalf_of)
    if condition is not None:
        parts.append(condition)
    return find(conn, sa.and_(*parts), page or query.Page(sort=NEWEST_FIRST))


def find(conn: sa.Connection, condition: sa.ColumnElement[bool] | None,
         page: query.Page) -> page_mod.Found[Change]:
    """Return one page of the records that fulfil a condition.

    :param condition: of :func:`query.condition`; ``None``: all records
    :raises Invalid: names what is wrong with the page
    """
    select = sa.select(*(
        _C[field.name] for field in dataclasses.fields(Change)),
    ).where(_C.type != str(Type.LEAF))
    if condition is not None:
        select = select.where(condition)
    statement = query.paged(
        conn, select, FIELDS, _C.event_id, page, tie=_C.id)
    return page_mod.read(conn, statement, page, lambda row: Change(**row))
