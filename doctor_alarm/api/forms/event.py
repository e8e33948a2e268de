# SPDX-License-Identifier: Apache-2.0
"""Events that detectors post, between JSON and the value that flows.

Monitors say the same in several ways: ``{"event": {...}}`` (OPNFV Doctor's
specification), ``{"events": [...]}``, a bare event (Vitrage), a list of bare
events (Doctor's own monitors).
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import itertools
import json
from typing import Any
import uuid

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.schemas import event as schema
from doctor_alarm.schemas import sentence

#: Whose clock ``time`` is where ``details`` do not tell.
PUBLISHER = 'api'
#: What is wrong is said of so many fields, and looked for no further: a bulk
#: may have thousands, and to find words takes a hundred times as long as to
#: find that all is well.
COMPLAINTS = 20

#: Details that name the owner of the resource.
_OWNER = ('project_id', 'tenant_id')


@dataclasses.dataclass(frozen=True, slots=True)
class Post:
    """What is known of a post besides its body.

    ``project_id``: owner where an event names none;
    ``trusted``: the poster may speak of what belongs to others;
    ``zone``: of times that tell none.
    """

    project_id: str | None
    received: datetime.datetime
    trusted: bool = True
    zone: datetime.tzinfo = datetime.timezone.utc


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """An event of the body, checked but for its contents.

    ``path``: where in the body it stands, for sentences;
    ``cause``: what tells a repetition from news, if something else does than
    the details.
    """

    path: str
    doc: Any
    cause: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Posted:
    """An event and whether it names its owner itself."""

    event: event.Event
    names_owner: bool


def parse(doc: Any, post: Post) -> list[Posted]:
    """Return the events of a body: all of them or none.

    :raises Invalid: names index and field of what is wrong
    """
    found: list[Told] = []
    complaints: list[str] = []
    for path, item in _elements(doc):
        if len(complaints) > COMPLAINTS:
            break
        wrong = None
        if isinstance(item, dict) and (
                'event' in item or not {'time', 'type'} & item.keys()):
            wrong = [text for _field, text in itertools.islice(
                schema.WRAPPED_CHECKER.errors(item, path), COMPLAINTS + 1)]
            complaints += wrong
            path, item = join(path, 'event'), item.get('event')
        if not wrong:
            found.append(Told(path, item))
    return build(found, post, complaints)


def build(found: Iterable[Told], post: Post,
          complaints: Sequence[str] = ()) -> list[Posted]:
    """Return what was told as events: all or none.

    :param complaints: what is wrong already
    :raises TooLarge: of some there is too much, and nothing else is wrong
    :raises Invalid: names index and field of what is wrong
    """
    events: list[Posted] = []
    said, large = list(complaints), 0
    for told in found:
        if len(said) > COMPLAINTS:
            break
        wrong = list(itertools.islice(_wrong(told, post), COMPLAINTS + 1))
        said += wrong
        if wrong:
            continue
        try:
            events.append(_build(told, post))
        except exception.Invalid as exc:
            said.append('%s: %s' % (told.path, exc) if told.path
                        else str(exc))
            large += isinstance(exc, exception.TooLarge)
    if said:
        sentences = ' '.join(said[:COMPLAINTS]) + (
            ' And more.' if len(said) > COMPLAINTS else '')
        if large == len(said):
            raise exception.TooLarge(sentences)
        raise exception.Invalid(sentences)
    return events


def join(path: str, name: str) -> str:
    """Return the path of what is below a part of the body."""
    return '%s.%s' % (path, name) if path else name


def _elements(doc: Any) -> Iterator[tuple[str, Any]]:
    """Give (path, element) of whatever form the body has."""
    if isinstance(doc, list):
        checker, name, items = schema.LIST_CHECKER, '', doc
    elif isinstance(doc, dict) and 'events' in doc:
        checker, name, items = schema.BULK_CHECKER, 'events', doc['events']
    else:
        yield '', doc
        return
    wrong = checker.first(doc)
    if wrong:
        raise exception.Invalid(wrong)
    for index, item in enumerate(items):
        yield '%s[%d]' % (name, index), item


def _wrong(told: Told, post: Post) -> Iterator[str]:
    """Give what is wrong with an event."""
    shape = False
    for _field, text in schema.CHECKER.errors(told.doc, told.path):
        shape = True
        yield text
    if shape:
        return
    try:
        event.parse_time(told.doc['time'], 'time', post.zone)
    except exception.InvalidEvent:
        yield sentence.invalid(join(told.path, 'time'), told.doc['time'],
                               'Value must be an ISO 8601 time.')
    details, path = told.doc.get('details') or {}, join(told.path, 'details')
    owners = {details[name] for name in _OWNER if details.get(name)}
    if len(owners) > 1:
        yield sentence.invalid(
            path + '.tenant_id', details['tenant_id'],
            'Value must be that of project_id, or omitted.')
    for name in details:
        if not 0 < len(name) <= 255:
            yield sentence.invalid(
                path, name, 'Names must have 1 to 255 characters.')


def _build(told: Told, post: Post) -> Posted:
    doc = told.doc
    details = dict(doc.get('details') or {})
    named = [name for name in _OWNER if name in details]
    owner = post.project_id
    if named:
        # An empty one says that nobody owns the resource.
        owner = next((details[n] for n in named if details[n]), None)
    for name in _OWNER:
        details.pop(name, None)
    if details.get(fault.HOSTNAME) and not details.get('host'):
        details['host'] = details[fault.HOSTNAME]
    if 'id' in doc:
        details.setdefault('id', doc['id'])
    source = details.get(fault.SOURCE)
    when = event.parse_time(doc['time'], 'time', post.zone)
    built = event.build(event.Parts(
        message_id=message_id(
            post, owner, told.cause or _cause(doc['type'], details, when)),
        event_type=doc['type'], generated=when,
        traits={name: _trait(value) for name, value in details.items()},
        project_id=owner,
        publisher_id=source if isinstance(source, str) else PUBLISHER),
        received=post.received)
    if owner:
        built = dataclasses.replace(
            built, traits={**built.traits, 'project_id': owner})
    return Posted(dataclasses.replace(built, trusted=post.trusted),
                  bool(named))


def _cause(event_type: str, details: Mapping[str, Any],
           when: datetime.datetime) -> tuple[str, ...] | None:
    """Return what a repetition has in common with the first, if it is known.

    The monitors of OPNFV Doctor give every host the same monitor_event_id
    and have no monitor_id: of them nothing is taken for a repetition.
    """
    parts = [details.get(name) for name in fault.IDENTITY]
    if any(part in (None, '') for part in parts):
        return None
    return (event_type, event.to_iso(when), *map(str, parts))


def message_id(post: Post, owner: str | None,
               cause: tuple[str, ...] | None) -> str:
    """Return the id of an event: the same for a repetition.

    It is that of the poster as well, or a tenant could say first, in other
    words, what a monitor of the operator will say.
    """
    if cause is None:
        return str(uuid.uuid4())
    return event.derived_id('posted', json.dumps(
        [post.trusted, post.project_id, owner, *cause]))


def _trait(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    return value
