# SPDX-License-Identifier: Apache-2.0
"""Logs what is said about a request with its ids, and at DEBUG the request."""
from __future__ import annotations

import logging
from typing import Any
import urllib.parse

import webob
import webob.dec

from doctor_alarm import context

LOG = logging.getLogger(__name__)


class Logged:
    """Lets the thread's log lines have the ids that RequestId gave.

    Who calls is added when it is known. Without this the middlewares would
    log under the ids of the request that the thread had before.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> webob.Response:
        environ = request.environ
        # It makes itself known to this thread.
        context.Context(
            request_id=environ.get('openstack.request_id'),
            global_request_id=environ.get('openstack.global_request_id'))
        answer = request.get_response(self._app)
        # NOTE: without the query, which may have anything; the path may be
        # no UTF-8.
        LOG.debug('%s %s: %d', request.method, urllib.parse.quote(
            environ.get('PATH_INFO', ''), encoding='latin-1'),
            answer.status_int)
        return answer
