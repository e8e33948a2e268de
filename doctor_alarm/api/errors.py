# SPDX-License-Identifier: Apache-2.0
"""Errors as clients see them: one form for all, mapped in one place."""
from __future__ import annotations

from collections.abc import Mapping
import http
import json
import logging
import traceback
from typing import Any
import urllib.parse

from oslo_db import exception as db_exc
import webob
import webob.dec
import webob.exc

from doctor_alarm.db import api as db_api
from doctor_alarm import exception

LOG = logging.getLogger(__name__)

#: Seconds after which a client may come again when something is away.
RETRY_AFTER = 5

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (exception.NotFound, 404),
    (exception.Duplicate, 409),
    (exception.NotGivenUp, 409),
    (exception.PreconditionFailed, 412),
    (exception.NotAuthorized, 401),
    (exception.Forbidden, 403),
    (exception.TooLarge, 413),
    (exception.Invalid, 400),
    (exception.PublishFailed, 503),
)


def response(error: Exception) -> webob.Response:
    """Return the answer to a request that raised an error."""
    if isinstance(error, webob.exc.HTTPException):
        return _of_http(error)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return make(status, str(error))
    if db_api.is_transient(error):
        LOG.warning('Database is not available: %s', type(error).__name__)
        return make(503, 'The database is not available, try again later')
    _log(error)
    return make(500, 'An internal error occurred')


def _log(error: Exception) -> None:
    if isinstance(error, db_exc.DBError):
        # NOTE: its text has the parameters of the statement, and they the
        # credentials of action URLs.
        cause = getattr(error.inner_exception, 'orig', None)
        LOG.error('Request failed: %s: %s\n%s', type(error).__name__, cause,
                  ''.join(traceback.format_tb(error.__traceback__)))
    else:
        LOG.error('Request failed', exc_info=error)


def make(status: int, sentence: str) -> webob.Response:
    """Return an error in Aodh's form.

    Clients read ``error_message`` as an object, whatever failed.
    """
    answer = webob.Response(
        status=status, content_type='application/json', charset='UTF-8',
        json_body={'error_message': {
            'faultcode': 'Client' if status < 500 else 'Server',
            'faultstring': sentence, 'debuginfo': None}})
    if status == 503:
        answer.retry_after = RETRY_AFTER
    return answer


class Uniform:
    """Gives errors of the middlewares behind it the same form.

    Refuses a URL that pecan would log as an error, with a traceback.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> webob.Response:
        try:
            _check_url(request.environ)
            answer = request.get_response(self._app)
        except Exception as exc:
            return response(exc)
        if answer.status_int < 400 or _has_form(answer):
            return answer
        return _with_headers(
            make(answer.status_int, _phrase(answer.status_int)),
            answer.headers)


def _check_url(environ: Mapping[str, Any]) -> None:
    # PEP 3333: a character is a byte; only the path is unquoted already.
    for part, data in (
            ('path', environ['PATH_INFO'].encode('latin-1')),
            ('query', urllib.parse.unquote_to_bytes(
                environ.get('QUERY_STRING', '').encode('latin-1')))):
        try:
            data.decode()
        except UnicodeDecodeError:
            raise webob.exc.HTTPBadRequest(
                'The %s of the URL is not UTF-8' % part) from None


def _of_http(error: webob.exc.HTTPException) -> webob.Response:
    sentence = error.detail or _phrase(error.status_int)
    return _with_headers(make(error.status_int, sentence), error.headers)


def _with_headers(answer: webob.Response, headers: Any) -> webob.Response:
    for name, value in headers.items():
        if name.lower() not in ('content-type', 'content-length'):
            answer.headers[name] = value
    return answer


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return 'Error %d' % status


def _has_form(answer: webob.Response) -> bool:
    if answer.content_type != 'application/json':
        return False
    try:
        return isinstance(answer.json_body.get('error_message'), dict)
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
        return False
