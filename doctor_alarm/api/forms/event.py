# SPDX-License-Identifier: Apache-2.0
"""Events that detectors post, between JSON and the value that flows."""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import json
from typing import Any
import uuid

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.schemas import event as schema
from doctor_alarm.schemas import sentence

#: Whose clock ``time`` is where ``details`` do not tell.
PUBLISHER = 'api'

#: Details that name the owner of the resource.
_OWNER = ('project_id', 'tenant_id')


@dataclasses.dataclass(frozen=True, slots=True)
class Posted:
    """An event and whether it names its owner itself."""

    event: event.Event
    names_owner: bool


def parse(doc: Any, project_id: str | None,
          received: datetime.datetime) -> list[Posted]:
    """Return the events of a body: all of them or none.

    :param project_id: owner where an event names none
    :raises Invalid: names index and field of everything that is wrong
    """
    many = isinstance(doc, dict) and 'events' in doc
    if many:
        wrong = schema.BULK_CHECKER.first(doc)
        if wrong:
            raise exception.Invalid(wrong)
    found, complaints = [], []
    for index, item in enumerate(doc['events'] if many else [doc]):
        within = 'events[%d]' % index if many else ''
        complaints_here = list(_wrong(item, within))
        complaints += complaints_here
        if not complaints_here:
            try:
                found.append(_build(item['event'], project_id, received))
            except exception.Invalid as exc:
                complaints.append(
                    '%s: %s' % (within, exc) if within else str(exc))
    if complaints:
        raise exception.Invalid(' '.join(complaints))
    return found


def _wrong(item: Any, within: str) -> Iterator[str]:
    """Give what is wrong with one element of the body."""
    shape = False
    for _field, text in schema.CHECKER.errors(item, within):
        shape = True
        yield text
    if shape:
        return
    path = '%s.event' % within if within else 'event'
    doc = item['event']
    try:
        event.parse_time(doc['time'], 'time')
    except exception.InvalidEvent:
        yield sentence.invalid(path + '.time', doc['time'],
                               'Value must be an ISO 8601 time.')
    details = doc.get('details') or {}
    owners = {details[name] for name in _OWNER if details.get(name)}
    if len(owners) > 1:
        yield sentence.invalid(
            path + '.details.tenant_id', details['tenant_id'],
            'Value must be that of project_id, or omitted.')
    for name in details:
        if not 0 < len(name) <= 255:
            yield sentence.invalid(
                path + '.details', name,
                'Names must have 1 to 255 characters.')


def _build(doc: Mapping[str, Any], project_id: str | None,
           received: datetime.datetime) -> Posted:
    details = dict(doc.get('details') or {})
    named = [name for name in _OWNER if name in details]
    owner = project_id
    if named:
        # An empty one says that nobody owns the resource.
        owner = next((details[n] for n in named if details[n]), None)
    for name in _OWNER:
        details.pop(name, None)
    if details.get('hostname') and not details.get('host'):
        details['host'] = details['hostname']
    source = details.get('source')
    built = event.build(
        message_id=str(uuid.uuid4()), event_type=doc['type'],
        generated=doc['time'],
        traits={name: _trait(value) for name, value in details.items()},
        received=received, project_id=owner,
        publisher_id=source if isinstance(source, str) else PUBLISHER)
    if owner:
        built = dataclasses.replace(
            built, traits={**built.traits, 'project_id': owner})
    return Posted(built, bool(named))


def _trait(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    return value
