# SPDX-License-Identifier: Apache-2.0
"""What is told of servers and ports, by notifications, nova and neutron."""
from __future__ import annotations

import dataclasses

#: Where a server may say that it is not monitored.
SOURCES = ('metadata', 'flavor', 'image')
#: The time of what is final.
FINAL = 2 ** 62


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server; ``state`` is nova's vm_state, ``host`` empty without one."""

    id: str
    name: str
    project_id: str
    host: str
    state: str = 'active'
    monitored: bool = True
    ports: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """A server as somebody saw it.

    :param stamp: microseconds since the epoch, of the clock of who tells
    :param monitored: of :data:`SOURCES`, what those say of whom this tells
    :param deleted: it will not return
    """

    server: Server
    stamp: int
    monitored: tuple[bool | None, ...] = (None, None, None)
    deleted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PortSighting:
    """A port and the id of its server, empty without one."""

    id: str
    owner: str
    stamp: int
    deleted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PortsOf:
    """All ports that a server has at that time."""

    owner: str
    ports: tuple[str, ...]
    stamp: int


Change = Sighting | PortSighting | PortsOf
