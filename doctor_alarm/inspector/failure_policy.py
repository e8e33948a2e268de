# SPDX-License-Identifier: Apache-2.0
"""What a fault means: the operator's policy, a YAML file."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import fnmatch
import re
from typing import Any

from oslo_config import cfg

from doctor_alarm import document
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.inspector import resource_map
from doctor_alarm import match

PACKAGED = 'inspector/data/failure_policy.yaml'
#: In place of a state: the one that the server has.
ACTUAL = 'actual'

_KEYS = ('event_type', 'query', 'root_cause', 'affected', 'state',
         'show_host', 'tell_owners', 'unmonitored', 'actions', 'fencing')
#: What nova and neutron can be told: of the host, and of each server.
FORCE_DOWN = fault.FORCE_DOWN
RESET_STATE = fault.RESET_STATE
ACTIONS = (FORCE_DOWN, RESET_STATE, 'data_plane_status')
#: States that nova can be told.
ACTIVE = 'active'
_NOVA_STATES = ('error', ACTIVE)
#: What a condition on servers may ask for.
_FIELDS = ('id', 'name', 'project_id', 'host', 'state')
_CONDITION = ('field', 'op', 'value', 'type')
_NOWHEN = event_mod.from_us(0)

_OF_HOST = 'servers_of'
_FIND: dict[str, Callable[
        [resource_map.ResourceMap, str],
        Sequence[resource_map.Server | None]]] = {
    _OF_HOST: lambda known, value: known.servers_of(value),
    'server': lambda known, value: [known.server(value)],
    'server_of_port': lambda known, value: [known.server_of_port(value)],
}


@dataclasses.dataclass(frozen=True, slots=True)
class Affected:
    """Whom a fault hits: ``by`` which way the ``trait`` names servers."""

    by: str
    trait: str
    where: match.Rule | None

    @property
    def whole_host(self) -> bool:
        """Whether a host is named."""
        return self.by == _OF_HOST

    def value(self, event: event_mod.Event) -> str:
        """Return the host, server or port that an event is about."""
        return str(event.traits.get(self.trait) or '')

    def servers(self, event: event_mod.Event, known: resource_map.ResourceMap,
                ) -> list[resource_map.Server]:
        """Return the servers that an event affects."""
        value = self.value(event)
        found = _FIND[self.by](known, value) if value else ()
        return [server for server in found
                if server is not None and self._takes(server)]

    def _takes(self, server: resource_map.Server) -> bool:
        return self.where is None or self.where.verdict(event_mod.Event(
            message_id=server.id, event_type='server', generated=_NOWHEN,
            traits={name: getattr(server, name) for name in _FIELDS},
            project_id=server.project_id)) == match.RAISE


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry: which events, and what they mean."""

    event_types: tuple[str, ...]
    rules: tuple[match.Rule, ...]
    root_cause: str
    affected: Affected
    state: str
    show_host: bool
    unmonitored: bool
    actions: tuple[str, ...] = ()
    fencing: bool = False
    tell_owners: bool = True

    @property
    def is_over(self) -> bool:
        """Whether it says that a fault is over."""
        return self.state in (ACTUAL, ACTIVE)

    def fits(self, event: event_mod.Event) -> bool:
        """Whether it is for an event."""
        return any(rule.verdict(event) == match.RAISE for rule in self.rules)


class Policy:
    """All entries; the first that fits an event counts."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = list(entries)
        self._patterns = re.compile('|'.join(
            '(?:%s)' % fnmatch.translate(pattern)
            for entry in self._entries for pattern in entry.event_types)
            or r'(?!)')

    def concerns(self, event_type: str) -> bool:
        """Whether an entry may fit events of a type."""
        return self._patterns.match(event_type) is not None

    def find(self, event: event_mod.Event) -> Entry | None:
        """Return what an event means, if it is a fault."""
        return next((entry for entry in self._entries if entry.fits(event)),
                    None)


def load(conf: cfg.ConfigOpts) -> Policy:
    """Read the policy that the configuration names.

    :raises ConfigurationError: with file and line
    """
    return read(document.find(
        conf, 'inspector', 'failure_policy_file', PACKAGED))


def read(path: str) -> Policy:
    """Read a file.

    :raises ConfigurationError: with file and line
    """
    file = document.File(path)
    return Policy([_entry(file, item) for item in file.entries(
        'entries', 'an entry', _KEYS)])


def _entry(file: document.File, item: document.Mapping) -> Entry:
    event_types = tuple(text for _line, text in file.texts(
        item, 'event_type', single=True))
    rules = tuple(_rule(file, item, 'query', {'event_type': text})
                  for text in event_types)
    affected = _affected(file, item)
    return Entry(
        event_types=event_types, rules=rules,
        root_cause=file.text(item, 'root_cause'),
        affected=affected, state=file.text(item, 'state'),
        show_host=_flag(file, item, 'show_host'),
        unmonitored=_choice(
            file, item, 'unmonitored', ('skip', 'include')) == 'include',
        actions=_actions(file, item, affected),
        fencing=_flag(file, item, 'fencing'),
        tell_owners=_flag(file, item, 'tell_owners', default=True))


def _actions(file: document.File, item: document.Mapping,
             affected: Affected) -> tuple[str, ...]:
    if 'actions' not in item:
        return ()
    for line, name in file.texts(item, 'actions', single=True):
        if name not in ACTIONS:
            raise file.error(line, 'actions must be of %s' % (
                ', '.join(ACTIONS)))
        if name == FORCE_DOWN and not affected.whole_host:
            raise file.error(line, 'force_down needs servers_of')
        if name == RESET_STATE and item['state'] not in _NOVA_STATES:
            raise file.error(line, 'reset_state needs one of the states %s'
                             % ', '.join(_NOVA_STATES))
    return tuple(name for _line, name in file.texts(
        item, 'actions', single=True))


def _affected(file: document.File, parent: document.Mapping) -> Affected:
    value = parent.get('affected')
    line = file.line_of(parent, 'affected')
    if not isinstance(value, document.Mapping):
        raise file.error(line, 'affected must be a mapping')
    file.known_keys(value, (*_FIND, 'where'))
    ways = [way for way in _FIND if way in value]
    if len(ways) != 1:
        raise file.error(line, 'affected needs one of %s' % ', '.join(_FIND))
    where = None
    if 'where' in value:
        where = _rule(file, value, 'where', {}, _FIELDS)
    return Affected(ways[0], file.text(value, ways[0]), where)


def _rule(file: document.File, parent: document.Mapping, key: str,
          rule: dict[str, Any], fields: Sequence[str] = ()) -> match.Rule:
    """Return a rule, and with it the conditions under a key.

    :param fields: what they may ask for; default: anything
    """
    items = parent.get(key, document.List())
    line = file.line_of(parent, key)
    if not isinstance(items, document.List):
        raise file.error(line, '%s must be a list of conditions' % key)
    query = []
    for item in items:
        if not isinstance(item, document.Mapping):
            raise file.error(line, 'a condition has %s' % (
                ', '.join(_CONDITION)))
        file.known_keys(item, _CONDITION)
        found = {name: str(value) for name, value in item.items()}
        if fields and found.get('field') not in fields:
            raise file.error(file.line_of(item, 'field'), (
                'field must be one of %s' % ', '.join(fields)))
        for name in ('field', 'value'):
            if name not in found:
                raise file.error(item.line, '%s is required' % name)
        query.append(found)
    try:
        return match.compile_rule({**rule, 'query': query})
    except exception.InvalidRule as exc:
        raise file.error(line, str(exc.kwargs.get('reason', exc))) from None


def _flag(file: document.File, parent: document.Mapping, key: str,
          default: bool = False) -> bool:
    value = parent.get(key, default)
    if not isinstance(value, bool):
        raise file.error(file.line_of(parent, key),
                         '%s must be true or false' % key)
    return value


def _choice(file: document.File, parent: document.Mapping, key: str,
            choices: Sequence[str]) -> str:
    """Return one of some texts; the first one is the default."""
    value = file.text(parent, key, choices[0])
    if value not in choices:
        raise file.error(file.line_of(parent, key),
                         '%s must be one of %s' % (key, ', '.join(choices)))
    return value
