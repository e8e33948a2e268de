# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests: JSON and nothing that a database or a peer chokes on."""
from __future__ import annotations

from collections.abc import Iterable
import json
import math
from typing import Any, NoReturn

import webob
import webob.dec
import webob.exc

from doctor_alarm.api import errors
from doctor_alarm import exception

#: Levels of lists and objects; what is deeper is no alarm and no event.
MAX_DEPTH = 50


class Limit:
    """Reads every body, whoever answers, and none that is too large.

    What is left of a body would be taken for the next request.
    """

    def __init__(self, app: Any, size: int) -> None:
        self._app = app
        self._size = size

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> webob.Response:
        if (request.content_length or 0) > self._size:
            return self._too_large()
        if request.is_body_readable:
            try:
                data = request.body_file.read(self._size + 1)
            except (OSError, ValueError) as exc:
                return errors.make(
                    400, 'Body could not be read: %.80s' % exc)
            if len(data) > self._size:
                return self._too_large()
            request.body = data
        return request.get_response(self._app)

    def _too_large(self) -> webob.Response:
        return errors.make(
            413, 'Body is larger than %d bytes' % self._size)


def read(request: webob.Request) -> Any:
    """Return the document of a request.

    :raises HTTPUnsupportedMediaType: it says that it is something else
    :raises Invalid: it is not JSON, or no text that can be stored
    """
    kind = request.content_type.lower()
    # Who says nothing means what there is.
    if kind and kind != 'application/json' and not kind.endswith('+json'):
        raise webob.exc.HTTPUnsupportedMediaType(
            'Content-Type must be application/json, not %.80s' % kind)
    return parse(request.body)


def parse(data: bytes | str) -> Any:
    """Return the document of a JSON text.

    :raises Invalid: it is not JSON, or no text that can be stored
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        doc = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise exception.Invalid('Body is nested too deeply') from None
    except UnicodeDecodeError:
        raise exception.Invalid('Body is not UTF-8') from None
    except ValueError as exc:
        raise exception.Invalid(
            'Body is not valid JSON: %.200s' % exc) from None
    _check([doc], 0, '\\u' in text)
    return doc


def _refuse(name: str) -> NoReturn:
    raise ValueError('%s is no JSON number' % name)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _check(doc: list[Any] | dict[str, Any], depth: int,
           escapes: bool) -> None:
    """Refuse what is too deep, and text that no UTF-8 column can hold.

    Only an escape can bring a NUL or half of a surrogate pair.
    """
    if depth > MAX_DEPTH:
        raise exception.Invalid('Body is nested too deeply')
    if isinstance(doc, dict):
        if escapes:
            for name in doc:
                _check_text(name)
        values: Iterable[Any] = doc.values()
    else:
        values = doc
    for value in values:
        if isinstance(value, dict | list):
            _check(value, depth + 1, escapes)
        elif escapes and isinstance(value, str):
            _check_text(value)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise exception.Invalid(
            'Body has a text that is not valid Unicode: %.80r'
            % text) from None
    if '\0' in text:
        raise exception.Invalid('Body has a text with NUL: %.80r' % text)
