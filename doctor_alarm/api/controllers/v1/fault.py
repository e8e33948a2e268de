# SPDX-License-Identifier: Apache-2.0
"""Faults: what inspectors told, and how it reached the receivers."""
from __future__ import annotations

from typing import Any

import webob

from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import fault as form
from doctor_alarm.api import params
from doctor_alarm import exception
from doctor_alarm.objects import fault_list
from doctor_alarm.policies import fault as policies

_STATUS = 'status'


class Fault(base.Resource):
    """``/v1/faults/{fault_id}``"""

    def __init__(self, services: base.Services, fault_id: str) -> None:
        super().__init__(services, fault_id)
        self.fault_id = fault_id

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Show the fault and its time line."""
        base.enforce(self.services, request, policies.GET)
        with self.services.db.reader() as conn:
            return form.serialize(fault_list.get(
                conn, self.fault_id, self.services.conf.api.max_limit))


class Faults(base.Resource):
    """``/v1/faults``"""

    items = 'fault_id', Fault

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> list[dict[str, Any]]:
        """List the faults, newest first."""
        base.enforce(self.services, request, policies.LIST)
        params.refuse_filters(request)
        page = params.page(request, fault_list.NEWEST_FIRST,
                           self.services.conf.api.max_limit, also=[_STATUS])
        with self.services.db.reader() as conn:
            found = fault_list.find(conn, _status(request), page)
        if len(found) == page.limit:
            response.headers['Link'] = params.next_link(
                request, found[-1].id)
        return [form.listed(item) for item in found]


def _status(request: webob.Request) -> str | None:
    status = request.GET.get(_STATUS)
    if status is not None and status not in fault_list.STATUSES:
        raise exception.Invalid('status must be one of %s, not %.80s' % (
            ', '.join(fault_list.STATUSES), status))
    return status
