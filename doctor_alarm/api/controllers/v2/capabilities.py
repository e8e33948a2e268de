# SPDX-License-Identifier: Apache-2.0
"""What the API can do, as clients of Aodh ask for it."""
from __future__ import annotations

from typing import Any

import webob

from doctor_alarm.api.controllers import base
from doctor_alarm.policies import capabilities as policies

CAPABILITIES = {
    'api': {
        'alarms:query:simple': True,
        'alarms:query:complex': True,
        'alarms:history:query:simple': True,
        'alarms:history:query:complex': True,
    },
    'alarm_storage': {
        'storage:production_ready': True,
    },
}


class Capabilities(base.Resource):
    """``/v2/capabilities``"""

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Show the capabilities."""
        base.enforce(self.services, request, policies.GET)
        return CAPABILITIES
