# SPDX-License-Identifier: Apache-2.0
"""Which alarms an event hits: keys for the look-up, conditions for the proof.

The look-up must not scan. A rule becomes *match keys* when it is stored, an
event yields its own, and a match implies that the two sets intersect.

Many alarms may share a key: all those on one host. The rest of what a rule
demands to be equal then tells them apart (:attr:`Key.names`).
"""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import fnmatch
import hashlib
import itertools
import re
from typing import Any

from doctor_alarm import condition
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

#: Among the names of a key; no trait is called so.
_RESOURCE = '\0'
_WILDCARD = re.compile(r'[*?\[]')


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
class Pattern:
    """An event type with wildcards and the conditions beside it.

    ``resource``: the event must concern it, whatever trait says so.
    """

    event_type: str
    conditions: tuple[condition.Condition, ...]
    resource: str | None = None

    @property
    def pinned(self) -> condition.Condition | None:
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
    return () if found is None else (condition.text(found),)


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


def _pattern(rule: Mapping[str, Any]) -> Pattern:
    event_type = rule.get('event_type') or '*'
    _WILDCARD.search(event_type)        # which only a text has
    return Pattern(
        event_type,
        tuple(condition.compile_query(c) for c in rule.get('query') or ()))
