# SPDX-License-Identifier: Apache-2.0
"""The contract of publishers, and how the URLs of a pipeline become some."""
from __future__ import annotations

import abc
from typing import Protocol
import urllib.parse

from oslo_config import cfg
from stevedore import extension

from doctor_alarm.agent import pipeline
from doctor_alarm import event
from doctor_alarm import exception

NAMESPACE = 'doctor_alarm.publisher'


class Accept(Protocol):
    """What events can be handed to."""

    def __call__(self, events: list[event.Event]) -> None:
        """Return when the events are safe; raise when they may not be."""


class Publisher(abc.ABC):
    """Sends events somewhere; one instance per URL of the pipeline.

    ``feeds_alarms``: an alarm depends on it. Such publishers share the main
    listener; every other sink has a listener of its own.
    """

    feeds_alarms = False

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        """Check the URL; connect to nothing yet.

        :raises ConfigurationError: the URL has what the publisher lacks
        """
        self.conf = conf
        self.url = url

    def start(self) -> None:    # noqa: B027 (most need none)
        """Begin what is not for events to begin; once in each worker.

        :raises ConfigurationError: it can not work so
        """

    @abc.abstractmethod
    def publish(self, events: list[event.Event]) -> None:
        """Send events; return when all of them are confirmed.

        :raises Exception: some may not have arrived; the caller still has
            them and tries again
        """


class Direct(Publisher):
    """Hands events to a function of this process, in place of ``alarm://``."""

    feeds_alarms = True

    def __init__(self, conf: cfg.ConfigOpts, accept: Accept) -> None:
        super().__init__(conf, 'direct://')
        self._accept = accept

    def publish(self, events: list[event.Event]) -> None:
        """Hand the events over."""
        self._accept(events)


class Loader:
    """Makes publishers of the URLs of a pipeline.

    :param accept: takes the events of ``alarm://``; default: the bus does
    """

    def __init__(self, conf: cfg.ConfigOpts, accept: Accept | None = None,
                 ) -> None:
        self._conf = conf
        self._direct = Direct(conf, accept) if accept else None
        self._known = {
            found.name: found for found in extension.ExtensionManager(
                NAMESPACE, on_load_failure_callback=_failed)}

    def load(self, endpoint: pipeline.Endpoint) -> Publisher:
        """Return the publisher of a URL.

        :raises ConfigurationError: with file and line
        """
        if endpoint.scheme == 'alarm' and self._direct:
            return self._direct
        if endpoint.scheme not in self._known:
            raise pipeline.unknown_publisher(endpoint, list(self._known))
        try:
            plugin = self._known[endpoint.scheme].plugin
            return plugin(self._conf, endpoint.url)
        except exception.ConfigurationError as exc:
            raise exception.ConfigurationError(
                where=endpoint.where,
                reason=exc.kwargs.get('reason', str(exc))) from None


def options(url: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the options in the query of a URL; the last of a name counts.

    :raises ConfigurationError: one of them is not known
    """
    query = urllib.parse.urlsplit(url).query
    found = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    for name in found:
        if name not in known:
            raise exception.ConfigurationError(
                where='publisher', reason='unknown option %s, known are: %s'
                % (name, ', '.join(known) or 'none'))
    return found


def _failed(_manager: extension.ExtensionManager, entry_point: object,
            exc: BaseException) -> None:
    raise exception.ConfigurationError(
        where='entry point %s' % getattr(entry_point, 'name', entry_point),
        reason=str(exc) or type(exc).__name__)
