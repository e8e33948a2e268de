# SPDX-License-Identifier: Apache-2.0
"""Keeps the resource map fresh from the bus.

Each inspector has a map, so each has to hear everything: it listens with a
queue of its own beside those of the agents. It does not get events from the
agents, for these share the notifications among them, and which traits events
have is up to the operator. Nothing depends on any one message: nova is asked
again later. So a message is acknowledged when it was read, and the queue goes
when nobody listens for a while.
"""
from __future__ import annotations

import datetime
import logging
import socket
import threading
from typing import Any
import uuid

from oslo_config import cfg
import oslo_messaging

from doctor_alarm.conf import inspector as options
from doctor_alarm import exception
from doctor_alarm.inspector import changes
from doctor_alarm.inspector import resource_map
from doctor_alarm import messaging

LOG = logging.getLogger(__name__)

#: Seconds that RabbitMQ keeps the queue without a listener, and messages in
#: it: what is older or more, nova is asked for.
EXPIRES = 300
LENGTH = 50000
#: Priorities with which nova and neutron tell of servers and ports.
PRIORITIES = ('info', 'error')


class Listener:
    """Listens on every bus of ``[agent] messaging_urls``."""

    def __init__(self, conf: cfg.ConfigOpts,
                 resources: resource_map.ResourceMap) -> None:
        self._conf = conf
        self._map = resources
        self._reader = changes.Reader(
            conf[options.GROUP].monitored_property)
        self._servers: list[messaging.BatchServer] = []
        self._stopping = threading.Event()
        self._queue = ''

    def start(self) -> None:
        """Connect, as soon as there is a broker; returns at once."""
        # Not one that another worker or inspector of this host might have as
        # well, for each would miss what the other one gets. Here, because
        # workers are forked before they start.
        self._queue = 'doctor_alarm-inspector-%s-%s' % (
            socket.gethostname(), uuid.uuid4().hex[:8])
        for url in list(self._conf.agent.messaging_urls) or [None]:
            server = messaging.BatchServer(
                messaging.get_transport(self._conf, url), self._targets(),
                self.take, pool=self._queue, priorities=PRIORITIES,
                arguments=messaging.Expiry(EXPIRES, LENGTH).arguments)
            self._servers.append(server)
            threading.Thread(target=self._connect, args=(server,),
                             name='map connects', daemon=True).start()

    def _connect(self, server: messaging.BatchServer) -> None:
        try:
            server.start()
            if self._stopping.is_set():     # while it was connecting
                server.halt()
                server.disconnect()
        except Exception as exc:
            LOG.error('The resource map does not hear of changes: %s',
                      messaging.reason_of(exc))

    def stop(self) -> None:
        """Take nothing more and disconnect."""
        self._stopping.set()
        for server in self._servers:
            server.halt()
        for server in self._servers:
            server.disconnect()

    def take(self, incoming: Any) -> None:
        """Take a message into the map."""
        message = incoming.message
        try:
            for change in self._reader.read(
                    message, datetime.datetime.now(datetime.UTC)):
                self._map.apply(change)
        except exception.InvalidEvent as exc:
            # The agent puts it aside, which counts and logs it.
            LOG.debug('Malformed notification: %s', exc)
        except Exception as exc:
            # One that nobody foresaw must not end the listening; what it
            # says may quote the payload.
            LOG.error('A notification broke the resource map: %s',
                      type(exc).__name__)
        incoming.acknowledge()

    def _targets(self) -> list[oslo_messaging.Target]:
        return [oslo_messaging.Target(topic=topic, exchange=exchange)
                for exchange in dict.fromkeys(
                    self._conf[options.GROUP].exchanges)
                for topic in dict.fromkeys(self._conf.agent.topics)]
