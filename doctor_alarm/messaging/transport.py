# SPDX-License-Identifier: Apache-2.0
"""Transports to the three kinds of buses, and how they differ from plain ones.

Also what oslo.messaging has no option for: a dead-letter exchange of our own
queues, a bound for the wait for a confirmation, and no confirmation of what
no queue takes.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import contextvars
import dataclasses
import types
from typing import Any

import amqp
from amqp import spec
from oslo_config import cfg
import oslo_messaging
from oslo_messaging import exceptions as msg_exc
from oslo_messaging._drivers import impl_rabbit

from doctor_alarm import exception

EXCHANGE = 'doctor_alarm'
HINT_EXCHANGE = 'doctor_alarm_hint'
DEAD_LETTER = 'doctor_alarm.dead_letter'

#: How often the broker gives a message again before it is a dead letter. The
#: default of RabbitMQ 4, 20, is reached by a process that crashes in a loop.
#: It marks the queues as our own, see :func:`_queue_arguments`.
DELIVERY_LIMIT = 1000000
#: Unacknowledged messages per listener: bounds the heap under a backlog.
PREFETCH = 400
#: The same for our hop, where one message has up to a hundred events: four
#: hundred of those would be 200 MB and more.
OWN_PREFETCH = 50
#: Bytes that a message should not exceed.
MESSAGE_SIZE = 900 * 1024
#: Attempts of one send before it is the caller's again.
RETRIES = 2
#: Without a queue that takes it the broker would drop a message in silence.
ROUTED = oslo_messaging.TransportOptions(at_least_once=True)
#: Seconds that the broker has to confirm a message.
CONFIRM_TIMEOUT = 10.0
#: Seconds that it has to read a wake-up, and to confirm it: a hint is not
#: worth more, and the committer may wait for it.
HINT_TIMEOUT = 1.0
#: Seconds for which a connection is closed that leads nowhere.
FAREWELL = 0.5


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


def get_own_transport(conf: cfg.ConfigOpts, prefetch: int = OWN_PREFETCH,
                      ) -> oslo_messaging.Transport:
    """Return the transport of our hop: quorum queues, bounded prefetch."""
    return _transport(
        conf, None, rabbit_quorum_queue='true',
        rabbit_quorum_delivery_limit=str(DELIVERY_LIMIT),
        rabbit_qos_prefetch_count=str(prefetch))


def get_hint_transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Return the transport of wake-ups: nothing of it outlives a restart."""
    return _transport(
        conf, None, rabbit_quorum_queue='false',
        amqp_durable_queues='false', amqp_auto_delete='true',
        rabbit_qos_prefetch_count=str(PREFETCH))


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


def without_password(transport: oslo_messaging.Transport) -> str:
    url = transport._driver._url
    return ','.join('%s:%s' % (host.hostname, host.port) for host in url.hosts)


def reason_of(exc: BaseException) -> str:
    """Return what an error says, in one line."""
    return ' '.join(str(exc).split())


@dataclasses.dataclass(frozen=True, slots=True)
class Expiry:
    """Bounds of a queue whose messages may be lost.

    :param seconds: after which the broker deletes it without a listener
    :param length: messages; the oldest goes when there are more
    :param size: bytes of them, 0: any number
    """

    seconds: int
    length: int
    size: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """What RabbitMQ is told of the queue."""
        size = {'x-max-length-bytes': self.size} if self.size else {}
        return {'x-expires': self.seconds * 1000,
                'x-max-length': self.length, **size}


#: Of the queue of wake-ups. It ends with its last consumer, but one that was
#: killed before it consumed, or that hangs, must not fill the broker. Each
#: wake-up goes when its lease is over as well.
HINT_BOUNDS = Expiry(seconds=60, length=10000, size=64 * 1024 * 1024)


#: One listener has all messages, in their order, while it lives; those that
#: it did not acknowledge go to the next one, in their order as well.
ONE_BY_ONE = {'x-single-active-consumer': True}

_arguments: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    'arguments', default=types.MappingProxyType({}))


@contextlib.contextmanager
def declaring(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Have the queues that are described within tell that to RabbitMQ."""
    token = _arguments.set(arguments)
    try:
        yield
    finally:
        _arguments.reset(token)


_plain_queue_arguments = impl_rabbit._get_queue_arguments


def _queue_arguments(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Give our own queues a dead-letter exchange, and some more than that.

    oslo.messaging rejects a message whose body it can not read, and has no
    option for where that goes; the listener and the sender of a queue must
    declare the same arguments.
    """
    arguments = _plain_queue_arguments(*args, **kwargs)
    if arguments.get('x-delivery-limit') == DELIVERY_LIMIT:
        arguments['x-dead-letter-exchange'] = DEAD_LETTER
    arguments.update(_arguments.get())
    return arguments


impl_rabbit._get_queue_arguments = _queue_arguments

_plain_publish_confirm = amqp.Channel.basic_publish_confirm


def _publish_confirm(channel: amqp.Channel, *args: Any,
                     **kwargs: Any) -> Any:
    """Wait for a confirmation, but not for ever.

    A broker that hangs, or that was killed while the queue was being made,
    never answers, and oslo.messaging has no option for how long to wait.
    """
    # kombu passes None, for ever.
    if kwargs.get('exchange') == HINT_EXCHANGE:
        kwargs['confirm_timeout'] = kwargs['timeout'] = HINT_TIMEOUT
    elif kwargs.get('confirm_timeout') is None:
        kwargs['confirm_timeout'] = CONFIRM_TIMEOUT
    _look_for_the_end(channel)
    try:
        return _plain_publish_confirm(channel, *args, **kwargs)
    except (msg_exc.MessageUndeliverable, amqp.ChannelError):
        raise       # it was refused
    except TimeoutError as exc:
        _abandon(channel)
        late = amqp.RecoverableConnectionError(
            'no confirmation within %g s' % kwargs['confirm_timeout'])
        setattr(late, _IN_DOUBT, True)
        raise late from exc
    except amqp.RecoverableConnectionError as exc:
        # It may not read any more.
        _abandon(channel)
        setattr(exc, _IN_DOUBT, True)
        raise
    except Exception as exc:
        setattr(exc, _IN_DOUBT, True)
        raise


def _look_for_the_end(channel: amqp.Channel) -> None:
    """Raise if the broker has closed a connection: nothing was sent then.

    After a restart of the broker, or of a node of it, the first message of
    each sender finds such a connection.
    """
    if channel.connection is None:
        raise amqp.RecoverableConnectionError('the connection is closed')
    with contextlib.suppress(TimeoutError):
        channel.connection.drain_events(timeout=0)


def _abandon(channel: amqp.Channel) -> None:
    """Disconnect from a broker that hangs.

    oslo.messaging would take leave of it, and wait for an answer as long as
    for a heartbeat, a minute.
    """
    if channel.connection is not None:
        with contextlib.suppress(OSError):
            # TLS takes leave as well.
            channel.connection.sock.settimeout(FAREWELL)
        channel.connection.collect()


_IN_DOUBT = 'doctor_alarm_in_doubt'


def in_doubt(exc: BaseException | None) -> bool:
    """Whether a message that could not be sent may have arrived."""
    while exc is not None:
        if hasattr(exc, _IN_DOUBT):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


amqp.Channel.basic_publish_confirm = _publish_confirm

_plain_publish = impl_rabbit.Connection._publish


def _publish(conn: impl_rabbit.Connection, exchange: Any, msg: Any,
             routing_key: str | None = None, timeout: float | None = None,
             transport_options: Any = None) -> None:
    """Have the broker return what no queue takes.

    oslo.messaging declares the queue of a notification once per connection;
    when it is deleted later, RabbitMQ confirms what it then drops. A new
    connection declares it again. By then, a second later, those who listened
    know that it was deleted, see :mod:`~doctor_alarm.messaging.subscription`.
    """
    try:
        _plain_publish(conn, exchange, msg, routing_key, timeout,
                       transport_options or ROUTED)
    except msg_exc.MessageUndeliverable as exc:
        if transport_options is None:
            raise amqp.RecoverableConnectionError(
                'no queue takes messages of %s' % routing_key) from exc
        # It is confirmed as well, which is not for the next one.
        conn.channel.wait([spec.Basic.Ack, spec.Basic.Nack],
                          timeout=CONFIRM_TIMEOUT)
        raise


impl_rabbit.Connection._publish = _publish
