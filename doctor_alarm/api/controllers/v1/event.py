# SPDX-License-Identifier: Apache-2.0
"""Events that come over HTTP, from detectors of faults."""
from __future__ import annotations

from collections.abc import Callable
import datetime
from typing import Any

import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import alertmanager
from doctor_alarm.api.forms import event as form
from doctor_alarm.api import metrics
from doctor_alarm import exception
from doctor_alarm.policies import event as policies
from doctor_alarm import policy


class Alertmanager(base.Resource):
    """``/v1/events/alertmanager``"""

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Take the alerts of Prometheus Alertmanager."""
        reader = alertmanager.Reader(
            self.services.alerts,
            self.services.conf.evaluator.max_event_age)
        return _take(self.services, request, response, reader.parse)


class Alias(base.Resource):
    """``/v1/event`` and ``/events``, where monitors post that exist."""

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Take events; answer when none of them can be lost any more."""
        return _take(self.services, request, response, form.parse)

    put = post


class Events(Alias):
    """``/v1/events``"""

    below = {'alertmanager': Alertmanager}


def _take(services: base.Services, request: webob.Request,
          response: webob.Response,
          parse: Callable[[Any, form.Post], list[form.Posted]],
          ) -> dict[str, Any]:
    base.enforce(services, request, policies.CREATE)
    caller = base.caller_of(request)
    # Else a tenant could have a host of the operator's fail.
    trusted = policy.allows(
        services.enforcer, policies.CREATE_ANY_OWNER, caller)
    posted = parse(body.read(request), form.Post(
        caller.project_id, datetime.datetime.now(datetime.timezone.utc),
        trusted, services.zone))
    if not trusted and any(
            item.names_owner and item.event.project_id != caller.project_id
            for item in posted):
        raise exception.Forbidden()
    events = services.window.apply([item.event for item in posted])
    news = services.repetitions.news(events)
    if news:
        services.events.accept(news)
        services.repetitions.taken(news)
    metrics.EVENTS.inc(len(events))
    metrics.REPETITIONS.inc(len(events) - len(news))
    response.status = 202
    return {'message_ids': [event.message_id for event in events]}
