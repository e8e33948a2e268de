# SPDX-License-Identifier: Apache-2.0
"""The servers and ports of the cloud, as nova and neutron list them."""
from __future__ import annotations

from collections.abc import Iterator
import datetime
from typing import Any

from oslo_config import cfg

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.inspector import changes
from doctor_alarm.inspector import connected
from doctor_alarm.inspector import sighting

#: Entries of one answer: longer ones keep the process from other work.
SERVERS_PER_PAGE = 500
PORTS_PER_PAGE = 1000
_PORT_FIELDS = ('id', 'device_id', 'device_owner', 'updated_at')


class Unreadable(exception.DoctorAlarmException):
    """A list that does not say what it should."""

    msg_fmt = '%(reason)s'


class Inventory(connected.Connected):
    """Asks nova and neutron, page by page; from any thread.

    :raises ConfigurationError: the options do not fit together
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._reader = changes.Reader(self._options.monitored_property)

    def servers(self) -> Iterator[sighting.Sighting]:
        """Yield all servers of the cloud."""
        for server in self._servers():
            if server.vm_state == 'active' and not server.compute_host:
                raise Unreadable(reason=(
                    'nova does not show the hosts of servers: the account '
                    'of [inspector] may not see them'))
            yield self._sighting(server)

    def servers_of(self, host: str) -> Iterator[sighting.Sighting]:
        """Yield the servers of a host."""
        for server in self._servers(compute_host=host):
            # Who may not choose a host is shown servers of all.
            if server.compute_host == host:
                yield self._sighting(server)

    def changed_since(self, when: datetime.datetime,
                      ) -> Iterator[sighting.Sighting]:
        """Yield the servers that changed, deleted ones as well."""
        for server in self._servers(
                changes_since=when.isoformat(timespec='seconds')):
            yield self._sighting(server)

    def ports(self) -> Iterator[sighting.PortSighting]:
        """Yield all ports of servers."""
        for port in self._connected().network.ports(
                limit=PORTS_PER_PAGE, fields=_PORT_FIELDS):
            owner = changes.owner_of(port.device_owner, port.device_id)
            if owner:
                yield sighting.PortSighting(
                    port.id, owner, _stamp(port.updated_at))

    def _servers(self, **query: Any) -> Iterator[Any]:
        found: Iterator[Any] = self._connected().compute.servers(
            all_projects=True, limit=SERVERS_PER_PAGE, **query)
        return found

    def _sighting(self, server: Any) -> sighting.Sighting:
        if not server.id or not server.project_id:
            raise Unreadable(reason='a server without id or project')
        says = self._reader.says
        flavor, image = server.flavor, server.image
        state = changes.text(server.vm_state)
        return sighting.Sighting(
            sighting.Server(
                id=server.id, name=changes.text(server.name),
                project_id=server.project_id,
                host=changes.text(server.compute_host), state=state),
            _stamp(server.updated_at),
            # Older microversions tell nothing of flavors (before 2.47) and
            # images (before 2.98).
            (says(server.metadata), says(_told(flavor, 'extra_specs')),
             says(_told(image, 'properties'))),
            deleted='deleted' in (state, str(server.status).lower()))


def _told(part: Any, name: str) -> Any:
    """Return properties of a part of a server; ``None``: not told."""
    return getattr(part, name, None) or None


def _stamp(when: Any) -> int:
    if not when:
        return 1
    return event.to_us(event.parse_time(when, 'updated_at'))
