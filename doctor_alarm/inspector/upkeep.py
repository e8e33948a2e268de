# SPDX-License-Identifier: Apache-2.0
"""The resource map and all that keeps it true.

From the bus at once; from nova and neutron at start and then again and again,
in case the bus lost something; from nova for one host when all else is old.
"""
from __future__ import annotations

import datetime
import logging
import time

from oslo_config import cfg

from doctor_alarm.conf import inspector as options
from doctor_alarm import exception
from doctor_alarm.inspector import cycle
from doctor_alarm.inspector import inventory
from doctor_alarm.inspector import listener
from doctor_alarm.inspector import lookup
from doctor_alarm.inspector import map_file
from doctor_alarm.inspector import metrics
from doctor_alarm.inspector import resource_map
from doctor_alarm.inspector import sighting

LOG = logging.getLogger(__name__)

#: Seconds that nova's clock may be behind or ahead of ours.
OVERLAP = 300.0
#: Seconds that the threads have to end.
_END = 5.0


class Upkeep:
    """Fills and refreshes ``.map``.

    With ``resource_map_file`` from that file only. Without a file and without
    ``auth_type`` from the bus only.

    :param bus: whether there is a bus to listen on
    :raises ConfigurationError: options or file are wrong
    """

    def __init__(self, conf: cfg.ConfigOpts, bus: bool = True) -> None:
        self._options = section = conf[options.GROUP]
        self._cycles: list[cycle.Cycle] = []
        self._listener: listener.Listener | None = None
        if section.resource_map_file:
            self.map = resource_map.ResourceMap()
            self._load()
            return
        nova = None
        if section.auth_type or section.auth_section:
            nova = inventory.Inventory(conf)
        self.map = resource_map.ResourceMap(
            section.resource_map_stale_after,
            lookup.Lookup(nova, section.lookup_timeout) if nova else None)
        if bus and section.exchanges and _has_bus(conf):
            self._listener = listener.Listener(conf, self.map)
        self._plan(nova)

    def _plan(self, nova: inventory.Inventory | None) -> None:
        section = self._options
        if nova is None:
            if self._listener is not None:
                LOG.warning('[inspector] auth_type is not set: the resource '
                            'map has only what the bus tells')
            self._cycles.append(cycle.Cycle(
                'memory', lambda: self.map.forget(self.map.begin()),
                section.resource_map_full_interval))
            return
        servers = Servers(self.map, nova, section.resource_map_full_interval)
        self._cycles.append(cycle.Cycle(
            'nova', servers.read, section.resource_map_interval))
        if section.resource_map_ports:
            self._cycles.append(cycle.Cycle(
                'neutron', lambda: read_ports(self.map, nova),
                section.resource_map_full_interval))

    def start(self) -> None:
        """Start to listen, then to ask."""
        if self._listener is not None:
            # First: what happens while nova is read must not be missed.
            self._listener.start()
        for each in self._cycles:
            each.start()

    def stop(self) -> None:
        """End the threads and disconnect."""
        if self._listener is not None:
            self._listener.stop()
        for each in self._cycles:
            each.stop(_END)

    def reload(self) -> None:
        """Read the file again; one that is wrong changes nothing."""
        if not self._options.resource_map_file:
            return
        try:
            self._load()
        except exception.ConfigurationError as exc:
            LOG.error('The resource map stays as it was: %s', exc)

    def _load(self) -> None:
        servers = map_file.read(self._options.resource_map_file)
        fill(self.map, servers)
        LOG.info('The resource map has %d servers', len(servers))


def _has_bus(conf: cfg.ConfigOpts) -> bool:
    """Whether there is one to listen on; a standalone service may not."""
    return bool(conf.agent.messaging_urls or conf.transport_url
                or conf.oslo_messaging_notifications.transport_url)


class Servers:
    """Reads nova: now and then everything, in between what changed."""

    def __init__(self, resources: resource_map.ResourceMap,
                 nova: inventory.Inventory, full_interval: float) -> None:
        self._map = resources
        self._nova = nova
        self._full_interval = full_interval
        self._full_at = float('-inf')
        self._read_at: datetime.datetime | None = None

    def read(self) -> None:
        """Read once; what was read until a failure is kept."""
        started = time.monotonic()
        now = datetime.datetime.now(datetime.UTC)
        listing = self._map.begin()
        try:
            if self._read_at is None or (
                    started - self._full_at >= self._full_interval):
                self._map.confirm(listing, self._nova.servers())
                self._map.finish(listing, started)
                self._full_at = started
            else:
                self._map.confirm(listing, self._nova.changed_since(
                    self._read_at - datetime.timedelta(seconds=OVERLAP)))
                self._map.confirmed(started)
        except Exception:
            self._nova.forget()
            raise
        self._read_at = now
        metrics.MAP_SERVERS.set(len(self._map))


def read_ports(resources: resource_map.ResourceMap,
               nova: inventory.Inventory) -> None:
    """Read the ports of all servers."""
    listing = resources.begin()
    try:
        resources.confirm_ports(listing, nova.ports())
    except Exception:
        nova.forget()
        raise
    resources.finish_ports(listing)


def fill(resources: resource_map.ResourceMap,
         servers: list[resource_map.Server]) -> None:
    """Make a map show these servers and nothing else."""
    listing = resources.begin()
    resources.confirm(listing, (sighting.Sighting(
        server, 1, (server.monitored, None, None)) for server in servers))
    resources.finish(listing, time.monotonic())
    resources.confirm_ports(listing, (
        sighting.PortSighting(port_id, server.id, 1)
        for server in servers for port_id in server.ports))
    resources.finish_ports(listing)
