# SPDX-License-Identifier: Apache-2.0
"""Makes those wait whose logins fail: passwords can not be guessed quickly.

Who waits is an address together with a name: a stranger keeps nobody else
from logging in under the same name.
"""
from __future__ import annotations

from collections.abc import Callable
import dataclasses
import ipaddress
import logging
import re
import threading
import time
from typing import Any

LOG = logging.getLogger(__name__)

#: Seconds of the first pause, which doubles with every failure, up to the
#: last.
FIRST_PAUSE = 1.0
LAST_PAUSE = 60.0
#: Seconds after which a failure is forgotten.
MEMORY = 600.0
#: Who is remembered at most; the longest ago is forgotten first.
CAPACITY = 10000
#: Characters of a name that count.
_NAME = 64
#: Bits of an IPv6 address that a network hands to one client.
_CLIENT = 64

#: An address as proxies write it: in brackets, with a zone, with a port.
_ADDRESS = re.compile(r'\[(?P<six>[^\]%]*)[^\]]*\](:\d+)?'
                      r'|(?P<four>[\d.]+):\d+|(?P<bare>[^%]*)(%.*)?')

#: An address and a name.
Who = tuple[str, str]


@dataclasses.dataclass(slots=True)
class _Record:
    failures: int = 0
    last: float = 0.0
    until: float = 0.0


class Throttle:
    """Counts failed logins, in this process."""

    def __init__(self, free: int,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nobody yet.

        :param free: failures without a pause; 0: any number
        """
        self._free = free
        self._clock = clock
        self._records: dict[Who, _Record] = {}
        self._lock = threading.Lock()

    def pause(self, who: Who) -> float:
        """Return the seconds until the next login may be tried."""
        record = self._records.get(who)
        return max(0.0, record.until - self._clock()) if record else 0.0

    def failed(self, who: Who) -> None:
        """Note that a login failed."""
        if not self._free:
            return
        now = self._clock()
        with self._lock:
            record = self._records.pop(who, None)
            if record is None or now - record.last > MEMORY:
                record = _Record()
            while len(self._records) >= CAPACITY:
                del self._records[next(iter(self._records))]
            self._records[who] = record     # the last to be forgotten
            record.failures += 1
            record.last = now
            beyond = record.failures - self._free
            if beyond >= 0:
                # The exponent of a float has an end.
                record.until = now + min(
                    FIRST_PAUSE * 2 ** min(beyond, 30), LAST_PAUSE)
        if not beyond:
            LOG.warning('%d logins from %s as %s failed: further ones have to '
                        'wait', record.failures, *who)

    def passed(self, who: Who) -> None:
        """Note that a login succeeded."""
        if who in self._records:
            with self._lock:
                self._records.pop(who, None)


def client(environ: dict[str, Any], proxied: bool) -> str:
    """Return the address that a login comes from.

    A proxy adds the one that it sees behind those that the client says, or it
    could be another one with every guess.

    :param proxied: whether there is a proxy, which is believed
    """
    said = environ.get('HTTP_X_FORWARDED_FOR') if proxied else None
    if said:
        return str(said).rpartition(',')[2].strip()
    said = environ.get('HTTP_FORWARDED') if proxied else None
    for part in str(said or '').rpartition(',')[2].split(';'):
        name, _, value = part.partition('=')
        if name.strip().lower() == 'for':
            return value.strip().strip('"')
    return environ.get('REMOTE_ADDR') or ''


def who(address: str, name: str) -> Who:
    """Return who tries to log in.

    A client has a whole network of IPv6 addresses to come from.
    """
    plain = _ADDRESS.fullmatch(address.strip())
    try:
        found = ipaddress.ip_address(
            (plain['six'] or plain['four'] or plain['bare']) if plain else '')
    except ValueError:
        return address[:_NAME], name[:_NAME]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped), name[:_NAME]
        return str(ipaddress.IPv6Network(
            (found, _CLIENT), strict=False)), name[:_NAME]
    return str(found), name[:_NAME]
