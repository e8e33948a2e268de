# SPDX-License-Identifier: Apache-2.0
"""What happens to a notification between its arrival and its acknowledgement.

A message is acknowledged when everything that depends on it is safe: its
events are with every publisher of the intake, or it is a dead letter. What
fails is tried again, in process, until it works or the service ends; then the
broker still has the message.
"""
from __future__ import annotations

from collections.abc import Sequence
import functools
import logging
import threading
import time
import traceback
from typing import Any, Protocol

from doctor_alarm.agent import endpoint
from doctor_alarm.agent import normalise
from doctor_alarm.agent import pipeline
from doctor_alarm.agent.publishers import base
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm import metrics

LOG = logging.getLogger(__name__)

#: Seconds that the end of the service waits for the batch in work.
DRAIN = 20.0


class DeadLetters(Protocol):
    """Where malformed notifications are put."""

    def put(self, reason: str, message_id: str, source: str,
            body: Any) -> None:
        """Store one; raises if it could not be made durable."""


class Output:
    """A sink as far as an intake serves it: a filter and publishers."""

    def __init__(self, sink: pipeline.Sink,
                 publishers: Sequence[base.Publisher]) -> None:
        self.name = sink.name
        self.publishers = list(publishers)
        self._sink = sink
        self._taken: dict[str, bool] = {}

    def chosen(self, events: list[event.Event]) -> list[event.Event]:
        """Return the events that go to this sink."""
        return [found for found in events if self._takes(found.event_type)]

    def _takes(self, event_type: str) -> bool:
        if len(self._taken) > 4096:
            self._taken.clear()
        if event_type not in self._taken:
            self._taken[event_type] = self._sink.takes(event_type)
        return self._taken[event_type]


class Intake:
    """Turns messages of one queue into events for its outputs.

    :param queue: name of the queue; empty: that of each topic and priority
    :param dead_letters: ``None`` where another intake sees the same messages
        and puts the malformed ones aside
    """

    def __init__(self, queue: str, transformer: endpoint.Transformer,
                 outputs: Sequence[Output], *, stopping: threading.Event,
                 dead_letters: DeadLetters | None = None,
                 batch_size: int = 100) -> None:
        self._queue = queue
        self._transformer = transformer
        self._outputs = list(outputs)
        self._stopping = stopping
        self._dead_letters = dead_letters
        self._batches = messaging.Batcher(
            'agent %s' % queue, self.process, batch_size)
        # A thread of its own: dead letters that can not be stored must not
        # keep back the others.
        self._aside = messaging.Batcher(
            'aside %s' % queue, self._put_aside, 1)

    def start(self) -> None:
        """Start the threads."""
        self._batches.start()
        self._aside.start()

    def stop(self) -> None:
        """Finish what was taken."""
        self._batches.stop(DRAIN)
        self._aside.stop(DRAIN)

    def submit(self, incoming: Any) -> None:
        """Take a message; returns at once."""
        self._batches.submit(incoming)

    def process(self, batch: list[Any]) -> None:
        """Publish the events of a batch, then acknowledge its messages."""
        events: list[event.Event] = []
        done = []
        for incoming in batch:
            self._count(incoming)
            try:
                events += self._transformer.events(
                    incoming.message, incoming.ctxt)
                done.append(incoming)
            except exception.InvalidEvent as exc:
                self._refuse(incoming, str(exc))
            except Exception as exc:
                # Not foreseen: this one message is at fault, not the batch.
                # What the error says may quote the payload, so it is not told.
                LOG.error('Notification %s broke the agent:\n%s',
                          _message_id(incoming),
                          ''.join(traceback.format_tb(exc.__traceback__)))
                self._refuse(incoming, 'broke the agent: %s'
                             % type(exc).__name__)
        if not self._publish(events):
            return
        for incoming in done:
            incoming.acknowledge()

    def _publish(self, events: list[event.Event]) -> bool:
        for output in self._outputs:
            chosen = output.chosen(events)
            if not chosen:
                continue
            for publisher in output.publishers:
                if not messaging.insist(
                        functools.partial(publisher.publish, chosen),
                        'Sink %s' % output.name, self._stopping):
                    return False
        for found in events:
            LOG.debug('Published event %s, message_id %s',
                      found.event_type, found.message_id)
        return True

    def _refuse(self, incoming: Any, reason: str) -> None:
        if self._dead_letters is None:
            incoming.acknowledge()
            return
        metrics.MALFORMED.labels(source='agent').inc()
        LOG.warning('Malformed notification %s is put aside: %s',
                    _message_id(incoming), reason)
        self._aside.submit((incoming, reason))

    def _put_aside(self, items: list[Any]) -> None:
        letters = self._dead_letters
        assert letters is not None      # noqa: S101
        for incoming, reason in items:
            store = functools.partial(
                letters.put, reason, _message_id(incoming),
                self._queue or _delivery_info(incoming).get('routing_key', ''),
                _kept(incoming.message))
            if messaging.insist(store, 'Putting aside', self._stopping):
                incoming.acknowledge()

    def _count(self, incoming: Any) -> None:
        if self._dead_letters is None:
            return
        exchange = exchange_of(incoming)
        metrics.NOTIFICATIONS.labels(exchange=exchange).inc()
        metrics.LAST_NOTIFICATION.labels(exchange=exchange).set(time.time())


def exchange_of(incoming: Any) -> str:
    """Return the exchange that a message came over, if the driver tells."""
    return _delivery_info(incoming).get('exchange') or 'unknown'


def _delivery_info(incoming: Any) -> dict[str, Any]:
    info = getattr(incoming, 'delivery_info', None)
    return info if isinstance(info, dict) else {}


def _kept(message: Any) -> Any:
    try:
        return normalise.redacted(message)
    except Exception as exc:
        # What broke the agent may break this as well.
        return '(left out: %s)' % type(exc).__name__


def _message_id(incoming: Any) -> str:
    try:
        message_id = incoming.message.get('message_id')
    except AttributeError:
        return '(none)'
    if not isinstance(message_id, str) or not message_id:
        return '(none)'
    return event.plain_id(message_id)
