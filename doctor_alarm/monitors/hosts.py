# SPDX-License-Identifier: Apache-2.0
"""The list of hosts to ping."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import ipaddress
import socket
from typing import Any

import yaml

from doctor_alarm import exception


@dataclasses.dataclass(frozen=True, slots=True)
class HostList:
    """Hosts by their names, and canaries; addresses are IP addresses."""

    hosts: Mapping[str, str]
    canaries: tuple[str, ...] = ()

    def families(self) -> set[int]:
        """Return the versions of IP that are needed: 4, 6."""
        return {ipaddress.ip_address(address).version for address in (
            *self.hosts.values(), *self.canaries)}


def read(options: Any) -> HostList:
    """Return what [monitor_ping] says.

    :raises ConfigurationError: names the option and what is wrong with it
    """
    where = '[monitor_ping] hosts'
    found = _checked(options.hosts.items(), where)
    if options.hosts_file:
        where = '[monitor_ping] hosts_file = %s' % options.hosts_file
        for name, address in _checked(
                _load(options.hosts_file, where), where).items():
            if found.setdefault(name, address) != address:
                _wrong(where, '%s has another address in hosts' % name)
    where = '[monitor_ping] canaries'
    return HostList(found, tuple(
        _address(name, name, where) for name in options.canaries))


def _load(path: str, where: str) -> Iterable[tuple[Any, Any]]:
    try:
        with open(path, encoding='utf-8') as file:
            # JSON is YAML
            found = yaml.safe_load(file)
    except (OSError, ValueError) as exc:
        _wrong(where, getattr(exc, 'strerror', None) or str(exc))
    except yaml.YAMLError as exc:
        _wrong(where, ' '.join(str(exc).split()))
    if not isinstance(found, dict):
        _wrong(where, 'must be an object: {hostname: address, ...}')
    return list(found.items())


def _checked(items: Iterable[tuple[Any, Any]], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, address in items:
        if not isinstance(name, str) or not 0 < len(name) <= 255:
            _wrong(where, 'the name %r is not a text of 1 to 255 characters'
                   % (name,))
        found[name] = _address(name, address, where)
    return found


def _address(name: str, address: Any, where: str) -> str:
    if not isinstance(address, str) or not address:
        _wrong(where, 'the address of %s must be a text' % name)
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return _look_up(name, address, where)
    if found.is_multicast or found.is_unspecified or str(
            found) == '255.255.255.255':
        _wrong(where, 'the address of %s, %s, is not that of a host' % (
            name, address))
    return str(found)


def _look_up(name: str, address: str, where: str) -> str:
    try:
        answer = socket.getaddrinfo(address, None, type=socket.SOCK_RAW)
    except (OSError, UnicodeError) as exc:
        _wrong(where, 'the address of %s, %s, can not be looked up: %s' % (
            name, address, getattr(exc, 'strerror', None) or exc))
    return str(answer[0][4][0])


def _wrong(where: str, reason: str) -> Any:
    raise exception.ConfigurationError(where=where, reason=reason)
