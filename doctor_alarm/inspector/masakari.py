# SPDX-License-Identifier: Apache-2.0
"""Masakari calls hosts by ids of its own; here are their names."""
from __future__ import annotations

import dataclasses
import logging
import threading
import time

from oslo_config import cfg

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import connected
from doctor_alarm.inspector import cycle

LOG = logging.getLogger(__name__)

#: Trait of what Masakari tells of a host.
HOST_ID = 'masakari_host_id'
#: Seconds after a question in which no other is asked.
PAUSE = 10.0


class Hosts(connected.Connected):
    """Asks Masakari for its hosts.

    :raises ConfigurationError: the options do not fit together
    """

    def names(self) -> dict[str, str]:
        """Return {id: name} of all hosts."""
        masakari = self._connected().instance_ha
        return {host.uuid: host.name for segment in masakari.segments()
                for host in masakari.hosts(segment.uuid)}


class Names:
    """Puts names of hosts into events that have ids; from any thread.

    :param hosts: None: nobody can be asked
    :param timeout: seconds for which an event waits for an answer
    """

    def __init__(self, hosts: Hosts | None, timeout: float,
                 pause: float = PAUSE) -> None:
        self._hosts = hosts
        self._timeout = timeout
        self._pause = pause
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._not_before = float('-inf')

    def completed(self, event: event_mod.Event) -> event_mod.Event:
        """Return an event with the name of its host, if that is known."""
        host_id = event.traits.get(HOST_ID)
        if not host_id or fault.HOSTNAME in event.traits:
            return event
        name = self._name(str(host_id))
        if name is None:
            LOG.warning('%s %s is about a host of Masakari whose name is not '
                        'known, %s: it is no fault of a host',
                        event.event_type, event.message_id, host_id)
            return event
        return dataclasses.replace(event, traits={
            **event.traits, fault.HOSTNAME: name, 'host': name})

    def _name(self, host_id: str) -> str | None:
        with self._lock:
            if host_id not in self._known and self._hosts is not None and (
                    time.monotonic() >= self._not_before):
                self._ask(self._hosts)
            return self._known.get(host_id)

    def _ask(self, hosts: Hosts) -> None:
        answers: list[dict[str, str]] = []

        def ask() -> None:
            try:
                answers.append(hosts.names())
            except Exception as exc:
                hosts.forget()
                LOG.warning('Masakari does not tell its hosts: %s',
                            cycle.reason(exc))

        # Of its own: one that hangs must not keep the process from its end.
        thread = threading.Thread(
            target=ask, name='names of hosts', daemon=True)
        thread.start()
        thread.join(self._timeout)
        self._not_before = time.monotonic() + self._pause
        if answers:
            self._known = answers[0]


def names(conf: cfg.ConfigOpts) -> Names:
    """Return what the configuration allows to ask."""
    options = conf.inspector
    asked = bool(options.auth_type or options.auth_section)
    return Names(Hosts(conf) if asked else None, options.lookup_timeout)
