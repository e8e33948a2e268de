# SPDX-License-Identifier: Apache-2.0
"""Which alarms an event hits: keys for the look-up, conditions for the proof.

The look-up must not scan. A rule becomes *match keys* when it is stored, an
event yields its own, and a match implies that the two sets intersect.

Many alarms may share a key: all those on one host. The rest of what a rule
demands to be equal then tells them apart (:attr:`Key.names`).
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import fnmatch
import hashlib
import itertools
import operator
import re
from typing import Any

from oslo_utils import strutils

from doctor_alarm import event as event_mod
from doctor_alarm import exception

RAISE = 'raise'
CLEAR = 'clear'
#: Of rules with ``timeout``: from now on the expected event is waited for.
START = 'start'
#: It came, and from now on the next one is waited for.
RESTART = 'restart'
#: It did not come; no event says so.
TIMEOUT = 'timeout'
#: Seconds of a ``timeout`` at most: a year.
MAX_TIMEOUT = 365 * 86400
#: Scope of a rule that takes the events of all projects, and of none.
CLOUD = 'cloud'

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    'eq': operator.eq, 'ne': operator.ne, 'lt': operator.lt,
    'le': operator.le, 'gt': operator.gt, 'ge': operator.ge}
TYPES = ('', 'string', 'integer', 'float', 'boolean', 'datetime')

_TRAIT = 'traits.'
#: Among the names of a key; no trait is called so.
_RESOURCE = '\0'
_WILDCARD = re.compile(r'[*?\[]')
_ATTRIBUTES: dict[str, Callable[[event_mod.Event], Any]] = {
    'event_type': operator.attrgetter('event_type'),
    'message_id': operator.attrgetter('message_id'),
    'generated': operator.attrgetter('generated'),
    'project_id': operator.attrgetter('project_id'),
    'publisher_id': operator.attrgetter('publisher_id'),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """By what an alarm is looked up.

    ``plain``: 64-bit signed, from the resource, the type or the project.
    ``names``: traits that must have exactly the ``values`` as text besides,
    an empty name is the event type, :data:`_RESOURCE` any identity.
    """

    plain: int
    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def refined(self) -> int:
        """The key of the alarm where too many share the plain one."""
        return _refine(self.plain, self.names, self.values)


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
            return _string(found), self.value
        if (found in ('True', 'False')
                and self.trait not in event_mod.IDENTITY_TRAITS):
            return found.lower(), self.value.lower()
        return found, self.value


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """An event type with wildcards and the conditions beside it.

    ``resource``: the event must concern it, whatever trait says so.
    """

    event_type: str
    conditions: tuple[Condition, ...]
    resource: str | None = None

    @property
    def pinned(self) -> Condition | None:
        """The condition that pins it to the most telling resource ID."""
        found = {c.trait: c for c in reversed(self.conditions)
                 if c.pin is not None}
        for trait in event_mod.IDENTITY_TRAITS:
            if trait in found:
                return found[trait]
        return None

    @property
    def pin(self) -> str | None:
        """The most telling resource ID that it is pinned to."""
        if self.resource is not None:
            return self.resource
        pinned = self.pinned
        return None if pinned is None else pinned.pin

    def hits(self, event: event_mod.Event) -> bool:
        """Whether type and all conditions fit."""
        return (fnmatch.fnmatchcase(event.event_type, self.event_type)
                and (self.resource is None
                     or self.resource in event.identities)
                and all(c.holds(event) for c in self.conditions))

    def key(self, project_id: str | None) -> Key:
        """Return the match key: any event that it hits yields it.

        :param project_id: ``None``: the events of all projects
        """
        equal = {
            c.trait: c.value for c in reversed(self.conditions)
            if c.trait is not None and c.is_literal}
        exact = not _WILDCARD.search(self.event_type)
        pinned = self.pinned
        if exact:
            equal[''] = self.event_type
        if project_id is None:
            # One for all of them: an event must not yield twice as many
            # keys for the sake of a few alarms. What is equal tells them
            # apart where they are many.
            plain = _CLOUD
            if self.resource is not None:
                equal[_RESOURCE] = self.resource
        elif self.resource is not None:
            plain = _key(project_id, 'resource', self.resource)
        elif pinned is not None:
            plain = _key(project_id, 'resource', pinned.value)
            equal.pop(pinned.trait or '', None)
        elif exact:
            plain = _key(project_id, 'type', self.event_type)
            del equal['']
        else:
            plain = _key(project_id, 'any')
        names = tuple(sorted(equal))
        return Key(plain, names, tuple(equal[name] for name in names))


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A compiled ``event_rule``: what raises the alarm, what clears it.

    ``cloud``: events of all projects, and of none, may hit it.
    ``timeout``: seconds after which it is raised by no event but the absence
    of one that clears; 0: it is not. They count from one that ``starts``;
    ``None``: from one that clears, whatever resource they are about.
    """

    raises: Pattern | None
    clears: Pattern | None
    cloud: bool = False
    starts: Pattern | None = None
    timeout: int = 0

    @property
    def patterns(self) -> list[Pattern]:
        """All of them that there are."""
        return [pattern for pattern in (
            self.raises, self.clears, self.starts) if pattern is not None]

    def concerns(self, project_id: str, event: event_mod.Event) -> bool:
        """Whether the event is any business of an alarm of a project.

        What a tenant made up is the business of that tenant alone.
        """
        return project_id == event.project_id or (
            self.cloud and event.trusted)

    def verdict(self, event: event_mod.Event) -> str | None:
        """Return what the event is to the alarm.

        ``RAISE``, ``CLEAR``, ``START``, ``RESTART`` or ``None``.
        """
        if self.raises is not None and self.raises.hits(event):
            return RAISE
        clears = self.clears is not None and self.clears.hits(event)
        if self.timeout:
            starts = (clears if self.starts is None
                      else self.starts.hits(event))
            if starts:
                return RESTART if clears else START
        return CLEAR if clears else None


def compile_rule(rule: Mapping[str, Any]) -> Rule:
    """Compile the stored form of an event rule.

    Whatever is wrong with it is wrong with this alarm alone.

    ``clear`` and ``after`` inherit the resource that the rule is pinned to,
    unless they ask for the same trait themselves.

    :raises InvalidRule: names the condition that is wrong
    """
    try:
        return _compile(rule)
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise exception.InvalidRule(
            reason='%s: %s' % (type(exc).__name__, exc)) from exc


def _compile(rule: Mapping[str, Any]) -> Rule:
    cloud = rule.get('scope') == CLOUD
    resource = rule.get('resource_id') or None
    main = dataclasses.replace(_pattern(rule), resource=resource)
    clear, after = rule.get('clear'), rule.get('after')
    timeout = _timeout(rule)
    if not timeout:
        return Rule(main, _beside(main, clear) if clear else None, cloud)
    return Rule(None, main, cloud, timeout=timeout,
                starts=_beside(main, after) if after else None)


def _timeout(rule: Mapping[str, Any]) -> int:
    """Return the seconds of a rule with ``timeout``, 0 of another one."""
    timeout = rule.get('timeout')
    if timeout is None:
        if rule.get('after'):
            raise exception.InvalidRule(reason='after needs a timeout')
        return 0
    if type(timeout) is not int or not 1 <= timeout <= MAX_TIMEOUT:
        raise exception.InvalidRule(
            reason='timeout must be whole seconds, at least 1 and at most %d'
            % MAX_TIMEOUT)
    if rule.get('clear'):
        raise exception.InvalidRule(
            reason='clear and timeout exclude each other: the expected event '
                   'clears')
    return timeout


def _beside(main: Pattern, rule: Mapping[str, Any]) -> Pattern:
    """Compile the other pattern of a rule; it inherits the resource."""
    pattern = _pattern(rule)
    own = {c.trait for c in pattern.conditions}
    inherited = tuple(
        c for c in main.conditions
        if c.pin is not None and c.trait not in own)
    return dataclasses.replace(
        pattern, conditions=inherited + pattern.conditions,
        resource=main.resource)


def keys_of_alarm(project_id: str, rule: Mapping[str, Any]) -> list[Key]:
    """Return the match keys of an alarm, those of each of its patterns.

    :raises InvalidRule: see :func:`compile_rule`
    """
    compiled = compile_rule(rule)
    owner = None if compiled.cloud else project_id
    return list(dict.fromkeys(
        pattern.key(owner) for pattern in compiled.patterns))


def keys_of_event(event: event_mod.Event) -> frozenset[int]:
    """Return the plain match keys of an event, 64-bit signed.

    An event that nobody owns concerns no project, but the cloud.
    """
    if not event.project_id:
        return _NOBODY
    project = event.project_id
    return frozenset(
        [_CLOUD, _key(project, 'any'), _key(project, 'type', event.event_type)]
        + [_key(project, 'resource', value) for value in event.identities])


def refined_keys(plain: int, names: Sequence[str],
                 event: event_mod.Event) -> list[int]:
    """Return the keys of alarms that demand these traits to be equal.

    None if the event lacks one of the traits, several if it has several
    resource IDs and one of them is demanded.
    """
    return [_refine(plain, names, values) for values in itertools.product(
        *(_values(name, event) for name in names))]


def _values(name: str, event: event_mod.Event) -> Collection[str]:
    if name == _RESOURCE:
        return event.identities
    found = event.traits.get(name) if name else event.event_type
    return () if found is None else (_string(found),)


def resource_key(resource_id: str) -> int:
    """Return the 64-bit signed number that stands for a resource."""
    return _key('', 'resource', resource_id)


def _key(*parts: str) -> int:
    digest = hashlib.blake2b(
        '\x1f'.join(parts).encode('utf-8', 'surrogatepass'), digest_size=8)
    return int.from_bytes(digest.digest(), 'big', signed=True)


_CLOUD = _key('', 'cloud')
_NOBODY = frozenset((_CLOUD,))


def _refine(plain: int, names: Sequence[str],
            values: Sequence[str]) -> int:
    return _key(str(plain), *names, '', *values)


def _reads(read: Callable[[Any], Any], value: str) -> bool:
    try:
        read(value)
    except (ValueError, OverflowError, exception.InvalidEvent):
        return False
    return True


def _pattern(rule: Mapping[str, Any]) -> Pattern:
    event_type = rule.get('event_type') or '*'
    _WILDCARD.search(event_type)        # which only a text has
    return Pattern(
        event_type,
        tuple(_condition(c) for c in rule.get('query') or ()))


def _condition(query: Mapping[str, Any]) -> Condition:
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


def _string(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return event_mod.to_iso(value)
    return str(value)


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
    'string': _string, 'integer': _integer, 'float': _number,
    'boolean': _boolean, 'datetime': _datetime}
_WANTED: dict[str, Callable[[Any], Any]] = {**_READ, 'integer': int}
