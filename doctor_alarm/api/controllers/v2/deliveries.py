# SPDX-License-Identifier: Apache-2.0
"""Deliveries of all alarms: what was given up, and how it is sent."""
from __future__ import annotations

import dataclasses
from typing import Any

import webob

from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import delivery as form
from doctor_alarm.api import ownership
from doctor_alarm.api import params
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import delivery_list
from doctor_alarm.objects import replay
from doctor_alarm.policies import delivery as policies

_STATUS = 'status'
_SCOPE = ('all_projects', 'project_id')


class Retry(base.Resource):
    """``/v2/deliveries/{delivery_id}/retry``"""

    def __init__(self, services: base.Services, delivery_id: str) -> None:
        super().__init__(services, delivery_id)
        self.delivery_id = delivery_id

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Send the delivery again, which was given up."""
        present = _get(
            self.services, request, policies.RETRY, self.delivery_id)
        replay.replay(
            self.services.db, [present.id], present.project_id)
        response.status = 202
        # As it waits; a notifier may be at it already.
        return form.serialize(dataclasses.replace(
            _get(self.services, request, policies.RETRY, self.delivery_id),
            status=delivery_obj.PENDING, attempts=0))


class Delivery(base.Resource):
    """``/v2/deliveries/{delivery_id}``"""

    below = {'retry': Retry}

    def __init__(self, services: base.Services, delivery_id: str) -> None:
        super().__init__(services, delivery_id)
        self.delivery_id = delivery_id

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Show the delivery."""
        return form.serialize(_get(
            self.services, request, policies.GET, self.delivery_id))


class Deliveries(base.Resource):
    """``/v2/deliveries``"""

    items = 'delivery_id', Delivery

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> list[dict[str, Any]]:
        """List the deliveries of the project, newest first."""
        base.enforce(self.services, request, policies.LIST)
        page = params.page(request, delivery_list.NEWEST_FIRST,
                           self.services.conf.api.max_limit, also=[_STATUS])
        which = delivery_list.Which(
            status=_status(request), project_id=self._scope(request))
        with self.services.db.reader() as conn:
            found = delivery_list.find(conn, which, page)
        if found.is_cut:
            response.headers['Link'] = params.next_link(
                request, found[-1].id)
        return [form.serialize(item) for item in found]

    def _scope(self, request: webob.Request) -> str | None:
        asked = params.filters(request)
        for name, _value in asked:
            if name not in _SCOPE:
                raise exception.Invalid('q.field must be one of %s, not %.80s'
                                        % (', '.join(_SCOPE), name))
        scope = ownership.list_scope(self.services, request, asked)
        return scope and event.plain_text(scope)


def _get(services: base.Services, request: webob.Request, rule: str,
         delivery_id: str) -> delivery_list.Listed:
    """Return a delivery if the caller may do something to it.

    :raises NotFound: there is none, or it is another project's
    :raises Forbidden: the caller's roles do not suffice
    """
    own = None
    if not base.is_admin(services, request):
        own = base.caller_of(request).project_id or ''
    with services.db.reader() as conn:
        found = delivery_list.get(conn, delivery_id, own)
    base.enforce(services, request, rule, {'project_id': found.project_id})
    return found


def _status(request: webob.Request) -> str | None:
    status = request.GET.get(_STATUS)
    if status is not None and status not in delivery_obj.STATUSES:
        raise exception.Invalid('status must be one of %s, not %.80s' % (
            ', '.join(delivery_obj.STATUSES), status))
    return status
