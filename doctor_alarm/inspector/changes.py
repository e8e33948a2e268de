# SPDX-License-Identifier: Apache-2.0
"""Notification -> what it tells of servers and ports. Pure.

It looks into the notifications themselves, not into events: which traits
those have is up to the operator. Of nova's two forms either will do, both do
no harm.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import datetime
from typing import Any

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.inspector import sighting

_DATA = 'nova_object.data'
_SERVERS = ('compute.instance.', 'instance.')
_DELETED = ('compute.instance.delete.end', 'instance.delete.end')
_DETACHED = 'instance.interface_detach.end'
#: The source of a live migration says these after the destination has said
#: that the server is there, and still names itself (nova 34,
#: ComputeManager._post_live_migration).
_OUTDATED = ('compute.instance.live_migration._post.end',
             'instance.live_migration_post.end')
_PORTS = ('port.create.end', 'port.update.end', 'port.delete.end')
#: What devices of nova are called in neutron begins so.
COMPUTE = 'compute:'


class Reader:
    """Reads notifications of nova and neutron.

    :param monitored_property: its value ``false`` in metadata, extra specs or
        properties of the image: the server is not monitored; empty: all are
    """

    def __init__(self, monitored_property: str) -> None:
        self._property = monitored_property

    def read(self, message: Mapping[str, Any],
             received: datetime.datetime) -> list[sighting.Change]:
        """Return what a notification tells; mostly nothing.

        :param received: aware, UTC; nothing is later than that
        :raises InvalidEvent: it is malformed
        """
        event_type = message.get('event_type')
        if not isinstance(event_type, str):
            return []
        if event_type in _PORTS:
            return list(_ports(event_type, _payload(message),
                               _stamp(message, received)))
        if event_type.startswith(_SERVERS) and event_type not in _OUTDATED:
            return list(self._server(event_type, _payload(message),
                                     _stamp(message, received)))
        return []

    def _server(self, event_type: str, payload: Mapping[str, Any],
                stamp: int) -> Iterator[sighting.Change]:
        server_id = payload.get('instance_id') or payload.get('uuid')
        project_id = payload.get('tenant_id')
        if not isinstance(server_id, str) or not server_id or (
                not isinstance(project_id, str) or 'host' not in payload):
            return
        state = text(_inside(payload.get('state_update')).get('state')
                     or payload.get('state'))
        yield sighting.Sighting(
            sighting.Server(
                id=server_id, name=text(payload.get('display_name')),
                project_id=project_id, host=text(payload['host']),
                state=state),
            stamp, self._monitored(payload),
            deleted=event_type in _DELETED or state == 'deleted')
        yield from _addresses(event_type, server_id, payload, stamp)

    def _monitored(self, payload: Mapping[str, Any],
                   ) -> tuple[bool | None, ...]:
        flavor = payload.get('flavor')
        return (
            self.says(payload.get('metadata')),
            self.says(_inside(flavor).get('extra_specs')),
            self.says(payload.get('image_meta')))

    def says(self, properties: Any) -> bool | None:
        """Return whether properties allow monitoring; None: there are none."""
        if not isinstance(properties, Mapping):
            return None
        value = properties.get(self._property) if self._property else None
        return str(value).strip().lower() not in ('false', 'no', '0', 'off')


def _addresses(event_type: str, server_id: str, payload: Mapping[str, Any],
               stamp: int) -> Iterator[sighting.Change]:
    addresses = payload.get('ip_addresses')
    if not isinstance(addresses, list):
        return      # the unversioned form does not tell ports
    ports = tuple(dict.fromkeys(
        port_id for address in addresses
        if isinstance(port_id := _inside(address).get('port_uuid'), str)))
    if event_type == _DETACHED:
        yield sighting.PortsOf(server_id, ports, stamp)
        return
    # That one is missing says nothing: nova may not know of it yet.
    for port_id in ports:
        yield sighting.PortSighting(port_id, server_id, stamp)


def _ports(event_type: str, payload: Mapping[str, Any], stamp: int,
           ) -> Iterator[sighting.Change]:
    if event_type == 'port.delete.end':
        port_id = payload.get('port_id') or _inside(
            payload.get('port')).get('id')
        if isinstance(port_id, str):
            yield sighting.PortSighting(port_id, '', stamp, deleted=True)
        return
    found = payload.get('ports')
    for port in found if isinstance(found, list) else [payload.get('port')]:
        if isinstance(port, Mapping) and isinstance(port.get('id'), str):
            yield sighting.PortSighting(port['id'], owner_of(
                port.get('device_owner'), port.get('device_id')), stamp)


def owner_of(device_owner: Any, device_id: Any) -> str:
    """Return the id of the server that a port belongs to, or nothing."""
    if isinstance(device_owner, str) and device_owner.startswith(COMPUTE):
        return text(device_id)
    return ''


def text(value: Any) -> str:
    """Return a text as it is, and nothing of all else."""
    return value if isinstance(value, str) else ''


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = message.get('payload')
    if not isinstance(payload, Mapping):
        raise exception.InvalidEvent(reason='payload must be an object')
    return _inside(payload)


def _inside(value: Any) -> Mapping[str, Any]:
    """Return an object without its envelope; an empty one for all else."""
    if not isinstance(value, Mapping):
        return {}
    inner = value.get(_DATA, value)
    return inner if isinstance(inner, Mapping) else {}


def _stamp(message: Mapping[str, Any], received: datetime.datetime) -> int:
    when = event.parse_time(message.get('timestamp'), 'timestamp')
    # A clock that is ahead must not freeze what is known of a server.
    if when > received + event.MAX_AHEAD:
        when = received
    return event.to_us(when)
