# SPDX-License-Identifier: Apache-2.0
"""The file that says which servers are where, for clouds without nova."""
from __future__ import annotations

import json
from typing import Any, NoReturn

from doctor_alarm import exception
from doctor_alarm.inspector import sighting

_REQUIRED = ('id', 'project_id')
_TEXTS = (*_REQUIRED, 'name', 'state')
_KEYS = (*_TEXTS, 'monitored', 'ports')


def read(path: str) -> list[sighting.Server]:
    """Return the servers of a file: {host: [server, ...]}.

    :raises ConfigurationError: names the entry and what is wrong with it
    """
    content = _load(path)
    if not isinstance(content, dict):
        _wrong(path, 'must be an object: {host: [server, ...], ...}')
    taken: dict[str, str] = {}
    found = []
    for host, servers in content.items():
        if not host:
            _wrong(path, 'a host without a name')
        if not isinstance(servers, list):
            _wrong(path, 'host %s: must have a list of servers' % host)
        for number, entry in enumerate(servers):
            where = 'host %s, server %d' % (host, number)
            server = _server(path, where, host, entry)
            for name in (server.id, *server.ports):
                if name in taken:
                    _wrong(path, '%s: %s is that of %s already' % (
                        where, name, taken[name]))
                taken[name] = where
            found.append(server)
    return found


def _load(path: str) -> Any:
    try:
        with open(path, encoding='utf-8') as stream:
            return json.load(stream, object_pairs_hook=_once)
    except OSError as exc:
        _wrong(path, exc.strerror or str(exc))
    except (ValueError, RecursionError) as exc:
        _wrong(path, 'is no JSON: %s' % ' '.join(str(exc).split()))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: the first would be lost in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError('%s stands twice' % next(
            name for name in names if names.count(name) > 1))
    return found


def _server(path: str, where: str, host: str, entry: Any) -> sighting.Server:
    if not isinstance(entry, dict):
        _wrong(path, '%s: must be an object' % where)
    for key in entry:
        if key not in _KEYS:
            _wrong(path, '%s: unknown key %r, known are: %s' % (
                where, key, ', '.join(_KEYS)))
    for key in _TEXTS:
        value = entry.get(key, '' if key not in _REQUIRED else None)
        if not isinstance(value, str) or (key in _REQUIRED and not value):
            _wrong(path, '%s: %s must be a text' % (where, key))
    monitored = entry.get('monitored', True)
    if not isinstance(monitored, bool):
        _wrong(path, '%s: monitored must be true or false' % where)
    ports = entry.get('ports', [])
    if not isinstance(ports, list) or not all(
            isinstance(port, str) and port for port in ports):
        _wrong(path, '%s: ports must be a list of texts' % where)
    return sighting.Server(
        id=entry['id'], name=entry.get('name', ''),
        project_id=entry['project_id'], host=host,
        state=entry.get('state', 'active'), monitored=monitored,
        ports=tuple(ports))


def _wrong(path: str, reason: str) -> NoReturn:
    raise exception.ConfigurationError(
        where='[inspector] resource_map_file = %s' % path, reason=reason)
