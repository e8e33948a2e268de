# SPDX-License-Identifier: Apache-2.0
"""Complex queries: clients look alarms up by name with one."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import alarm as alarm_form
from doctor_alarm.api.forms import change as change_form
from doctor_alarm import exception
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import change
from doctor_alarm.objects import query
from doctor_alarm.policies import alarm as policies
from doctor_alarm.schemas import query as schema


class History(base.Resource):
    """``/v2/query/alarms/history``"""

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> list[dict[str, Any]]:
        """Find what was done on behalf of the project, an admin of all."""
        base.enforce(self.services, request, policies.QUERY_HISTORY)
        condition, page = _read(
            self.services, request, change.FIELDS, ('on_behalf_of',),
            change.NEWEST_FIRST)
        with self.services.db.reader() as conn:
            found = change.find(conn, condition, page)
        return [change_form.serialize(record) for record in found]


class Alarms(base.Resource):
    """``/v2/query/alarms``"""

    below = {'history': History}

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> list[dict[str, Any]]:
        """Find alarms of the project, an admin those of all."""
        base.enforce(self.services, request, policies.QUERY)
        condition, page = _read(
            self.services, request, alarm_list.FIELDS,
            ('project_id', 'project'), alarm_list.NEWEST_FIRST)
        with self.services.db.reader() as conn:
            found = alarm_list.find(conn, condition, page)
        return [alarm_form.serialize(alarm) for alarm in found]


class Query(base.Resource):
    """``/v2/query``"""

    below = {'alarms': Alarms}


def _read(services: base.Services, request: webob.Request,
          fields: query.Fields, owner: Sequence[str],
          order: Sequence[tuple[str, str]],
          ) -> tuple[sa.ColumnElement[bool] | None, query.Page]:
    """Return what a query asks for, confined to what the caller may see.

    :param owner: names of the field that says whose it is
    :param order: where the query does not say
    """
    doc = body.read(request)
    wrong = schema.CHECKER.first(doc)
    if wrong:
        raise exception.Invalid(wrong)
    expression = _json(doc, 'filter')
    parts = []
    if expression is not None:
        parts.append(query.condition(fields, expression))
    if not base.is_admin(services, request):
        own = base.caller_of(request).project_id or ''
        for asked in query.values_of(expression, owner):
            if asked != own:
                raise exception.NotAuthorized(aspect='project', id=asked)
        parts.append(fields[owner[0]].column == own)
    most = services.conf.api.max_limit
    return sa.and_(*parts) if parts else None, query.Page(
        sort=_order(doc) or order, limit=min(doc.get('limit') or most, most))


def _json(doc: dict[str, Any], name: str) -> Any:
    """Return a part of the query, which is a text of JSON."""
    text = doc.get(name)
    if not text:
        return None
    try:
        return body.parse(text)
    except exception.Invalid as exc:
        raise exception.Invalid('%s: %s' % (name, exc)) from None


def _order(doc: dict[str, Any]) -> list[tuple[str, str]]:
    order = _json(doc, 'orderby') or []
    if not isinstance(order, list) or len(order) > schema.MAX_ORDER:
        raise exception.Invalid(
            'orderby must be a list of at most %d items' % schema.MAX_ORDER)
    for item in order:
        if not (isinstance(item, dict) and len(item) == 1
                and all(isinstance(way, str) for way in item.values())):
            raise exception.Invalid(
                'orderby must be a list of {field: asc or desc}')
    return [(name, way.lower()) for item in order
            for name, way in item.items()]
