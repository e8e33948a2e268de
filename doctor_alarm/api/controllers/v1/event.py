# SPDX-License-Identifier: Apache-2.0
"""Events that come over HTTP, from detectors of faults."""
from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import event as form
from doctor_alarm.api import metrics
from doctor_alarm import exception
from doctor_alarm.policies import event as policies
from doctor_alarm import policy


class Events(base.Resource):
    """``/v1/events``"""

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Take events; answer when none of them can be lost any more."""
        base.enforce(self.services, request, policies.CREATE)
        received = datetime.datetime.now(datetime.timezone.utc)
        caller = base.caller_of(request)
        posted = form.parse(body.read(request), caller.project_id, received)
        events = [item.event for item in posted]
        if not policy.allows(
                self.services.enforcer, policies.CREATE_ANY_OWNER, caller):
            if any(item.names_owner and item.event.project_id
                   != caller.project_id for item in posted):
                raise exception.Forbidden()
            # Or a tenant could have a host of the operator's fail.
            events = [dataclasses.replace(event, trusted=False)
                      for event in events]
        self.services.events.accept(events)
        metrics.EVENTS.inc(len(posted))
        response.status = 202
        return {'message_ids': [item.event.message_id for item in posted]}
