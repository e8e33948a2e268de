# SPDX-License-Identifier: Apache-2.0
"""Plugins of trait definitions: those of Ceilometer, and ``choose``."""
from __future__ import annotations

from collections.abc import Callable
import fnmatch
import re
from typing import Any

from doctor_alarm.agent import jsonpath
from doctor_alarm import event
from doctor_alarm import exception

Plugin = Callable[[list[jsonpath.Match]], Any]


def split(separator: str = '.', segment: int = 0,
          max_split: int | None = None) -> Plugin:
    """A piece of a text."""
    if not isinstance(separator, str) or not separator:
        raise ValueError('separator must be a text')
    _integers(segment=segment, max_split=max_split or 0)
    limit = -1 if max_split is None else max_split

    def piece(matches: list[jsonpath.Match]) -> str | None:
        for _path, value in matches:
            try:
                return str(value).split(separator, limit)[segment]
            except IndexError:
                continue
        return None
    return piece


def bitfield(initial_bitfield: int = 0,
             flags: list[dict[str, Any]] | None = None) -> Plugin:
    """A number with a bit set for every field that is there, or is a value."""
    _integers(initial_bitfield=initial_bitfield)
    for flag in flags or []:
        if not isinstance(flag, dict) or not {'path', 'bit'} <= flag.keys():
            raise ValueError('a flag has path, bit and optionally value')
        if not 0 <= int(flag['bit']) < 63:
            raise ValueError('bit must be 0 to 62')

    def bits(matches: list[jsonpath.Match]) -> int:
        found = dict(matches)
        result = initial_bitfield
        for flag in flags or []:
            path = flag['path']
            if path in found and (
                    'value' not in flag or found[path] == flag['value']):
                result |= 1 << int(flag['bit'])
        return result
    return bits


def timedelta() -> Plugin:
    """Seconds between two times."""
    def seconds(matches: list[jsonpath.Match]) -> float | None:
        if len(matches) != 2:
            return None
        try:
            first, second = (
                event.parse_time(value, path) for path, value in matches)
        except exception.InvalidEvent:
            return None
        return abs((second - first).total_seconds())
    return seconds


def map_values(values: dict[str, Any], default: Any = None,
               case_sensitive: bool = True) -> Plugin:
    """Another value for a value, by a table."""
    if not isinstance(values, dict) or not values:
        raise ValueError('values must be a mapping')
    key_of = str if case_sensitive else _lower
    table = {key_of(key): value for key, value in values.items()}

    def mapped(matches: list[jsonpath.Match]) -> Any:
        for _path, value in matches:
            result = table.get(key_of(value), default)
            if result is not None:
                return result
        return None
    return mapped


def choose(cases: list[dict[str, Any]] | None = None,
           default: Any = None) -> Plugin:
    """The value of the first case whose field is like its pattern.

    Patterns are those of a shell, in any case; the default counts where none
    of them fits and one of the fields is there. Ceilometer does not have it.
    """
    table = []
    for case in cases or []:
        if not isinstance(case, dict) or case.keys() != {
                'path', 'pattern', 'value'}:
            raise ValueError('a case has path, pattern and value')
        table.append((case['path'], re.compile(fnmatch.translate(
            str(case['pattern'])), re.IGNORECASE), case['value']))

    def chosen(matches: list[jsonpath.Match]) -> Any:
        found = dict(matches)
        for path, pattern, value in table:
            if path in found and pattern.match(str(found[path])):
                return value
        return default if found else None
    return chosen


PLUGINS: dict[str, Callable[..., Plugin]] = {
    'split': split, 'bitfield': bitfield, 'timedelta': timedelta,
    'map': map_values, 'choose': choose}


def create(name: str, parameters: dict[str, Any]) -> Plugin:
    """Return a plugin with its parameters.

    :raises ValueError: there is no such plugin, or it has other parameters
    """
    if name not in PLUGINS:
        raise ValueError('unknown plugin %r, known are: %s' % (
            name, ', '.join(sorted(PLUGINS))))
    try:
        return PLUGINS[name](**parameters)
    except TypeError as exc:
        raise ValueError('plugin %s: %s' % (
            name, str(exc).partition('() ')[2] or exc)) from None


def _lower(value: Any) -> str:
    return str(value).lower()


def _integers(**values: Any) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError('%s must be a number' % name)
