# SPDX-License-Identifier: Apache-2.0
"""The trial of a rule."""
from __future__ import annotations

import datetime
from typing import Any

import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import trial as form
from doctor_alarm.api import ownership
from doctor_alarm.policies import alarm as policies


class Trial(base.Resource):
    """``/v2/alarms/test``"""

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Say what a rule would make of an event; nothing is stored."""
        base.enforce(self.services, request, policies.TEST)
        doc = body.read(request)
        alarm = form.parse(doc, base.caller_of(request).project_id)
        ownership.check_scope(self.services, request, alarm)
        return form.run(
            alarm, doc['event'], datetime.datetime.now(datetime.UTC))
