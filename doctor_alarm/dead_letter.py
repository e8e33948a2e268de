# SPDX-License-Identifier: Apache-2.0
"""Dead letters: what can not be processed is put aside, not lost.

They are a queue of the broker: there go the messages that oslo.messaging
refuses to read (by the dead-letter exchange of our own queues) as well as
those that a worker puts aside. Where there is no broker (standalone) they are
a table, see ``objects/dead_letter.py``.
"""
from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import json
import logging
import ssl
import threading
import time
from typing import Any
import urllib.parse
import uuid

import amqp
import kombu
import oslo_messaging

from doctor_alarm import exception
from doctor_alarm import messaging

LOG = logging.getLogger(__name__)

#: Seconds for one exchange with the broker.
TIMEOUT = 10


@dataclasses.dataclass(frozen=True)
class Letter:
    """One dead letter.

    ``source``: topic or queue that it came from, and goes to on replay.
    ``body``: the message as it was, redacted where it could be read.
    ``created_at``: microseconds, 0 where the broker put it aside.
    """

    id: str
    message_id: str
    source: str
    reason: str
    body: Any
    created_at: int


class QueueDeadLetters:
    """Dead letters as a durable queue of the broker."""

    def __init__(self, transport: oslo_messaging.Transport) -> None:
        self._url = kombu_url(transport)
        self._tls = _tls(transport)
        self._lock = threading.Lock()

    def declare(self) -> None:
        """Make exchange and queue, so that nothing refused is dropped."""
        with self._channel() as channel:
            _queue(channel).declare()

    def declare_when_up(self, stopping: threading.Event) -> None:
        """Do so as soon as there is a broker, unless the service ends.

        :raises ConfigurationError: the broker does not let us
        """
        while not stopping.is_set():
            try:
                return self.declare()
            except (OSError, kombu.exceptions.OperationalError,
                    amqp.ConnectionError) as exc:
                LOG.warning('No broker yet: %s', messaging.reason_of(exc))
                stopping.wait(1)
            except amqp.AMQPError as exc:
                raise exception.ConfigurationError(
                    where='queue %s' % messaging.DEAD_LETTER,
                    reason=messaging.reason_of(exc)) from exc

    def put(self, reason: str, message_id: str, source: str,
            body: Any) -> None:
        """Store one letter; return when the broker confirmed it.

        :raises PublishFailed: it is not stored
        """
        headers = {'doctor-alarm': {
            'id': str(uuid.uuid4()), 'message_id': message_id[:255],
            'source': source, 'reason': reason,
            'created_at': int(time.time() * 1e6)}}
        try:
            with self._lock, self._channel() as channel:
                queue = _queue(channel)
                queue.declare()
                kombu.Producer(channel).publish(
                    json.dumps(body, default=str),
                    content_type='application/json',
                    content_encoding='utf-8', exchange=queue.exchange,
                    headers=headers, delivery_mode=2)
        except Exception as exc:
            raise exception.PublishFailed(
                topic=messaging.DEAD_LETTER,
                reason=messaging.reason_of(exc)) from exc

    def list(self) -> list[Letter]:
        """Return all letters, oldest first; they stay in the queue."""
        with self._browse() as messages:
            return [_letter(message) for message in messages]

    def show(self, letter_id: str) -> Letter:
        """Return one letter.

        :raises NotFound: there is none with this id
        """
        return find(self.list(), letter_id)

    def replay(self, letter_id: str) -> Letter:
        """Send a letter again to where it came from and take it out.

        :raises NotFound: there is none with this id
        :raises Invalid: the broker does not know its source
        """
        with self._browse() as messages:
            for message in messages:
                letter = _letter(message)
                if letter.id == letter_id:
                    _send_back(message, letter)
                    message.ack()
                    return letter
        raise exception.NotFound(what='Dead letter', id=letter_id)

    def delete_queue(self, name: str, with_messages: bool = False) -> int:
        """Delete a queue that nobody reads; return how many messages it had.

        :raises NotFound: there is none of this name
        :raises Invalid: somebody reads it, or it has messages
        """
        try:
            with self._channel() as channel:
                found = channel.queue_declare(name, passive=True)
                if found.consumer_count:
                    raise exception.Invalid('Queue %s is read by %d' % (
                        name, found.consumer_count))
                if found.message_count and not with_messages:
                    raise exception.Invalid(
                        'Queue %s has %d messages; say --with-messages to '
                        'delete them too' % (name, found.message_count))
                # NOTE: if_unused is refused for quorum queues.
                channel.queue_delete(name)
                return int(found.message_count)
        except amqp.NotFound:
            raise exception.NotFound(what='Queue', id=name) from None

    @contextlib.contextmanager
    def _channel(self) -> Iterator[Any]:
        with kombu.Connection(
                self._url, connect_timeout=TIMEOUT, ssl=self._tls,
                transport_options={'confirm_publish': True,
                                   'read_timeout': TIMEOUT,
                                   'write_timeout': TIMEOUT}) as connection:
            yield connection.channel()

    @contextlib.contextmanager
    def _browse(self) -> Iterator[Iterator[Any]]:
        with self._channel() as channel:
            queue = _queue(channel)
            queue.declare()
            yield iter(lambda: queue.get(no_ack=False), None)


def kombu_url(transport: oslo_messaging.Transport) -> str:
    """Return the broker of a transport in kombu's form, hosts joined by ;."""
    url = transport._driver._url
    parts = []
    for host in url.hosts:
        name = host.hostname or 'localhost'
        parts.append('amqp://%s:%s@%s:%s/%s' % (
            _quoted(host.username or 'guest'),
            _quoted(host.password or 'guest'),
            '[%s]' % name if ':' in name else name, host.port or 5672,
            _quoted(url.virtual_host or '/')))
    return ';'.join(parts)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe='')


def _tls(transport: oslo_messaging.Transport) -> dict[str, Any] | bool:
    """Return the options of oslo.messaging's TLS, the URL's included."""
    options = transport.conf.oslo_messaging_rabbit
    if not options.ssl:
        return False
    found = {'ca_certs': options.ssl_ca_file,
             'certfile': options.ssl_cert_file,
             'keyfile': options.ssl_key_file}
    found = {name: value for name, value in found.items() if value}
    if 'ca_certs' in found:
        found['cert_reqs'] = ssl.CERT_REQUIRED
    return found or True


def _queue(channel: Any) -> kombu.Queue:
    exchange = kombu.Exchange(
        messaging.DEAD_LETTER, type='fanout', durable=True)
    return kombu.Queue(
        messaging.DEAD_LETTER, exchange=exchange, channel=channel,
        durable=True, queue_arguments={
            'x-queue-type': 'quorum',
            'x-delivery-limit': messaging.DELIVERY_LIMIT - 1})


def _letter(message: Any) -> Letter:
    ours = message.headers.get('doctor-alarm')
    if ours:
        return Letter(body=json.loads(message.body), **ours)
    death = (message.headers.get('x-death') or [{}])[0]
    body = message.body
    raw = body.encode() if isinstance(body, str) else bytes(body)
    return Letter(
        # The broker gives no id: the same body is the same letter.
        id=str(uuid.UUID(bytes=hashlib.blake2b(raw, digest_size=16).digest())),
        message_id='', source=death.get('queue', ''),
        reason='refused by the listener (%s)' % death.get('reason', '?'),
        body=raw.decode('utf-8', 'backslashreplace'), created_at=0)


def _send_back(message: Any, letter: Letter) -> None:
    returned: list[Any] = []
    body = message.body
    if message.headers.get('doctor-alarm'):
        body = json.dumps(_envelope(letter.body))
    kombu.Producer(
        message.channel, on_return=lambda *args: returned.append(args),
    ).publish(
        body, routing_key=letter.source, exchange='',
        content_type=message.content_type,
        content_encoding=message.content_encoding, delivery_mode=2,
        mandatory=True)
    if returned:
        raise exception.Invalid(
            'There is no queue %s to send it to; it stays' % letter.source)


def _envelope(message: Any) -> dict[str, str]:
    return {'oslo.version': '2.0', 'oslo.message': json.dumps(message)}


def find(letters: list[Letter], letter_id: str) -> Letter:
    """Return the letter with an id.

    :raises NotFound: there is none
    """
    for letter in letters:
        if letter.id == letter_id:
            return letter
    raise exception.NotFound(what='Dead letter', id=letter_id)
