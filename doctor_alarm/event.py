# SPDX-License-Identifier: Apache-2.0
"""The event: the one immutable value object that flows through the service."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import enum
import math
import re
import time
from typing import Any
import uuid

from oslo_utils import timeutils

from doctor_alarm import exception
from doctor_alarm import redact

TraitValue = str | int | float | datetime.datetime

#: Traits that name a resource. Alarms that pin one of them with ``eq`` are
#: looked up by its value. In order of preference: the first one that an event
#: carries is the resource that the event is about.
IDENTITY_TRAITS = (
    'resource_id', 'instance_id', 'port_id', 'volume_id', 'network_id',
    'router_id', 'floatingip_id', 'loadbalancer_id', 'image_id', 'host',
    'hostname', 'service_id')

#: A ``generated`` later than this after reception is taken for reception, so
#: that a wrong clock can not freeze the state of a resource until then.
MAX_AHEAD = datetime.timedelta(seconds=5)

#: Names of ids derived from what caused them are made in this namespace.
NAMESPACE = uuid.UUID('6a0f3c0e-7a41-5d0e-9a51-2f6d6e5a7c11')

#: Characters of all traits of an event. What is stored for each event, and
#: held by each notifier that delivers it, stays far below a message's size.
MAX_SIZE = 65536

_PLAIN_ID = re.compile(r'[\x21-\x7e]{1,64}')
_INT64 = 2 ** 63


class TraitType(enum.IntEnum):
    """Types of traits as Ceilometer numbers them on the wire."""

    TEXT = 1
    INTEGER = 2
    FLOAT = 3
    DATETIME = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a resource.

    ``message_id`` is that of the original notification, at most 64 printable
    ASCII characters. ``generated`` is aware, UTC. ``project_id`` is the owner
    of the resource, never the requester; ``None``: nobody's (a host).
    ``publisher_id`` tells whose clock ``generated`` is.
    ``transformed_at``: microseconds since the epoch, UTC; when the service
    made the event out of what it received.
    ``trusted``: who told of it may speak of what is not its own. What a mere
    member of a project posted concerns the alarms of that project alone, also
    where others have alarms on the events of all projects.
    """

    message_id: str
    event_type: str
    generated: datetime.datetime
    traits: Mapping[str, TraitValue]
    project_id: str | None = None
    publisher_id: str = ''
    raw: Mapping[str, Any] | None = None
    transformed_at: int = 0
    trusted: bool = True

    @property
    def resource_id(self) -> str:
        """The resource that the event is about, or an empty string."""
        for name in IDENTITY_TRAITS:
            value = self.traits.get(name)
            if value:
                return str(value)
        return ''

    @property
    def identities(self) -> frozenset[str]:
        """Every resource ID that the event carries."""
        return frozenset(
            str(self.traits[name]) for name in IDENTITY_TRAITS
            if self.traits.get(name))

    @property
    def generated_us(self) -> int:
        """``generated`` in microseconds since the epoch."""
        return to_us(self.generated)

    def as_dict(self) -> dict[str, Any]:
        """Return the event as receivers see it (Aodh's ``reason_data``)."""
        return {
            'message_id': self.message_id,
            'event_type': self.event_type,
            'generated': to_iso(self.generated),
            'traits': [
                [name, _NUMBERS.get(type(value)) or int(trait_type(value)),
                 _trait_out(value)]
                for name, value in sorted(self.traits.items())],
        }

    def to_wire(self) -> dict[str, Any]:
        """Return the event in Ceilometer's form, plus what only we carry."""
        doc = self.as_dict()
        doc['raw'] = dict(self.raw or {})
        doc['message_signature'] = ''
        doc['project_id'] = self.project_id
        doc['publisher_id'] = self.publisher_id
        doc['transformed_at'] = self.transformed_at
        if not self.trusted:
            doc['trusted'] = False
        return doc

    @classmethod
    def from_wire(cls, doc: Any, *, received: datetime.datetime,
                  publisher_id: str = '', clean: bool = False) -> Event:
        """Build an event from Ceilometer's form or ours.

        :param received: aware, UTC; bounds how far ahead the event may be
        :param clean: it comes from a part of this service
        :raises InvalidEvent: names the part that is wrong
        """
        if not isinstance(doc, Mapping):
            raise exception.InvalidEvent(reason='an event is an object')
        traits = _traits_in(doc.get('traits', []))
        found = build(Parts(
            message_id=doc.get('message_id'),
            event_type=doc.get('event_type'),
            generated=doc.get('generated'), traits=traits,
            project_id=doc.get('project_id'),
            publisher_id=doc.get('publisher_id') or publisher_id,
            raw=doc.get('raw') or None,
            transformed_at=doc.get('transformed_at') or 0),
            received=received, clean=clean)
        if doc.get('trusted', True) is True:
            return found
        return dataclasses.replace(found, trusted=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What somebody says of an event; nothing of it has been checked.

    ``generated`` may be a datetime or an ISO 8601 text (naive is UTC).
    """

    message_id: Any
    event_type: Any
    generated: Any
    traits: Mapping[str, Any]
    project_id: Any = None
    publisher_id: Any = ''
    raw: Any = None
    transformed_at: Any = 0


def build(parts: Parts, *, received: datetime.datetime,
          clean: bool = False) -> Event:
    """Build an event from parts that come from outside.

    Generated later than ``received`` by more than :data:`MAX_AHEAD` it is of
    ``received``, and the original kept as the trait ``generated_original``.
    Booleans and other JSON values among the traits become text, ``None`` is
    left out, and so is what :mod:`doctor_alarm.redact` takes for a secret,
    unless the event is ``clean`` already.

    :raises InvalidEvent: names the part that is wrong
    """
    event_type, message_id = parts.event_type, parts.message_id
    if not isinstance(event_type, str) or not 0 < len(event_type) <= 255:
        raise exception.InvalidEvent(
            reason='event_type must be a text of 1 to 255 characters')
    if not isinstance(message_id, str) or not message_id:
        raise exception.InvalidEvent(reason='message_id must be a text')
    if parts.raw is not None and not isinstance(parts.raw, Mapping):
        raise exception.InvalidEvent(reason='raw must be an object')
    traits = _traits_of(parts.traits, clean)
    when = parse_time(parts.generated, 'generated')
    if when > received + MAX_AHEAD:
        traits['generated_original'] = to_iso(when)
        # Not later: what follows at once must not seem to be older.
        when = received
    owner = (parts.project_id or traits.get('project_id')
             or traits.get('tenant_id'))
    return Event(
        message_id=plain_id(message_id), event_type=plain_text(event_type),
        generated=when, traits=traits,
        project_id=plain_text(str(owner)) if owner else None,
        publisher_id=plain_text(str(parts.publisher_id or ''))[:255],
        raw=parts.raw if clean else redact.tree(parts.raw),
        transformed_at=_transformed_at(parts.transformed_at, received))


def _transformed_at(told: Any, received: datetime.datetime) -> int:
    latest = to_us(received + MAX_AHEAD)
    if isinstance(told, int) and 0 < told <= latest:
        return told
    return to_us(received)


def _traits_of(traits: Mapping[str, Any],
               clean: bool) -> dict[str, TraitValue]:
    kept = {
        plain_text(name): coerce_trait(name, value)
        for name, value in traits.items() if value is not None and name}
    if not clean:
        kept = _without_secrets(kept)
    if sum(len(name) + len(str(value)) for name, value in kept.items(
            )) > MAX_SIZE:
        raise exception.EventTooLarge(
            reason='the traits have more than %d characters' % MAX_SIZE)
    return kept


def _without_secrets(
        traits: Mapping[str, TraitValue]) -> dict[str, TraitValue]:
    return {
        name: redact.text(value) if isinstance(value, str) else value
        for name, value in traits.items() if not redact.is_secret_key(name)}


def plain_id(message_id: str) -> str:
    """Return an id that every table takes; a stable stand-in for others."""
    if _PLAIN_ID.fullmatch(message_id):
        return message_id
    return derived_id('message_id', message_id)


def plain_text(text: str) -> str:
    """Return a text that every database and encoder takes."""
    if not text.isascii():
        text = text.encode('utf-8', 'replace').decode('utf-8')
    return text.replace('\0', '\ufffd') if '\0' in text else text


def derived_id(*cause: str) -> str:
    """Return the id of what follows from a cause: same cause, same id."""
    return str(uuid.uuid5(NAMESPACE, plain_text('\x1f'.join(cause))))


def coerce_trait(name: str, value: Any) -> TraitValue:
    """Return a trait value in one of the four types of the wire."""
    if isinstance(value, bool):
        return 'True' if value else 'False'
    if name in IDENTITY_TRAITS:
        return plain_text(str(value))
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime):
        return as_utc(value)
    return plain_text(str(value))


def trait_type(value: TraitValue) -> TraitType:
    """Return the type number of a trait value."""
    if isinstance(value, int):
        return TraitType.INTEGER
    if isinstance(value, float):
        return TraitType.FLOAT
    if isinstance(value, datetime.datetime):
        return TraitType.DATETIME
    return TraitType.TEXT


#: Without the detour over the enumeration, which is slow on Python 3.11.
_NUMBERS: dict[type, int] = {
    kind: int(number) for kind, number in (
        (str, TraitType.TEXT), (int, TraitType.INTEGER),
        (float, TraitType.FLOAT), (datetime.datetime, TraitType.DATETIME))}


def as_utc(when: datetime.datetime,
           zone: datetime.tzinfo = datetime.timezone.utc,
           ) -> datetime.datetime:
    """Return an aware UTC time.

    :param zone: of a naive one
    """
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    if when.tzinfo is datetime.timezone.utc:
        return when
    try:
        return when.astimezone(datetime.timezone.utc)
    except OverflowError:
        raise exception.InvalidEvent(
            reason='%s is out of range' % when) from None


def parse_time(value: Any, field: str,
               zone: datetime.tzinfo = datetime.timezone.utc,
               ) -> datetime.datetime:
    """Return an aware UTC time from a datetime or an ISO 8601 text.

    :param zone: of a time that tells none
    :raises InvalidEvent: with the name of the field
    """
    if isinstance(value, datetime.datetime):
        return as_utc(value, zone)
    if isinstance(value, str):
        try:
            # Takes every ISO 8601 form that OpenStack emits, quickly.
            return as_utc(datetime.datetime.fromisoformat(value), zone)
        except ValueError:
            pass
        try:
            return as_utc(timeutils.parse_isotime(value))
        except ValueError:
            pass
    raise exception.InvalidEvent(
        reason='%s must be an ISO 8601 time' % field)


def to_us(when: datetime.datetime) -> int:
    """Return microseconds since the epoch of an aware time."""
    return (when - _EPOCH) // _MICROSECOND


def now_us() -> int:
    """Return the time in microseconds since the epoch."""
    return time.time_ns() // 1000


def from_us(us: int) -> datetime.datetime:
    """Return the aware UTC time of microseconds since the epoch."""
    return _EPOCH + datetime.timedelta(microseconds=us)


def to_iso(when: datetime.datetime) -> str:
    """Return the naive ISO 8601 form that OpenStack uses on the wire."""
    return when.replace(tzinfo=None).isoformat()


def _trait_out(value: TraitValue) -> str | int | float:
    return to_iso(value) if isinstance(value, datetime.datetime) else value


def _traits_in(traits: Any) -> dict[str, TraitValue]:
    if not isinstance(traits, Iterable) or isinstance(traits, str | Mapping):
        raise exception.InvalidEvent(reason='traits must be a list')
    found = {}
    for number, trait in enumerate(traits):
        try:
            name, dtype, value = trait
            if not isinstance(name, str):
                raise TypeError
            found[name] = _READ[dtype](value)
        except (TypeError, ValueError, KeyError, OverflowError,
                exception.InvalidEvent):
            # The value may be a secret, so it is not quoted.
            raise exception.InvalidEvent(
                reason='trait %d is not [name, type 1 to 4, value of it]'
                % number) from None
    return found


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
_READ: dict[Any, Callable[[Any], TraitValue]] = {
    TraitType.TEXT: str,
    TraitType.INTEGER: _integer,
    TraitType.FLOAT: float,
    TraitType.DATETIME: lambda value: parse_time(value, 'trait'),
}
