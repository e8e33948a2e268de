# SPDX-License-Identifier: Apache-2.0
"""Where action URLs may lead: not into the operator's own networks.

Every user may name a receiver, and the notifier calls it from inside: without
a guard it would fetch for them what only it can reach, a cloud's metadata
first of all. Addresses are checked when an alarm is defined, where that gives
the user a sentence, and at every connection, where it decides.
"""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from concurrent import futures
import ipaddress
import socket
from typing import Any

from oslo_config import cfg

from doctor_alarm import exception

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Seconds that the look-up of names may take while an alarm is defined.
LOOK_UP_TIMEOUT = 2.0
#: Look-ups at once: servers of names that hang must not fill the process.
_LOOK_UPS = futures.ThreadPoolExecutor(8, thread_name_prefix='look-up')

#: IPv6 addresses that end in an IPv4 one which they may lead to: of
#: translators (RFC 6052, RFC 8215), and an old way to write it (RFC 4291).
_ENDING_IN_IPV4 = tuple(map(ipaddress.IPv6Network, (
    '64:ff9b::/96', '64:ff9b:1::/48', '::/96')))
#: Below are the unspecified address, loopback and nothing else.
_FIRST_IPV4 = 1 << 24


class Guard:
    """Knows the networks that receivers may be in."""

    def __init__(self, blocked: Iterable[Network],
                 allowed: Iterable[Network]) -> None:
        self._blocked = tuple(blocked)
        self._allowed = tuple(allowed)

    def permits(self, address: str) -> bool:
        """Whether a connection to an address may be made.

        :param address: an IP address, with or without a zone
        """
        try:
            forms = _forms(ipaddress.ip_address(address.partition('%')[0]))
        except ValueError:
            return False
        return not any(
            _inside(form, self._blocked) and not _inside(form, self._allowed)
            for form in forms)

    def permits_host(self, host: str, look_up: bool = True) -> bool:
        """Whether all addresses of a host that are known now are permitted.

        A name that can not be looked up in time is permitted: the connection
        is checked again.

        :param look_up: whether names are looked up; else they are permitted
        """
        return not self.refused([host], look_up)

    def refused(self, hosts: Iterable[str], look_up: bool = True) -> set[str]:
        """Return those hosts that are not permitted, see above.

        However many there are, it takes no longer than a look-up may.
        """
        known: dict[str, set[str]] = {}
        names = []
        for host in hosts:
            if _is_address(host):
                known[host] = {host}
            else:
                names.append(host)
        if look_up:
            known.update(_addresses(names))
        return {host for host, addresses in known.items()
                if not all(map(self.permits, addresses))}


def make(conf: cfg.ConfigOpts) -> Guard:
    """Return the guard that ``[notifier]`` describes.

    :raises ConfigurationError: what is no network
    """
    return Guard(_networks(conf, 'blocked_networks'),
                 _networks(conf, 'allowed_networks'))


def _networks(conf: cfg.ConfigOpts, name: str) -> list[Network]:
    found = []
    for text in conf.notifier[name]:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as exc:
            raise exception.ConfigurationError(
                where='[notifier] %s' % name, reason=str(exc)) from None
    return found


def _inside(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _forms(address: Address) -> list[Address]:
    """Return an address and those that it leads to."""
    forms: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if (embedded is None and int(address) >= _FIRST_IPV4
                and _inside(address, _ENDING_IN_IPV4)):
            embedded = ipaddress.IPv4Address(int(address) & 0xffffffff)
        if embedded is not None:
            forms.append(embedded)
            if address.ipv4_mapped:
                # Not a network of its own: the system connects to the other.
                forms.remove(address)
    return forms


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition('%')[0])
    except ValueError:
        return False
    return True


def _addresses(names: Collection[str]) -> dict[str, set[str]]:
    """Return the addresses of names, of those not known in time none."""
    look_ups = {name: _LOOK_UPS.submit(
        socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
        for name in names}
    futures.wait(look_ups.values(), LOOK_UP_TIMEOUT)
    return {name: _found(look_up) for name, look_up in look_ups.items()}


def _found(look_up: futures.Future[list[Any]]) -> set[str]:
    if look_up.cancel() or not look_up.done():
        return set()
    try:
        return {str(found[4][0]) for found in look_up.result()}
    except (OSError, UnicodeError):
        return set()
