# SPDX-License-Identifier: Apache-2.0
"""Listening with late acknowledgement."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import oslo_messaging
from oslo_messaging import exceptions as msg_exc
from oslo_messaging.notify import dispatcher as notify_dispatcher
from oslo_messaging.notify import listener as notify_listener

from doctor_alarm import exception
from doctor_alarm.messaging import rabbit
from doctor_alarm.messaging import transport as bus

PRIORITIES: Sequence[str] = tuple(notify_dispatcher.PRIORITIES)


class BatchServer(notify_listener.NotificationServer):
    """Hands every message over in the poll thread; others acknowledge it.

    ``on_message(incoming)`` gets an incoming message: ``.message`` is the
    notification, ``.ctxt`` its context, ``.acknowledge()`` may be called from
    any thread at any time and does not block. What is never acknowledged goes
    back to the broker when the connection ends. On RabbitMQ
    ``.delivery_info`` says which exchange and routing key it came over.

    :param arguments: what RabbitMQ is told of the queues besides
    """

    def __init__(self, transport: oslo_messaging.Transport,
                 targets: list[oslo_messaging.Target],
                 on_message: Callable[[Any], None], *,
                 pool: str | None = None,
                 priorities: Iterable[str] = PRIORITIES,
                 arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__(transport, targets, _Priorities(priorities),
                         allow_requeue=False, pool=pool or None)
        self._on_message = on_message
        self._arguments = arguments or {}

    def _create_listener(self) -> Any:
        try:
            with bus.declaring(self._arguments):
                adapter = super()._create_listener()
        except msg_exc.MessageDeliveryFailure as exc:
            raise exception.QueueMismatch(
                topic=', '.join(sorted({t.topic for t in self.targets})),
                where=str(bus.without_password(self.transport)),
                reason=bus.reason_of(exc)) from exc
        if self.transport._driver._url.transport == 'rabbit':
            return rabbit.Listener(adapter._poll_style_listener.conn)
        return adapter

    def _on_incoming(self, incoming: list[Any]) -> None:
        for message in incoming:
            self._on_message(message)

    def check(self) -> None:
        """Declare the queues once, in a process that will fork.

        :raises QueueMismatch: they exist with other settings
        """
        self._create_listener().cleanup()

    def halt(self) -> None:
        """Take no more messages; a server still connecting is left alone."""
        if self.listener is not None:
            self.stop()

    def disconnect(self) -> None:
        """Send the last acknowledgements and close the connection."""
        if self.listener is not None:
            self.wait()


class _Priorities:
    """All that the server asks of its dispatcher before a message comes."""

    def __init__(self, priorities: Iterable[str]) -> None:
        self.supported_priorities = list(priorities)
