# SPDX-License-Identifier: Apache-2.0
"""Where events that come over HTTP go: onto the bus.

What several requests bring while the broker is busy goes in one message: it
costs broker and evaluators a tenth of as many messages of one event.
"""
from __future__ import annotations

import json
import threading
from typing import Any

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import messaging

#: Bytes of an event on the bus; with its envelope it stays under a megabyte.
MAX_SIZE = messaging.MESSAGE_SIZE
#: Requests that wait for the broker at once: half the threads of the API by
#: default, so that a broker which hangs leaves it the others.
PLACES = 8
#: Seconds that one more waits for a place.
PATIENCE = 1.0
#: Messages under way at once: where one hangs with its connection there is
#: another.
TURNS = 2


class BusEvents:
    """Publishes events to the evaluators, as the agents do."""

    def __init__(self, publisher: messaging.Publisher) -> None:
        self._publisher = publisher
        self._places = threading.Semaphore(PLACES)
        self._turns = threading.Semaphore(TURNS)
        self._lock = threading.Lock()
        self._open: _Group | None = None

    def accept(self, events: list[event_mod.Event]) -> None:
        """Publish events; return when the broker has all of them.

        :raises TooLarge: one of them is; then none is published
        :raises PublishFailed: some may have arrived, the caller repeats all
        """
        docs = [event.to_wire() for event in events]
        for payload in messaging.chunks(docs):
            # A larger one is alone in its message.
            if len(payload) == 1 and len(json.dumps(payload)) > MAX_SIZE:
                raise exception.TooLarge(
                    'An event must not be larger than %d bytes' % MAX_SIZE)
        if not self._places.acquire(timeout=PATIENCE):
            raise exception.PublishFailed(
                topic='event', reason='%d others wait for it' % PLACES)
        try:
            self._together(docs)
        finally:
            self._places.release()

    def _together(self, docs: list[dict[str, Any]]) -> None:
        """Publish with those who wait as well; the first of them does it."""
        with self._lock:
            first = self._open is None
            group = self._open = self._open or _Group()
            group.docs += docs
        if first:
            self._publish(group)
        group.done.wait()
        if group.failure is not None:
            raise exception.PublishFailed(
                topic='event', reason=messaging.reason_of(
                    group.failure)) from group.failure

    def _publish(self, group: _Group) -> None:
        try:
            # No longer than two others take, who have a deadline.
            with self._turns:
                with self._lock:
                    self._open = None       # the next one makes another
                for payload in messaging.chunks(group.docs):
                    self._publisher.publish('event', payload)
        except Exception as exc:
            group.failure = exc
        finally:
            group.done.set()


class _Group:
    """Events of requests that are published together."""

    def __init__(self) -> None:
        self.docs: list[dict[str, Any]] = []
        self.done = threading.Event()
        self.failure: Exception | None = None
