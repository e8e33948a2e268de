# SPDX-License-Identifier: Apache-2.0
"""History of an alarm."""
from __future__ import annotations

from typing import Any

import webob

from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import change as form
from doctor_alarm.api import params
from doctor_alarm.objects import change
from doctor_alarm.policies import alarm as policies

#: Fields by which the history can be filtered.
_FILTERS = ('event_id', 'type', 'user_id', 'project_id', 'on_behalf_of',
            'timestamp', 'detail')


class History(base.Resource):
    """``/v2/alarms/{alarm_id}/history``"""

    def __init__(self, services: base.Services, alarm_id: str) -> None:
        super().__init__(services, alarm_id)
        self.alarm_id = alarm_id

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> list[dict[str, Any]]:
        """List what changed, newest first; also of a deleted alarm.

        What is shown is what was done on behalf of the caller's project.
        """
        base.enforce(self.services, request, policies.HISTORY)
        project_id = None
        if not base.is_admin(self.services, request):
            project_id = base.caller_of(request).project_id or ''
        condition = params.condition(
            request, {name: change.FIELDS[name] for name in _FILTERS})
        page = params.page(request, change.NEWEST_FIRST,
                           self.services.conf.api.max_limit)
        with self.services.db.reader() as conn:
            found = change.of_alarm(
                conn, self.alarm_id, project_id, page, condition)
        if found.is_cut:
            response.headers['Link'] = params.next_link(
                request, found[-1].event_id)
        return [form.serialize(record) for record in found]
