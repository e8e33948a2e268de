# SPDX-License-Identifier: Apache-2.0
"""What evaluations led to, as Aodh's API tells it."""
from __future__ import annotations

from typing import Any

import webob

from doctor_alarm.api.controllers import base
from doctor_alarm import exception
from doctor_alarm.objects import evaluation
from doctor_alarm.objects import query
from doctor_alarm.policies import metrics as policies


class Metrics(base.Resource):
    """``/v2/metrics``"""

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Count the states that evaluations of the alarms led to."""
        base.enforce(self.services, request, policies.GET)
        project_id: str | None = base.caller_of(request).project_id or ''
        if _all_projects(request):
            base.enforce(self.services, request, policies.GET_ALL)
            project_id = None
        with self.services.db.reader() as conn:
            found = evaluation.results(
                conn, project_id, self.services.conf.api.max_limit)
        return {'evaluation_results': [{
            'alarm_id': item.alarm_id, 'project_id': item.project_id,
            'state_counters': item.counters} for item in found]}


def _all_projects(request: webob.Request) -> bool:
    for name in request.GET:
        if name != 'all_projects':
            raise exception.Invalid('Unknown argument: "%.80s"' % name)
    try:
        return query.boolean(request.GET.get('all_projects', 'false'))
    except ValueError as exc:
        raise exception.Invalid('all_projects must be %s' % exc) from None
