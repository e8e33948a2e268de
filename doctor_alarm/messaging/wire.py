# SPDX-License-Identifier: Apache-2.0
"""Notifications as they come off the wire."""
from __future__ import annotations

import json
from typing import Any

from oslo_messaging._drivers import common as rpc_common

_CONTEXT = '_context_'
#: What oslo.messaging adds to a message besides its context.
_OWN = ('_msg_id', '_reply_q', '_timeout', '_unique_id')


def decode(raw: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a notification and its context, of a message of py-amqp.

    :raises Exception: it is no notification; the reason may quote it
    """
    body = _body(raw)
    if not isinstance(body, dict):
        raise TypeError('no object')
    if body.get('oslo.version') == '2.0' and 'oslo.message' in body:
        message = json.loads(body['oslo.message'])
    else:
        message = rpc_common.deserialize_msg(body)
    if not isinstance(message, dict):
        raise TypeError('no object')
    ctxt = {}
    for key in [key for key in message if key[:1] == '_']:
        if key.startswith(_CONTEXT):
            ctxt[key[len(_CONTEXT):]] = message.pop(key)
        elif key in _OWN:
            del message[key]
    return message, ctxt


def _body(raw: Any) -> Any:
    properties = raw.properties
    plain = (properties.get('content_type') == 'application/json'
             and properties.get('content_encoding') in ('utf-8', None)
             and 'compression' not in (
                 properties.get('application_headers') or ()))
    if plain:
        # py-amqp has decoded it where it could
        body = raw.body
        return json.loads(body if isinstance(body, str)
                          else str(body, 'utf-8'))
    # kombu knows the other kinds
    return raw.channel.message_to_python(raw).payload
