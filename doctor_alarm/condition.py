# SPDX-License-Identifier: Apache-2.0
"""One condition of a query: a field of the event, compared with a value."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import operator
from typing import Any

from oslo_utils import strutils

from doctor_alarm import event as event_mod
from doctor_alarm import exception

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    'eq': operator.eq, 'ne': operator.ne, 'lt': operator.lt,
    'le': operator.le, 'gt': operator.gt, 'ge': operator.ge}
TYPES = ('', 'string', 'integer', 'float', 'boolean', 'datetime')

_TRAIT = 'traits.'
_ATTRIBUTES: dict[str, Callable[[event_mod.Event], Any]] = {
    'event_type': operator.attrgetter('event_type'),
    'message_id': operator.attrgetter('message_id'),
    'generated': operator.attrgetter('generated'),
    'project_id': operator.attrgetter('project_id'),
    'publisher_id': operator.attrgetter('publisher_id'),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a query: ``field op value``, compared as ``type``."""

    field: str
    op: str
    value: str
    type: str
    wanted: Any

    @property
    def trait(self) -> str | None:
        """The trait that it asks for, ``None``: an attribute."""
        if self.field.startswith(_TRAIT):
            return self.field[len(_TRAIT):]
        return None if self.field in _ATTRIBUTES else self.field

    @property
    def pin(self) -> str | None:
        """The resource ID that it pins the rule to, if it does."""
        # An empty value names no resource: events do not yield it.
        if (self.op == 'eq' and self.value and self.type in ('', 'string')
                and self.trait in event_mod.IDENTITY_TRAITS):
            return self.value
        return None

    @property
    def is_literal(self) -> bool:
        """Whether it holds exactly if the trait's text is :attr:`value`.

        Without a type "7" equals 7.0 as well, and "true" equals "True".
        """
        if self.op != 'eq' or self.type not in ('', 'string'):
            return False
        if self.type == 'string' or self.trait in event_mod.IDENTITY_TRAITS:
            return True
        return not (self.value.lower() in ('true', 'false')
                    or _reads(_number, self.value)
                    or _reads(_datetime, self.value))

    def holds(self, event: event_mod.Event) -> bool:
        """Whether the event fulfils the condition.

        A missing trait fulfils nothing but ``ne``; a value that can not be
        read as the type of the query is unequal to everything.
        """
        found = self.value_in(event)
        if found is None:
            return self.op == 'ne'
        try:
            left, right = self._comparable(found)
            return OPERATORS[self.op](left, right)
        except (ValueError, TypeError, OverflowError,
                exception.InvalidEvent):
            return self.op == 'ne'

    def value_in(self, event: event_mod.Event) -> Any:
        """Return what the event has for the field, or ``None``."""
        trait = self.trait
        if trait is None:
            return _ATTRIBUTES[self.field](event)
        return event.traits.get(trait)

    def _comparable(self, found: Any) -> tuple[Any, Any]:
        if self.type:
            return _READ[self.type](found), self.wanted
        return self._as_found(found)

    def _as_found(self, found: Any) -> tuple[Any, Any]:
        """Without a type in the query that of the trait decides."""
        try:
            if isinstance(found, int | float):
                return found, _number(self.value)
            if isinstance(found, datetime.datetime):
                return found, _datetime(self.value)
        except (ValueError, exception.InvalidEvent):
            return text(found), self.value
        if (found in ('True', 'False')
                and self.trait not in event_mod.IDENTITY_TRAITS):
            return found.lower(), self.value.lower()
        return found, self.value


def compile_query(query: Mapping[str, Any]) -> Condition:
    """Compile one condition of a stored query.

    :raises InvalidRule: names the field and what is wrong with it
    """
    field, op = query['field'], query.get('op') or 'eq'
    value, kind = query['value'], query.get('type') or ''
    if op not in OPERATORS:
        raise exception.InvalidRule(
            reason='operator "%s" of "%s" is not one of %s' % (
                op, field, ', '.join(OPERATORS)))
    if kind not in TYPES:
        raise exception.InvalidRule(
            reason='type "%s" of "%s" is not one of %s' % (
                kind, field, ', '.join(TYPES[1:])))
    try:
        wanted = _WANTED[kind](value) if kind else value
    except (ValueError, TypeError, OverflowError,
            exception.InvalidEvent):
        raise exception.InvalidRule(
            reason='value "%s" of "%s" is not of type %s' % (
                value, field, kind)) from None
    return Condition(field, op, str(value), kind, wanted)


def text(value: Any) -> str:
    """Return the value of a trait as it is compared with a text."""
    if isinstance(value, datetime.datetime):
        return event_mod.to_iso(value)
    return str(value)


def _reads(read: Callable[[Any], Any], value: str) -> bool:
    try:
        read(value)
    except (ValueError, OverflowError, exception.InvalidEvent):
        return False
    return True


def _number(value: Any) -> int | float:
    if isinstance(value, datetime.datetime):
        raise ValueError
    if isinstance(value, int | float):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _integer(value: Any) -> int | float:
    number = _number(value)
    # 1.5 of an event stays what it is: unequal to 1, greater than 1.
    return int(number) if float(number).is_integer() else number


def _boolean(value: Any) -> bool:
    return bool(strutils.bool_from_string(value, strict=True))


def _datetime(value: Any) -> datetime.datetime:
    return event_mod.parse_time(value, 'value')


_READ: dict[str, Callable[[Any], Any]] = {
    'string': text, 'integer': _integer, 'float': _number,
    'boolean': _boolean, 'datetime': _datetime}
_WANTED: dict[str, Callable[[Any], Any]] = {**_READ, 'integer': int}
