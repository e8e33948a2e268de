# SPDX-License-Identifier: Apache-2.0
"""Deliveries of an alarm: what became of its notifications."""
from __future__ import annotations

from typing import Any

import webob

from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import delivery as form
from doctor_alarm.api import ownership
from doctor_alarm.api import params
from doctor_alarm import exception
from doctor_alarm.objects import delivery_list
from doctor_alarm.policies import delivery as policies


class Deliveries(base.Resource):
    """``/v2/alarms/{alarm_id}/deliveries``"""

    def __init__(self, services: base.Services, alarm_id: str) -> None:
        super().__init__(services, alarm_id)
        self.alarm_id = alarm_id

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> list[dict[str, Any]]:
        """List the deliveries, newest first; also of a deleted alarm."""
        base.enforce(self.services, request, policies.LIST)
        project_id = None
        if not base.is_admin(self.services, request):
            project_id = base.caller_of(request).project_id or ''
        params.refuse_filters(request)
        page = params.page(request, delivery_list.NEWEST_FIRST,
                           self.services.conf.api.max_limit)
        with self.services.db.reader() as conn:
            found = delivery_list.find(conn, delivery_list.Which(
                alarm_id=self.alarm_id, project_id=project_id), page)
        if not found and not self._exists(request):
            raise exception.AlarmNotFound(id=self.alarm_id)
        if found.is_cut:
            response.headers['Link'] = params.next_link(
                request, found[-1].id)
        return [form.serialize(item) for item in found]

    def _exists(self, request: webob.Request) -> bool:
        try:
            ownership.get(
                self.services, request, policies.LIST, self.alarm_id)
        except exception.AlarmNotFound:
            return False
        return True
