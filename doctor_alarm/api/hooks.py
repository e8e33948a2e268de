# SPDX-License-Identifier: Apache-2.0
"""What happens to every request before and after its controller."""
from __future__ import annotations

from typing import Any

from pecan import hooks
import webob
import webob.exc

from doctor_alarm.api.controllers import base
from doctor_alarm.api import errors
from doctor_alarm.api import metrics
from doctor_alarm import context


#: Characters of the id of a user or a project.
MAX_ID = 128


class ContextHook(hooks.PecanHook):
    """Says who calls; refuses who did not prove it."""

    def __init__(self, noauth: bool) -> None:
        self._noauth = noauth

    def on_route(self, state: Any) -> None:
        request = state.request
        # There is one form of answer, whatever a browser asks for.
        request.accept = '*/*'
        request.context['caller'] = context.from_environ(
            request.environ, self._noauth)

    def before(self, state: Any) -> None:
        caller = state.request.context['caller']
        for value in (caller.user_id, caller.project_id):
            if len(value or '') > MAX_ID or not (value or '').isprintable():
                raise webob.exc.HTTPUnauthorized(
                    'The id of a user or a project is not one')
        confirmed = self._noauth or (
            state.request.environ.get('HTTP_X_IDENTITY_STATUS')
            == 'Confirmed')
        if not confirmed and not state.controller.__self__.public:
            raise webob.exc.HTTPUnauthorized('Authentication required')


class CountHook(hooks.PecanHook):
    """Counts the answers."""

    def after(self, state: Any) -> None:
        method = state.request.method
        metrics.REQUESTS.labels(
            method if method in base.METHODS else 'other',
            state.response.status_int).inc()


class ErrorHook(hooks.PecanHook):
    """Answers what a controller raised."""

    def on_error(self, state: Any, error: Exception) -> webob.Response:
        return errors.response(error)
