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


class Type(enum.StrEnum):
    """Kinds of changes, as Aodh names them."""

    CREATION = 'creation'
    RULE_CHANGE = 'rule change'
    STATE_TRANSITION = 'state transition'
    DELETION = 'deletion'
    #: An event older than the state of its resource: seen, not applied.
    STALE_EVENT = 'stale event'


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


def of_alarm(conn: sa.Connection, alarm_id: str,
             on_behalf_of: str | None = None, limit: int | None = None,
             ) -> list[Change]:
    """Return the history of one alarm, newest first.

    It outlives the alarm. ``on_behalf_of``: only what was done for this
    project.
    """
    table = models.change
    query = (
        sa.select(*(table.c[field.name]
                    for field in dataclasses.fields(Change)))
        .where(table.c.alarm_id == alarm_id)
        .order_by(table.c.timestamp.desc(), table.c.id.desc()))
    if on_behalf_of is not None:
        query = query.where(table.c.on_behalf_of == on_behalf_of)
    if limit is not None:
        query = query.limit(limit)
    return [Change(**found) for found in conn.execute(query).mappings()]
