# SPDX-License-Identifier: Apache-2.0
"""What is where: host -> servers, port -> server; in memory, thread-safe.

Two kinds of news come in, in any order. *Sightings* have the time of the
service that tells (notifications): the newest one counts. *Listings* are what
nova and neutron answer when they are asked: an answer counts for everything
that was not heard of since the question, whatever the clocks say.

A server that was deleted never returns by a sighting, however new. What is
gone is remembered until the second full listing after it.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import math
import sys
import threading
import time
from typing import Protocol, TypeVar

from doctor_alarm.inspector import sighting
from doctor_alarm.inspector.sighting import FINAL

#: Entries of a listing that are taken without a pause for those who ask.
_PIECE = 50

Server = sighting.Server
_Item = TypeVar('_Item')


class _Entry:
    """What is known of a server; without ``server`` only that it is gone."""

    __slots__ = ('generation', 'id', 'opinions', 'ports', 'ports_since',
                 'server', 'stamp')

    def __init__(self, server_id: str) -> None:
        self.id = server_id
        self.server: Server | None = None
        self.stamp = 0
        self.generation = 0
        # By source the time when it was told; negative: not monitored.
        self.opinions = (0, 0, 0)
        self.ports: tuple[str, ...] = ()
        self.ports_since = 0


@dataclasses.dataclass(frozen=True, slots=True)
class _Claim:
    """To which server a port belongs, as last told."""

    owner: str
    stamp: int
    generation: int


class Refresh(Protocol):
    """What checks a host with nova; for a limited time, without raising."""

    def __call__(self, resources: ResourceMap, host: str) -> None:
        """Tell the map what is on a host."""


class ResourceMap:
    """The servers and ports of the cloud.

    :param stale_after: seconds after which ``refresh`` is called for a host
    """

    def __init__(self, stale_after: float = math.inf,
                 refresh: Refresh | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._stale_after = stale_after
        self._refresh = refresh
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._hosts: dict[str, dict[str, None]] = {}
        self._claims: dict[str, _Claim] = {}
        self._generation = 1
        self._before = 0        # the first one that is not forgotten
        self._confirmed = -math.inf
        self._confirmed_hosts: dict[str, float] = {}

    # Questions

    def servers_of(self, host: str) -> Sequence[Server]:
        """Return the servers of a host; of one that nobody knows, none.

        What is too old is checked with nova first, for a limited time.
        """
        if self._refresh is not None and self.is_stale(host):
            self._refresh(self, host)
        with self._lock:
            return [server for server_id in self._hosts.get(host, ())
                    if (server := self._entries[server_id].server)]

    def server(self, server_id: str) -> Server | None:
        """Return a server, if it is known."""
        with self._lock:
            entry = self._entries.get(server_id)
            return entry.server if entry else None

    def server_of_port(self, port_id: str) -> Server | None:
        """Return the server that a port belongs to, if it is known."""
        with self._lock:
            claim = self._claims.get(port_id)
            entry = self._entries.get(claim.owner) if claim else None
            if entry is None or port_id not in entry.ports:
                return None
            return entry.server

    def age_of(self, host: str) -> float:
        """Return seconds since nova confirmed a host; infinite: never."""
        with self._lock:
            confirmed = max(self._confirmed, self._confirmed_hosts.get(
                host, -math.inf))
        return max(0.0, self._clock() - confirmed)

    def is_stale(self, host: str) -> bool:
        """Whether what is known of a host is too old to be relied on."""
        return self.age_of(host) > self._stale_after

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._hosts.values()))

    # Sightings

    def apply(self, change: sighting.Change) -> None:
        """Take what a notification tells."""
        with self._lock:
            if isinstance(change, sighting.Sighting):
                self._see(change)
            elif isinstance(change, sighting.PortSighting):
                gone = change.deleted
                self._claim(change.id, '' if gone else change.owner,
                            FINAL if gone else change.stamp)
            else:
                self._all_ports(change)

    def _see(self, seen: sighting.Sighting) -> None:
        entry = self._entry(seen.server.id)
        entry.generation = self._generation
        stamp = FINAL if seen.deleted else seen.stamp
        entry.opinions = _merge(entry.opinions, seen.monitored, seen.stamp)
        if stamp >= entry.stamp:
            entry.stamp = stamp
            self._place(entry, None if seen.deleted else seen.server)
        elif entry.server is not None:
            self._place(entry, entry.server)

    def _all_ports(self, told: sighting.PortsOf) -> None:
        entry = self._entry(told.owner)
        entry.generation = self._generation
        entry.ports_since = max(entry.ports_since, told.stamp)
        for port_id in told.ports:
            self._claim(port_id, told.owner, told.stamp)
        self._keep_ports(entry, (
            port_id for port_id in entry.ports
            if self._claims[port_id].stamp >= entry.ports_since))

    def _claim(self, port_id: str, owner: str, stamp: int,
               force: bool = False) -> None:
        claim = self._claims.get(port_id)
        if claim is not None and not force and (
                (claim.stamp, claim.owner) > (stamp, owner)):
            return
        if claim is not None and claim.owner and claim.owner != owner:
            former = self._entries.get(claim.owner)
            if former is not None and port_id in former.ports:
                self._keep_ports(former, (
                    other for other in former.ports if other != port_id))
        entry = self._entry(owner) if owner else None
        self._claims[port_id] = _Claim(
            entry.id if entry else '', stamp, self._generation)
        if entry is None:
            return
        if stamp >= entry.ports_since and port_id not in entry.ports:
            self._keep_ports(entry, (*entry.ports, port_id))

    # Listings

    def begin(self) -> int:
        """Start a listing; what is heard from now on is newer than it."""
        with self._lock:
            self._generation += 1
            return self._generation

    def confirm(self, listing: int,
                listed: Iterable[sighting.Sighting]) -> None:
        """Take servers that nova lists."""
        for piece in _pieces(listed):
            with self._lock:
                for seen in piece:
                    self._confirm(listing, seen)

    def _confirm(self, listing: int, seen: sighting.Sighting) -> None:
        entry = self._entry(seen.server.id)
        if entry.generation >= listing and not _later(seen.stamp, entry.stamp):
            return
        entry.generation = self._generation
        entry.opinions = _merge(
            entry.opinions, seen.monitored, seen.stamp, force=True)
        entry.stamp = FINAL if seen.deleted else seen.stamp
        self._place(entry, None if seen.deleted else seen.server)

    def confirm_ports(self, listing: int,
                      listed: Iterable[sighting.PortSighting]) -> None:
        """Take ports that neutron lists."""
        for piece in _pieces(listed):
            with self._lock:
                for seen in piece:
                    claim = self._claims.get(seen.id)
                    if claim is not None and claim.generation >= listing and (
                            not _later(seen.stamp, claim.stamp)):
                        continue
                    since = self._entry(seen.owner).ports_since
                    self._claim(seen.id, seen.owner, max(seen.stamp, since),
                                force=True)

    def finish(self, listing: int, started: float) -> None:
        """End a listing of all servers: others that are older are gone.

        :param started: when it was begun, of the clock of this object
        """
        with self._lock:
            entries = list(self._entries.values())
        for piece in _pieces(entries):
            with self._lock:
                for entry in piece:
                    if entry.generation < listing:
                        self._place(entry, None)
        self.forget(listing)
        self.confirmed(started)

    def forget(self, listing: int) -> None:
        """Forget what was gone at the last call already.

        :param listing: which divides the times of this call and the next
        """
        with self._lock:
            before, self._before = self._before, listing
            entries = list(self._entries.values())
            claims = list(self._claims.items())
        for found in _pieces(entries):
            with self._lock:
                for entry in found:
                    if entry.server is None and entry.generation < before:
                        self._entries.pop(entry.id, None)
        for pairs in _pieces(claims):
            with self._lock:
                for port_id, claim in pairs:
                    if claim.generation < before and (
                            claim.owner not in self._entries):
                        self._claims.pop(port_id, None)

    def finish_ports(self, listing: int) -> None:
        """End a listing of all ports: others that are older are gone."""
        with self._lock:
            claims = list(self._claims.items())
        for piece in _pieces(claims):
            with self._lock:
                for port_id, claim in piece:
                    if self._claims.get(port_id) is claim and (
                            claim.generation < listing):
                        self._claim(port_id, '', claim.stamp, force=True)
                        del self._claims[port_id]

    def finish_host(self, host: str, listing: int, started: float) -> None:
        """End a listing of one host: what it does not show is not there."""
        with self._lock:
            for server_id in list(self._hosts.get(host, ())):
                entry = self._entries[server_id]
                if entry.generation < listing:
                    self._place(entry, None)
            self._confirmed_hosts[host] = started

    def confirmed(self, started: float) -> None:
        """Note that nova told everything that had changed by then."""
        with self._lock:
            self._confirmed = started
            self._confirmed_hosts = {
                host: when for host, when in self._confirmed_hosts.items()
                if when > started}

    # Parts; the lock is held

    def _entry(self, server_id: str) -> _Entry:
        entry = self._entries.get(server_id)
        if entry is None:
            entry = self._entries[server_id] = _Entry(server_id)
        return entry

    def _place(self, entry: _Entry, server: Server | None) -> None:
        former = entry.server
        if server is not None:
            server = Server(
                entry.id, server.name,
                sys.intern(server.project_id), sys.intern(server.host),
                sys.intern(server.state), min(entry.opinions) >= 0,
                entry.ports)
        if former is not None and (
                server is None or former.host != server.host):
            on_host = self._hosts.get(former.host, {})
            on_host.pop(former.id, None)
            if not on_host:
                self._hosts.pop(former.host, None)
        if server is not None:
            self._hosts.setdefault(server.host, {})[server.id] = None
        entry.server = server

    def _keep_ports(self, entry: _Entry, ports: Iterable[str]) -> None:
        entry.ports = tuple(sorted(ports))
        if entry.server is not None:
            entry.server = dataclasses.replace(
                entry.server, ports=entry.ports)


def _merge(opinions: tuple[int, ...], told: tuple[bool | None, ...],
           stamp: int, force: bool = False) -> tuple[int, int, int]:
    """Return for each source the opinion that was told last."""
    metadata, flavor, image = (
        known if says is None or (abs(known) > stamp and not force)
        else stamp if says else -stamp
        for known, says in zip(opinions, told, strict=True))
    return metadata, flavor, image


def _later(listed: int, known: int) -> bool:
    """Whether a listing, which tells whole seconds, is surely newer."""
    return known != FINAL and listed // 1000000 > known // 1000000


def _pieces(items: Iterable[_Item]) -> Iterable[list[_Item]]:
    """Yield short lists, so that the lock is free between them."""
    piece = []
    for item in items:
        piece.append(item)
        if len(piece) == _PIECE:
            yield piece
            piece = []
    if piece:
        yield piece
