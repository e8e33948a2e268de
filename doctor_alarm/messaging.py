# SPDX-License-Identifier: Apache-2.0
"""The bus: transports, strict publishing, listening with late acknowledgement.

Three kinds of transports differ in who owns the queues:

* foreign (:func:`get_transport`): nova's, Ceilometer's. Declared with *their*
  settings, else the broker answers 406 and the listener gets nothing.
* own (:func:`get_own_transport`): our durable hop; quorum queues with a
  dead-letter exchange.
* hints (:func:`get_hint_transport`): wake-ups that may be lost at any time;
  the queue goes away with its last consumer.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import json
import logging
import queue
import threading
from typing import Any
import uuid

import amqp
from oslo_config import cfg
import oslo_messaging
from oslo_messaging import exceptions as msg_exc
from oslo_messaging._drivers import impl_rabbit
from oslo_messaging.notify import dispatcher as notify_dispatcher
from oslo_messaging.notify import listener as notify_listener
from oslo_utils import timeutils

from doctor_alarm import exception

LOG = logging.getLogger(__name__)

EXCHANGE = 'doctor_alarm'
HINT_EXCHANGE = 'doctor_alarm_hint'
DEAD_LETTER = 'doctor_alarm.dead_letter'

#: How often the broker gives a message again before it is a dead letter. The
#: default of RabbitMQ 4, 20, is reached by a process that crashes in a loop.
#: It marks the queues as our own, see :func:`_queue_arguments`.
DELIVERY_LIMIT = 1000000
#: Unacknowledged messages per listener: bounds the heap under a backlog.
PREFETCH = 400
#: Bytes that a message should not exceed.
MESSAGE_SIZE = 900 * 1024
#: Attempts of one send before it is the caller's again.
RETRIES = 2
#: Seconds that the broker has to confirm a message.
CONFIRM_TIMEOUT = 10.0

PRIORITIES: Sequence[str] = tuple(notify_dispatcher.PRIORITIES)


def get_transport(conf: cfg.ConfigOpts, url: str | None = None,
                  ) -> oslo_messaging.Transport:
    """Return the transport of a bus whose queues belong to somebody else.

    :param url: default: that of ``[oslo_messaging_notifications]``, else of
        ``[DEFAULT]``. Its query overrides ``[oslo_messaging_rabbit]``, e.g.
        ``?rabbit_quorum_queue=false``.
    """
    return _transport(
        conf, url or conf.oslo_messaging_notifications.transport_url,
        rabbit_qos_prefetch_count=str(PREFETCH))


def get_own_transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Return the transport of our hop: quorum queues, bounded prefetch."""
    return _transport(
        conf, None, rabbit_quorum_queue='true',
        rabbit_quorum_delivery_limit=str(DELIVERY_LIMIT),
        rabbit_qos_prefetch_count=str(PREFETCH))


def get_hint_transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Return the transport of wake-ups: nothing of it outlives a restart."""
    return _transport(
        conf, None, rabbit_quorum_queue='false',
        amqp_durable_queues='false', amqp_auto_delete='true',
        rabbit_qos_prefetch_count=str(PREFETCH))


class Publisher:
    """Sends messages to one topic and knows whether they arrived.

    ``oslo_messaging.Notifier`` swallows what goes wrong and logs the payload;
    this does neither.
    """

    def __init__(self, transport: oslo_messaging.Transport, topic: str,
                 publisher_id: str, priority: str = 'sample',
                 exchange: str = EXCHANGE) -> None:
        self._transport = transport
        self._topic = topic
        self._exchange = exchange
        self._publisher_id = publisher_id
        self._priority = priority

    def publish(self, event_type: str, payload: Any) -> None:
        """Send one message; return when the broker confirmed it.

        :raises PublishFailed: the caller still has the message
        """
        target = oslo_messaging.Target(
            exchange=self._exchange,
            topic='%s.%s' % (self._topic, self._priority))
        message = {
            'message_id': str(uuid.uuid4()),
            'publisher_id': self._publisher_id,
            'event_type': event_type,
            'priority': self._priority.upper(),
            'payload': payload,
            'timestamp': str(timeutils.utcnow()),
        }
        try:
            self._transport._send_notification(
                target, {}, message, version=2.0, retry=RETRIES)
        except Exception as exc:
            raise exception.PublishFailed(
                topic=self._topic, reason=reason_of(exc)) from exc


#: Without a queue that takes it the broker would drop a message in silence.
_ROUTED = oslo_messaging.TransportOptions(at_least_once=True)


class HintPublisher:
    """Sends wake-ups: to whoever listens now, else to nobody."""

    def __init__(self, transport: oslo_messaging.Transport,
                 topic: str) -> None:
        self._transport = transport
        self._topic = topic

    def publish(self, hint: dict[str, Any]) -> None:
        """Send one wake-up.

        :raises PublishFailed: nobody listens, or it may be lost
        """
        target = oslo_messaging.Target(
            exchange=HINT_EXCHANGE, topic='%s.sample' % self._topic)
        message = {'event_type': 'wake', 'priority': 'SAMPLE',
                   'publisher_id': EXCHANGE, 'payload': hint,
                   'message_id': str(uuid.uuid4())}
        try:
            # A notification would create the queue where nobody listens, and
            # fill it; a plain message goes to consumers that are there.
            self._transport._driver.send(
                target, {}, message, retry=0, transport_options=_ROUTED)
        except Exception as exc:
            raise exception.PublishFailed(
                topic=self._topic, reason=reason_of(exc)) from exc


class BatchServer(notify_listener.NotificationServer):
    """Hands every message over in the poll thread; others acknowledge it.

    ``on_message(incoming)`` gets oslo's incoming message: ``.message`` is the
    notification, ``.ctxt`` its context, ``.acknowledge()`` may be called from
    any thread at any time and does not block. What is never acknowledged goes
    back to the broker when the connection ends.
    """

    def __init__(self, transport: oslo_messaging.Transport,
                 targets: list[oslo_messaging.Target],
                 on_message: Callable[[Any], None], *,
                 pool: str | None = None,
                 priorities: Iterable[str] = PRIORITIES) -> None:
        super().__init__(transport, targets, _Priorities(priorities),
                         allow_requeue=False, pool=pool or None)
        self._on_message = on_message

    def _create_listener(self) -> Any:
        try:
            adapter = super()._create_listener()
        except msg_exc.MessageDeliveryFailure as exc:
            raise exception.QueueMismatch(
                topic=', '.join(sorted({t.topic for t in self.targets})),
                where=str(_without_password(self.transport)),
                reason=reason_of(exc)) from exc
        # NOTE: oslo.messaging remembers what it acknowledged last and drops
        # it, unacknowledged, when the broker gives it again after a lost
        # connection. That leaks a slot of the prefetch window each time.
        listener: Any = getattr(adapter, '_poll_style_listener', None)
        if hasattr(listener, 'msg_id_cache'):
            listener.msg_id_cache = _NoCache()
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
        if self.listener is None:
            return
        # NOTE: oslo.messaging closes the connection while its thread may
        # still have some to send; the broker would give these messages again.
        listener: Any = getattr(self.listener, '_poll_style_listener', None)
        operations = getattr(listener, '_message_operations_handler', None)
        if operations is not None:
            operations.stop()
            operations._shutdown_thread.join(CONFIRM_TIMEOUT)
            operations.process()
        self.wait()


class Batcher:
    """Calls ``process(items)`` with all that came since the last call.

    Grouping costs a lone item no waiting and a crowd one transaction.
    ``process`` runs in one thread. It should not raise: then it is called
    again with each item alone.
    """

    def __init__(self, name: str, process: Callable[[list[Any]], None],
                 limit: int) -> None:
        self._process = process
        self._limit = limit
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, item: Any) -> None:
        """Queue an item; returns at once."""
        self._queue.put(item)

    def stop(self, timeout: float | None = None) -> None:
        """Process what is queued, then end."""
        self._queue.put(_STOP)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._queue.get()]
            while len(batch) < self._limit:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            if _STOP in batch:
                stopping = True
                batch = [item for item in batch if item is not _STOP]
            if batch:
                self._try(batch)

    def _try(self, batch: list[Any]) -> None:
        try:
            self._process(batch)
        except Exception:
            LOG.exception('Batch of %s failed', self._thread.name)
            # One of them is the culprit: the others need not suffer.
            for item in batch if len(batch) > 1 else ():
                self._try([item])


def chunks(docs: Iterable[Any], count: int = 100,
           size: int = MESSAGE_SIZE) -> Iterator[list[Any]]:
    """Group payloads into lists of at most ``count`` and ``size`` bytes."""
    group: list[Any] = []
    weight = 0
    for doc in docs:
        length = len(json.dumps(doc, default=str))
        if group and (len(group) >= count or weight + length > size):
            yield group
            group, weight = [], 0
        group.append(doc)
        weight += length
    if group:
        yield group


class _Priorities:
    """All that the server asks of its dispatcher before a message comes."""

    def __init__(self, priorities: Iterable[str]) -> None:
        self.supported_priorities = list(priorities)


class _NoCache:
    def add(self, _unique_id: str) -> None:
        """Forget it: the database recognises a message that came again."""

    def check_duplicate_message(self, message: dict[str, Any]) -> str | None:
        return message.pop('_unique_id', None)


_STOP = object()


def _transport(conf: cfg.ConfigOpts, url: str | None,
               **query: str) -> oslo_messaging.Transport:
    try:
        parsed = oslo_messaging.TransportURL.parse(conf, url)
        if parsed.transport.startswith(('rabbit', 'kombu')):
            for key, value in query.items():
                parsed.query.setdefault(key, value)
        return oslo_messaging.get_notification_transport(conf, url=parsed)
    except (msg_exc.MessagingException, ValueError, AttributeError) as exc:
        raise exception.ConfigurationError(
            where='transport_url', reason=reason_of(exc)) from exc


def _without_password(transport: oslo_messaging.Transport) -> str:
    url = transport._driver._url
    return ','.join('%s:%s' % (host.hostname, host.port) for host in url.hosts)


def reason_of(exc: BaseException) -> str:
    """Return what an error says, in one line."""
    return ' '.join(str(exc).split())


_plain_queue_arguments = impl_rabbit._get_queue_arguments


def _queue_arguments(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Give our own queues a dead-letter exchange.

    oslo.messaging rejects a message whose body it can not read, and has no
    option for where that goes; the listener and the sender of a queue must
    declare the same arguments.
    """
    arguments = _plain_queue_arguments(*args, **kwargs)
    if arguments.get('x-delivery-limit') == DELIVERY_LIMIT:
        arguments['x-dead-letter-exchange'] = DEAD_LETTER
    return arguments


impl_rabbit._get_queue_arguments = _queue_arguments

_plain_publish_confirm = amqp.Channel.basic_publish_confirm


def _publish_confirm(channel: amqp.Channel, *args: Any,
                     **kwargs: Any) -> Any:
    """Wait for a confirmation, but not for ever.

    A broker that hangs, or that was killed while the queue was being made,
    never answers, and oslo.messaging has no option for how long to wait.
    """
    kwargs.setdefault('confirm_timeout', CONFIRM_TIMEOUT)
    try:
        return _plain_publish_confirm(channel, *args, **kwargs)
    except TimeoutError as exc:
        raise amqp.RecoverableConnectionError(
            'no confirmation within %g s' % CONFIRM_TIMEOUT) from exc


amqp.Channel.basic_publish_confirm = _publish_confirm
