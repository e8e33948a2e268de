# SPDX-License-Identifier: Apache-2.0
"""Faults as the API shows them, with their way from monitor to receiver."""
from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm import fault as words
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import query

STATUSES = (words.DOWN, words.UP)

_C = models.fault.c
_SERVER = models.fault_server.c
_ACTION = models.fault_action.c
_LINK = models.fault_delivery.c
_DELIVERY = models.delivery.c

#: Times of a notification, in their order.
STAGES = ('transformed_at', 'evaluated_at', 'fired_at', 'received_at')

FIELDS: query.Fields = {
    'created_at': query.Field(_C.created_at, query.time),
    'detected_at': query.Field(_C.detected_at, query.time),
}

NEWEST_FIRST = (('created_at', query.DESC),)

#: First and last time of a stage; None: nothing has passed it.
Span = tuple[int | None, int | None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A fault; times in microseconds, UTC."""

    id: str
    status: str
    fault_type: str
    root_cause: str
    cause: str
    source: str
    resource_id: str
    host: str
    affected: int
    unmonitored: int
    occurred_at: int | None
    detected_at: int
    reported_at: int | None
    found_at: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A fault and all that belongs to it.

    ``spans``: of the actions and of the stages of notifications.
    ``notified``: how many notifications there are, ``delivered``: how many
    of them were received. Servers and notifications may be only some.
    """

    fault: Listed
    spans: Mapping[str, Span]
    notified: int
    delivered: int
    servers: list[sa.Row[Any]]
    actions: list[sa.Row[Any]]
    notifications: list[sa.Row[Any]]


def find(conn: sa.Connection, status: str | None = None,
         page: query.Page | None = None) -> list[Listed]:
    """Return faults, newest first by default.

    :raises Invalid: names what is wrong with the page
    """
    select = _select()
    if status is not None:
        select = select.where(_C.status == status)
    statement = query.paged(
        conn, select, FIELDS, _C.id, page or query.Page(sort=NEWEST_FIRST))
    return [Listed(**row) for row in conn.execute(statement).mappings()]


def get(conn: sa.Connection, id_: str, limit: int) -> Shown:
    """Return one fault.

    :param limit: servers, and notifications, at most
    :raises NotFound: there is none
    """
    row = None
    if id_.isascii() and '\0' not in id_:
        row = conn.execute(_select().where(_C.id == id_)).mappings().first()
    if row is None:
        raise exception.NotFound(what='Fault', id=id_)
    notified, delivered, stages = _stages(conn, id_)
    return Shown(
        fault=Listed(**row), spans={**_actions_span(conn, id_), **stages},
        notified=notified, delivered=delivered,
        servers=_servers(conn, id_, limit), actions=list(conn.execute(
            sa.select(_ACTION.target, _ACTION.action, _ACTION.outcome,
                      _ACTION.reason, _ACTION.ended_at)
            .where(_ACTION.fault_id == id_).order_by(
                _ACTION.ended_at, _ACTION.message_id))),
        notifications=_notifications(conn, id_, limit))


def _select() -> sa.Select[Any]:
    return sa.select(*(
        _C[field.name] for field in dataclasses.fields(Listed)))


def _servers(conn: sa.Connection, id_: str,
             limit: int) -> list[sa.Row[Any]]:
    return list(conn.execute(sa.select(
        _SERVER.server_id, _SERVER.name, _SERVER.project_id, _SERVER.state,
    ).where(_SERVER.fault_id == id_).order_by(
        _SERVER.name, _SERVER.message_id).limit(limit)))


def _actions_span(conn: sa.Connection, id_: str) -> dict[str, Span]:
    """Return when what nova was told took effect."""
    return {row.action: (row.first, row.last) for row in conn.execute(
        sa.select(_ACTION.action, sa.func.min(_ACTION.ended_at).label('first'),
                  sa.func.max(_ACTION.ended_at).label('last'))
        .where(_ACTION.fault_id == id_,
               _ACTION.outcome.in_(words.IN_EFFECT))
        .group_by(_ACTION.action))}


def _linked(*columns: Any) -> sa.Select[Any]:
    return sa.select(*columns).select_from(models.fault_delivery.join(
        models.delivery, _DELIVERY.id == _LINK.delivery_id))


def _stages(conn: sa.Connection,
            id_: str) -> tuple[int, int, dict[str, Span]]:
    """Return how many notifications there are, received ones, and times.

    Of those that were not received the call does not count.
    """
    arrived = _DELIVERY.status == delivery_obj.DELIVERED
    times = {name: _DELIVERY[name] for name in STAGES[:2]} | {
        name: sa.case((arrived, _DELIVERY[name])) for name in STAGES[2:]}
    row = conn.execute(_linked(
        sa.func.count(), sa.func.count(sa.case((arrived, 1))),
        *(span(time) for time in times.values()
          for span in (sa.func.min, sa.func.max)),
    ).where(_LINK.fault_id == id_)).one()
    spans = iter(row[2:])
    return row[0], row[1], {
        name: (first, last) for name, first, last in zip(
            times, spans, spans, strict=True)}


def _notifications(conn: sa.Connection, id_: str,
                   limit: int) -> list[sa.Row[Any]]:
    return list(conn.execute(_linked(
        _DELIVERY.id, _DELIVERY.alarm_id, _DELIVERY.alarm_name,
        _DELIVERY.project_id, _DELIVERY.resource_id, _DELIVERY.current,
        _DELIVERY.status, *(_DELIVERY[name] for name in STAGES),
    ).where(_LINK.fault_id == id_).order_by(
        _DELIVERY.created_at, _DELIVERY.id).limit(limit)))
