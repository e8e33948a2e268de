# SPDX-License-Identifier: Apache-2.0
"""Where events that come over HTTP go: onto the bus."""
from __future__ import annotations

import json

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import messaging

#: Bytes of an event on the bus; with its envelope it stays under a megabyte.
MAX_SIZE = messaging.MESSAGE_SIZE


class BusEvents:
    """Publishes events to the evaluators, as the agents do."""

    def __init__(self, publisher: messaging.Publisher) -> None:
        self._publisher = publisher

    def accept(self, events: list[event_mod.Event]) -> None:
        """Publish events; return when the broker has all of them.

        :raises TooLarge: one of them is; then none is published
        :raises PublishFailed: some may have arrived, the caller repeats all
        """
        payloads = list(messaging.chunks(e.to_wire() for e in events))
        for payload in payloads:
            # A larger one is alone in its message.
            if len(payload) == 1 and len(json.dumps(payload)) > MAX_SIZE:
                raise exception.TooLarge(
                    'An event must not be larger than %d bytes' % MAX_SIZE)
        for payload in payloads:
            self._publisher.publish('event', payload)
