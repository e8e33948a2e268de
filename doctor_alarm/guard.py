# SPDX-License-Identifier: Apache-2.0
"""Where action URLs may lead: not into the operator's own networks.

Every user may name a receiver, and the notifier calls it from inside: without
a guard it would fetch for them what only it can reach, a cloud's metadata
first of all. Addresses are checked when an alarm is defined, where that gives
the user a sentence, and at every connection, where it decides.
"""
from __future__ import annotations

from collections.abc import Iterable
from concurrent import futures
import ipaddress
import socket

from oslo_config import cfg

from doctor_alarm import exception

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Seconds that the look-up of a name may take while an alarm is defined.
LOOK_UP_TIMEOUT = 2.0
#: Look-ups at once: servers of names that hang must not fill the process.
_LOOK_UPS = futures.ThreadPoolExecutor(8, thread_name_prefix='look-up')

#: IPv6 addresses that are another way to say an IPv4 one (RFC 6052).
_NAT64 = ipaddress.IPv6Network('64:ff9b::/96')


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
        try:
            ipaddress.ip_address(host.partition('%')[0])
        except ValueError:
            return not look_up or all(map(self.permits, _addresses(host)))
        return self.permits(host)


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
        if embedded is None and address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xffffffff)
        if embedded is not None:
            forms.append(embedded)
            if address.ipv4_mapped:
                # Not a network of its own: the system connects to the other.
                forms.remove(address)
    return forms


def _addresses(host: str) -> set[str]:
    look_up = _LOOK_UPS.submit(
        socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    try:
        return {str(found[4][0])
                for found in look_up.result(LOOK_UP_TIMEOUT)}
    except (OSError, UnicodeError, futures.TimeoutError):
        look_up.cancel()
        return set()
