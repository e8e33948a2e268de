# SPDX-License-Identifier: Apache-2.0
"""Where events that come over HTTP go: onto the bus."""
from __future__ import annotations

from doctor_alarm import event as event_mod
from doctor_alarm import messaging


class BusEvents:
    """Publishes events to the evaluators, as the agents do."""

    def __init__(self, publisher: messaging.Publisher) -> None:
        self._publisher = publisher

    def accept(self, events: list[event_mod.Event]) -> None:
        """Publish events; return when the broker has all of them.

        :raises PublishFailed: some may have arrived, the caller repeats all
        """
        for payload in messaging.chunks(e.to_wire() for e in events):
            self._publisher.publish('event', payload)
