# SPDX-License-Identifier: Apache-2.0
"""Notices that a broker hands messages out and does not deliver them.

Where a quorum queue is deleted and somebody makes it again at once, RabbitMQ
(seen with 3.10) takes our subscription over to the new one, and then forgets
whose it was: no cancellation, no error, the queue shows a consumer and the
first messages as given out, but none arrives.
"""
from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

import amqp
from oslo_messaging._drivers import impl_rabbit

#: Seconds between looks. One that comes in the milliseconds of a look may be
#: given out and not arrive: it comes after a reconnect, a second later.
PERIOD = 30.0


class Watch:
    """Looks after the subscriptions of a connection, in its poll thread."""

    def __init__(self, conn: impl_rabbit.Connection) -> None:
        self._conn = conn
        #: By consumer tag, the last delivery tag.
        self.latest: dict[str, int] = {}
        # The same at the last look.
        self._before: dict[str, int] = {}
        self._due = 0.0

    def restart(self) -> None:
        """A channel is new, and its delivery tags start anew."""
        self.latest.clear()
        self._before.clear()
        self._due = 0.0

    def look(self, settled: Callable[[int], bool]) -> None:
        """Subscribe anew to quorum queues silent since the last look.

        Called often, it does so every now and then.

        :param settled: whether everything up to a delivery tag is settled
        :raises amqp.RecoverableConnectionError: there are messages that only
            a new connection gets
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + PERIOD
        consumers = {tag: consumer for consumer, tag
                     in self._conn._consumers.items()}
        before, self._before = self._before, {
            str(tag): self.latest.get(str(tag), 0) for tag in consumers}
        for tag, consumer in consumers.items():
            last = self._before[str(tag)]
            if (last == before.get(str(tag)) and settled(last)
                    and consumer.queue_arguments.get(
                        'x-queue-type') == 'quorum'):
                self._renew(consumer, tag)

    def _renew(self, consumer: Any, tag: int) -> None:
        last = self.latest.get(str(tag))
        try:
            counted = self._count(consumer)
            consumer.cancel(tag)
            left = self._count(consumer)
            consumer.consume(self._conn, tag)
        except amqp.NotFound as exc:
            raise amqp.RecoverableConnectionError(
                'queue %s is gone' % consumer.queue_name) from exc
        # One that has left and has messages still counts. What came just now
        # is the other reason to have some.
        if 0 < counted <= left and self.latest.get(str(tag)) == last:
            raise amqp.RecoverableConnectionError(
                'messages from %s do not arrive' % consumer.queue_name)

    def _count(self, consumer: Any) -> int:
        """Return how many read a queue."""
        answer = self._conn.channel.queue_declare(
            consumer.queue_name, passive=True)
        count: int = answer.consumer_count
        return count
