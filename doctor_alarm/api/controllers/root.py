# SPDX-License-Identifier: Apache-2.0
"""The root of the tree of URLs, versions and metrics."""
from __future__ import annotations

from typing import Any

from oslo_middleware import healthcheck
import prometheus_client
import webob

from doctor_alarm.api.controllers import base
from doctor_alarm.api.controllers.v1 import event
from doctor_alarm.api.controllers.v1 import fault
from doctor_alarm.api.controllers.v2 import alarm
from doctor_alarm.api.controllers.v2 import capabilities
from doctor_alarm.api.controllers.v2 import deliveries
from doctor_alarm.api.controllers.v2 import metrics
from doctor_alarm.api.controllers.v2 import query
from doctor_alarm.api.controllers.v2 import quota


class V1(base.Resource):
    """``/v1``"""

    below = {'events': event.Events, 'event': event.Alias,
             'faults': fault.Faults}


class V2(base.Resource):
    """``/v2``"""

    below = {
        'alarms': alarm.Alarms,
        'deliveries': deliveries.Deliveries,
        'metrics': metrics.Metrics,
        'query': query.Query,
        'quotas': quota.Quotas,
        'capabilities': capabilities.Capabilities,
    }


class Healthcheck(base.Resource):
    """``/healthcheck``"""

    public = True

    def __init__(self, services: base.Services, *ids: str) -> None:
        super().__init__(services, *ids)
        self._app = healthcheck.Healthcheck(None, services.conf)

    @base.plain
    def get(self, request: webob.Request,
            response: webob.Response) -> webob.Response:
        """Tell load balancers that this process answers."""
        answer = request.get_response(self._app)
        # Pecan would make an empty 200 a 204, which is no "I am well".
        if answer.status_int == 200 and not answer.body:
            answer.text = 'OK'
        return answer


class Metrics(base.Resource):
    """``/metrics``"""

    public = True

    @base.plain
    def get(self, request: webob.Request,
            response: webob.Response) -> webob.Response:
        """Show counters and timings of this process, for Prometheus."""
        return webob.Response(
            body=prometheus_client.generate_latest(),
            headers={'Content-Type': prometheus_client.CONTENT_TYPE_LATEST})


class Root(base.Resource):
    """``/``"""

    public = True
    below = {'v1': V1, 'v2': V2, 'metrics': Metrics,
             'events': event.Alias, 'healthcheck': Healthcheck}

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """List the versions of the alarm API."""
        return {'versions': {'values': [{
            'id': 'v2',
            'links': [{'rel': 'self',
                       'href': request.application_url + '/v2'}],
            'media-types': [{'base': 'application/json', 'type':
                             'application/vnd.openstack.telemetry-v2+json'}],
            'status': 'stable',
            'updated': '2013-02-13T00:00:00Z',
        }]}}
