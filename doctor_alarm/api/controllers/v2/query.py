# SPDX-License-Identifier: Apache-2.0
"""Complex queries: clients look alarms up by name with one."""
from __future__ import annotations

from typing import Any

import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import alarm as form
from doctor_alarm import exception
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import query
from doctor_alarm.policies import alarm as policies
from doctor_alarm.schemas import query as schema


class Query(base.Resource):
    """``/v2/query``"""

    def child(self, name: str) -> base.Resource | None:
        return Alarms(self.services) if name == 'alarms' else None


class Alarms(base.Resource):
    """``/v2/query/alarms``"""

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> list[dict[str, Any]]:
        """Find alarms of the project, an admin those of all."""
        base.enforce(self.services, request, policies.QUERY)
        doc = body.read(request)
        wrong = schema.CHECKER.first(doc)
        if wrong:
            raise exception.Invalid(wrong)
        parts = []
        if expression := _json(doc, 'filter'):
            parts.append(expression)
        if not base.is_admin(self.services, request):
            project_id = base.caller_of(request).project_id or ''
            parts.append({'=': {'project_id': project_id}})
        condition = None
        if parts:
            condition = query.condition(alarm_list.FIELDS, {'and': parts})
        most = self.services.conf.api.max_limit
        page = query.Page(
            sort=_order(doc) or alarm_list.NEWEST_FIRST,
            limit=min(doc.get('limit') or most, most))
        with self.services.db.reader() as conn:
            found = alarm_list.find(conn, condition, page)
        return [form.serialize(alarm) for alarm in found]


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
    if not isinstance(order, list):
        raise exception.Invalid('orderby must be a list')
    for item in order:
        if not (isinstance(item, dict) and len(item) == 1
                and all(isinstance(way, str) for way in item.values())):
            raise exception.Invalid(
                'orderby must be a list of {field: asc or desc}')
    return [(name, way.lower()) for item in order
            for name, way in item.items()]
