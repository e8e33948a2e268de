# SPDX-License-Identifier: Apache-2.0
"""Captured notifications: read, renew, and put in the form of POST /v1/events.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import datetime
import json
from typing import Any
import uuid

from doctor_alarm import event as event_mod
from doctor_alarm import exception


def read(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (exchange, notification) of each JSON document of a text.

    Taken are bare notifications, oslo's envelope around one, what a capture
    stores beside it (``exchange``), and lists of all that. The exchange is
    empty where it is not told.

    :raises Invalid: names the document that is none of it
    """
    decoder = json.JSONDecoder()
    position, number = 0, 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        number += 1
        try:
            doc, position = decoder.raw_decode(text, position)
        except ValueError as exc:
            raise exception.Invalid(
                'document %d is not JSON: %s' % (number, exc)) from None
        for item in doc if isinstance(doc, list) else [doc]:
            yield _unpack(item, number)


def fresh(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notification as if it were sent now, with an id of its own.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    return {**message, 'message_id': str(uuid.uuid4()),
            'timestamp': event_mod.to_iso(now)}


def as_posted(event: event_mod.Event) -> dict[str, Any]:
    """Return an event in the form that ``POST /v1/events`` takes."""
    details: dict[str, Any] = {
        name: event_mod.to_iso(value)
        if isinstance(value, datetime.datetime) else value
        for name, value in event.traits.items()}
    if event.project_id:
        details['project_id'] = event.project_id
    return {'event': {'time': event_mod.to_iso(event.generated),
                      'type': event.event_type, 'details': details}}


def _unpack(item: Any, number: int) -> tuple[str, dict[str, Any]]:
    exchange = ''
    for _ in range(4):
        if not isinstance(item, dict):
            break
        if 'event_type' in item and 'payload' in item:
            return exchange, item
        exchange = str(item.get('exchange') or exchange)
        item = item.get('oslo.message', item.get('message'))
        if isinstance(item, str):
            try:
                item = json.loads(item)
            except ValueError:
                break
    raise exception.Invalid(
        'document %d has no notification (event_type and payload)' % number)
