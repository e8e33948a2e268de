# SPDX-License-Identifier: Apache-2.0
"""Alarms: definitions and state, as Aodh's API has them."""
from __future__ import annotations

from typing import Any
import urllib.parse

import sqlalchemy as sa
import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.controllers.v2 import delivery
from doctor_alarm.api.controllers.v2 import history
from doctor_alarm.api.controllers.v2 import trial
from doctor_alarm.api.controllers.v2 import quota
from doctor_alarm.api.forms import alarm as form
from doctor_alarm.api import ownership
from doctor_alarm.api import params
from doctor_alarm.api import precondition
from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import query
from doctor_alarm.policies import alarm as policies
from doctor_alarm.schemas import alarm as schema

#: Fields by which the simple list can be filtered.
_FILTERS = ('user_id', 'project_id', 'type', 'name', 'enabled', 'state',
            'severity', 'timestamp', 'repeat_actions')


class State(base.Resource):
    """``/v2/alarms/{alarm_id}/state``"""

    def __init__(self, services: base.Services, alarm_id: str) -> None:
        super().__init__(services, alarm_id)
        self.alarm_id = alarm_id

    @base.json
    def get(self, request: webob.Request, response: webob.Response) -> str:
        """Show the state, as a JSON text."""
        return ownership.get(self.services, request, policies.GET_STATE,
                             self.alarm_id).state

    @base.json
    def put(self, request: webob.Request, response: webob.Response) -> str:
        """Set the state; no action fires."""
        ownership.get(
            self.services, request, policies.CHANGE_STATE, self.alarm_id)
        state = body.read(request)
        wrong = schema.STATE_CHECKER.first(state)
        if wrong:
            raise exception.Invalid(wrong.replace(
                'field/attribute data', 'field/attribute state'))
        return alarm_obj.set_state(
            self.services.db, self.alarm_id, state, base.actor_of(request),
            precondition.of(request), self.services.tell).state


class Alarm(base.Resource):
    """``/v2/alarms/{alarm_id}``"""

    below = {'state': State, 'history': history.History,
             'deliveries': delivery.Deliveries}

    def __init__(self, services: base.Services, alarm_id: str) -> None:
        super().__init__(services, alarm_id)
        self.alarm_id = alarm_id

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Show the alarm."""
        return _show(ownership.get(
            self.services, request, policies.GET, self.alarm_id), response)

    @base.json
    def put(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Replace the alarm; what the client omits gets its default."""
        present = ownership.get(
            self.services, request, policies.CHANGE, self.alarm_id)
        doc = body.read(request)
        owner = ownership.of_changed(self.services, request, doc, present)
        new = form.parse(doc, project_id=owner.project_id,
                         user_id=owner.user_id)
        ownership.check_scope(self.services, request, new)
        ownership.check_actions(self.services, request, new, present)

        unchanged = precondition.of(request)

        def edit(old: alarm_obj.Alarm) -> alarm_obj.Alarm:
            ownership.check_unmoved(present, old)
            unchanged(old)
            return form.replace(old, new, doc, self.services.vault)

        return _show(alarm_obj.update(
            self.services.db, self.alarm_id, edit, base.actor_of(request),
            self.services.tell), response)

    @base.plain
    def delete(self, request: webob.Request,
               response: webob.Response) -> webob.Response:
        """Delete the alarm; what fired is still delivered."""
        ownership.get(
            self.services, request, policies.DELETE, self.alarm_id)
        alarm_obj.delete(
            self.services.db, self.alarm_id, base.actor_of(request),
            precondition.of(request), self.services.tell)
        response.status = 204
        return response


class Alarms(base.Resource):
    """``/v2/alarms``"""

    below = {'test': trial.Trial}
    items = 'alarm_id', Alarm

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> list[dict[str, Any]]:
        """List the alarms of the project."""
        base.enforce(self.services, request, policies.LIST)
        page = params.page(request, alarm_list.NEWEST_FIRST,
                           self.services.conf.api.max_limit)
        condition = self._condition(request)
        with self.services.db.reader() as conn:
            found = alarm_list.find(conn, condition, page)
        if found.is_cut:
            response.headers['Link'] = params.next_link(
                request, found[-1].id)
        return [form.serialize(alarm) for alarm in found]

    def _condition(self, request: webob.Request,
                   ) -> sa.ColumnElement[bool] | None:
        asked = params.filters(request)
        project_id = ownership.list_scope(self.services, request, asked)
        parts = [{'=': {name: value}} for name, value in asked
                 if name not in ('all_projects', 'project_id')]
        for part in parts:
            name, = part['=']
            if name not in _FILTERS:
                raise exception.Invalid(
                    'q.field must be one of %s, not %.80s' % (
                        ', '.join(('all_projects', *_FILTERS)), name))
        if project_id is not None:
            parts.append({'=': {'project_id': project_id}})
        if not parts:
            return None
        return query.condition(alarm_list.FIELDS, {'and': parts})

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Create an alarm."""
        base.enforce(self.services, request, policies.CREATE)
        doc = body.read(request)
        owner = ownership.of_new(self.services, request, doc)
        new = form.parse(
            doc, project_id=owner.project_id, user_id=owner.user_id)
        ownership.check_scope(self.services, request, new)
        ownership.check_actions(self.services, request, new)
        created = alarm_obj.create(
            self.services.db, form.complete(new, self.services.vault),
            base.actor_of(request),
            quota.defaults(self.services.conf), self.services.tell)
        response.status = 201
        response.location = '%s/v2/alarms/%s' % (
            request.application_url, urllib.parse.quote(created.id))
        return _show(created, response)


def _show(alarm: alarm_obj.Alarm,
          response: webob.Response) -> dict[str, Any]:
    response.etag = precondition.tag(alarm)
    return form.serialize(alarm)
