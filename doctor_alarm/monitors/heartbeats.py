# SPDX-License-Identifier: Apache-2.0
"""What nova's list of services says about its hosts; pure."""
from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import logging
from typing import Any

from doctor_alarm.monitors import base
from doctor_alarm.monitors import debounce
from doctor_alarm.monitors import metrics

LOG = logging.getLogger(__name__)

#: Heartbeats of a service that is forced down that make it alive.
_BEATS = 2


class Unreadable(Exception):
    """A list that does not say what it should."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Of [monitor_nova_service]."""

    down_after: int
    up_after: int
    hold_down: float
    max_down_percent: int

    @classmethod
    def of(cls, options: Any) -> Settings:
        """Return those of the group."""
        return cls(*(getattr(options, field.name)
                     for field in dataclasses.fields(cls)))


@dataclasses.dataclass(slots=True)
class _Service:
    state: debounce.Debouncer
    beat: str = ''
    beats: int = 0
    said: tuple[Any, ...] = ()

    def alive(self, service: Mapping[str, Any]) -> bool:
        """Say whether the heartbeat moves, whatever nova makes of it.

        Nova shows when the service was changed last: by a heartbeat, or by
        somebody who forced it down or disabled it. That has to be told apart.
        """
        beat = str(service.get('updated_at') or '')
        said = tuple(service.get(name) for name in (
            'is_forced_down', 'status', 'disabled_reason'))
        if said != self.said:
            self.beats = 0
        elif beat > self.beat:
            self.beats += 1
        self.beat, self.said = beat, said
        return self.beats >= _BEATS


class Heartbeats:
    """The states of the services, from one look to the next.

    A service that is forced down is down for nova whatever it does, because
    somebody said so. That is not reported again; but when it is one that was
    reported and its heartbeat moves again, the host is back.
    """

    def __init__(self, settings: Settings, reporter: base.Reporter) -> None:
        self._settings = settings
        self._reporter = reporter
        self._services: dict[str, _Service] = {}
        self._suspended = False

    def count(self) -> dict[str, int]:
        """Return how many are down, and how many are not."""
        down = sum(known.state.down for known in self._services.values())
        return {base.DOWN: down, base.UP: len(self._services) - down}

    def look(self, listed: Sequence[Mapping[str, Any]], now: float) -> None:
        """Take the list of nova.

        :param now: monotonic seconds
        :raises Unreadable: there is none, or one without host or state
        """
        if not listed:
            raise Unreadable('there is no such service')
        for service in listed:
            if not service.get('host') or service.get('state') not in (
                    base.UP, base.DOWN):
                raise Unreadable('a service without host or state')
        self._forget({service['host'] for service in listed})
        trusted = self._plausible(listed)
        for service in listed:
            self._observe(service, trusted, now)

    def _observe(self, service: Mapping[str, Any], trusted: bool,
                 now: float) -> None:
        host = service['host']
        known = self._services.get(host)
        if known is None:
            known = self._services[host] = _Service(debounce.Debouncer(
                self._settings.down_after, self._settings.up_after,
                self._settings.hold_down,
                self._reporter.known_down('host/' + host)))
        alive = known.alive(service)
        up = service['state'] == base.UP
        if service.get('is_forced_down'):
            if not known.state.down or not alive:
                return      # whoever forced it down knows
            up = True
        if not up and not trusted and not known.state.down:
            metrics.BLIND.labels('nova_service').inc()
            return
        status = known.state.observe(up, now)
        if status is not None:
            self._reporter.report(base.host_finding(host, status, (
                'nova-compute: heartbeat of %s' if up else
                'nova-compute: no heartbeat since %s') % (
                    known.beat or 'unknown time')))

    def _plausible(self, listed: Sequence[Mapping[str, Any]]) -> bool:
        """Say whether so many hosts can have failed."""
        counted = [service for service in listed
                   if not service.get('is_forced_down')]
        down = sum(service['state'] == base.DOWN for service in counted)
        fine = down * 100 <= self._settings.max_down_percent * len(counted)
        if fine == self._suspended:
            self._suspended = not fine
            if fine:
                LOG.info('Nova shows %d of %d services down: they count '
                         'again', down, len(counted))
            else:
                LOG.error(
                    'Nova shows %d of %d services down, more than [monitor_'
                    'nova_service] max_down_percent: none of them is '
                    'reported', down, len(counted))
        return fine

    def _forget(self, hosts: set[str]) -> None:
        for host in set(self._services) - hosts:
            del self._services[host]
            self._reporter.forget('host/' + host)
