# SPDX-License-Identifier: Apache-2.0
"""Which fields of a notification become traits: Ceilometer's definitions.

The file is a list; of the definitions that match an event type the last one
counts. Differences from Ceilometer: texts are not cropped, an empty text is no
value, a trait whose value does not fit its type is left out (not the event),
and the context has no project, because the owner of a resource is not who
made the request.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import fnmatch
import re
from typing import Any

from oslo_config import cfg

from doctor_alarm.agent import jsonpath
from doctor_alarm.agent import trait_plugins
from doctor_alarm import document
from doctor_alarm import event
from doctor_alarm import exception

#: What every event has, if the notification has it.
DEFAULT_TRAITS = {
    'service': ('publisher_id',),
    'request_id': ('ctxt.request_id', 'payload.request_id'),
    'project_id': ('payload.tenant_id', 'payload.project_id'),
    'tenant_id': ('payload.tenant_id', 'payload.project_id'),
    'user_id': ('payload.user_id', 'ctxt.user_id'),
}

_CACHED = 4096


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _time(value: Any) -> Any:
    return event.parse_time(value, 'trait')


TYPES: dict[str, Callable[[Any], Any]] = {
    'text': _text, 'int': int, 'float': float, 'datetime': _time}


@dataclasses.dataclass(frozen=True, slots=True)
class Trait:
    """One trait: where its value is and what it becomes."""

    name: str
    find: Callable[[Any], Any]
    convert: Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """Event types by shell patterns; a leading ``!`` excludes."""

    included: re.Pattern[str] | None
    excluded: re.Pattern[str] | None

    @classmethod
    def of(cls, patterns: list[str]) -> Filter:
        """Compile patterns; only exclusions mean all but those."""
        excluded = [text[1:] for text in patterns if text.startswith('!')]
        included = [text for text in patterns if not text.startswith('!')]
        if '*' in included or not included:
            return cls(None, _any_of(excluded))
        return cls(_any_of(included), _any_of(excluded))

    def matches(self, event_type: str) -> bool:
        """Whether an event type passes."""
        if self.excluded is not None and self.excluded.match(event_type):
            return False
        return self.included is None or bool(self.included.match(event_type))


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """The traits of the event types that it is for."""

    filter: Filter
    traits: tuple[Trait, ...]

    def traits_of(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the traits of a notification in canonical form."""
        found = {}
        for trait in self.traits:
            value = trait.find(body)
            if value is None:
                continue
            try:
                found[trait.name] = trait.convert(value)
            except (ValueError, TypeError, OverflowError,
                    exception.InvalidEvent):
                continue
        return found


class Definitions:
    """All definitions of a file, found by event type.

    :param keep_unmatched: without a definition there are the default traits
    """

    def __init__(self, definitions: list[Definition],
                 keep_unmatched: bool = True) -> None:
        self._definitions = list(reversed(definitions))
        if keep_unmatched:
            self._definitions.append(
                Definition(Filter.of(['*']), _default_traits({})))
        self._cache: dict[str, Definition | None] = {}

    def find(self, event_type: str) -> Definition | None:
        """Return the definition that counts for an event type, if any."""
        try:
            return self._cache[event_type]
        except KeyError:
            pass
        found = next((definition for definition in self._definitions
                      if definition.filter.matches(event_type)), None)
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[event_type] = found
        return found


def load(conf: cfg.ConfigOpts) -> Definitions:
    """Read the definitions that the configuration names.

    :raises ConfigurationError: with file and line
    """
    path = document.find(conf, 'event', 'definitions_cfg_file',
                         'agent/data/event_definitions.yaml')
    return Definitions(
        read(path), not conf.event.drop_unmatched_notifications)


def read(path: str) -> list[Definition]:
    """Read a file of definitions.

    :raises ConfigurationError: with file and line
    """
    file = document.File(path)
    return [_definition(file, item) for item in file.entries(
        'definitions', 'a definition', ('event_type', 'traits'))]


def _definition(file: document.File, item: document.Mapping) -> Definition:
    patterns = [text for _line, text in file.texts(
        item, 'event_type', single=True)]
    if 'traits' not in item:
        raise file.error(item.line, 'traits is required')
    traits = item['traits']
    if traits is not None and not isinstance(traits, document.Mapping):
        raise file.error(file.line_of(item, 'traits'),
                         'traits must be a mapping of names')
    compiled = {} if traits is None else {
        name: _trait(file, file.line_of(traits, name), name, value)
        for name, value in traits.items()}
    return Definition(Filter.of(patterns), _default_traits(compiled))


def _default_traits(traits: dict[str, Trait]) -> tuple[Trait, ...]:
    defaults = {
        name: Trait(name, jsonpath.compile_first(fields), _text)
        for name, fields in DEFAULT_TRAITS.items() if name not in traits}
    return tuple((defaults | traits).values())


def _trait(file: document.File, line: int, name: str, value: Any) -> Trait:
    if not isinstance(value, document.Mapping):
        # The short form: only the fields.
        return Trait(name, _finder(file, line, name, value), _text)
    file.known_keys(value, ('fields', 'type', 'plugin'))
    type_name = file.text(value, 'type', 'text')
    if type_name not in TYPES:
        raise file.error(file.line_of(value, 'type'), (
            'trait %s: type must be one of %s, not %r' % (
                name, ', '.join(TYPES), type_name)))
    if 'fields' not in value:
        raise file.error(value.line, 'trait %s: fields is required' % name)
    line = file.line_of(value, 'fields')
    if value.get('plugin') is None:
        find = _finder(file, line, name, value['fields'])
    else:
        find = _plugin_finder(file, line, name, value)
    return Trait(name, find, TYPES[type_name])


def _finder(file: document.File, line: int, name: str, fields: Any,
            ) -> Callable[[Any], Any]:
    if isinstance(fields, int) and not isinstance(fields, bool):
        return lambda _body: fields
    try:
        return jsonpath.compile_first(_paths(fields))
    except ValueError as exc:
        raise file.error(line, 'trait %s: %s' % (name, exc)) from None


def _plugin_finder(file: document.File, line: int, name: str,
                   value: document.Mapping) -> Callable[[Any], Any]:
    try:
        paths = [jsonpath.compile_path(text)
                 for text in _paths(value['fields'])]
    except ValueError as exc:
        raise file.error(line, 'trait %s: %s' % (name, exc)) from None
    line = file.line_of(value, 'plugin')
    chosen: Any = value['plugin']
    if isinstance(chosen, str):
        chosen = {'name': chosen}
    if not isinstance(chosen, dict) or not isinstance(
            chosen.get('name'), str):
        raise file.error(line, 'trait %s: plugin needs a name' % name)
    parameters = chosen.get('parameters') or {}
    if not isinstance(parameters, dict):
        raise file.error(line, 'trait %s: parameters must be a mapping' % name)
    try:
        plugin = trait_plugins.create(chosen['name'], parameters)
    except ValueError as exc:
        raise file.error(line, 'trait %s: %s' % (name, exc)) from None
    return lambda body: plugin(
        [match for path in paths for match in path(body)])


def _paths(fields: Any) -> list[str]:
    paths = [fields] if isinstance(fields, str) else fields
    if (not isinstance(paths, list) or not paths
            or not all(isinstance(path, str) and path for path in paths)):
        raise ValueError('fields must be a path or a list of paths')
    return paths


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile('|'.join(
        '(?:%s)' % fnmatch.translate(pattern) for pattern in patterns))
