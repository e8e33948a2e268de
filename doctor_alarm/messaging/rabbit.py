# SPDX-License-Identifier: Apache-2.0
"""A listener for RabbitMQ that takes and acknowledges in bursts.

oslo.messaging asks for one message at a time, wraps each call for the case
that the connection fails, and acknowledges each message in a frame of its
own; under load that was two fifths of an evaluator. Connecting, declaring,
failing over and heartbeats stay with oslo.messaging: its ``consume()`` calls
``drain_events()`` of the connection, and :class:`Listener` is what it calls.

Everything but :meth:`Incoming.acknowledge` happens in the poll thread: an
AMQP channel belongs to one thread.
"""
from __future__ import annotations

import collections
from collections.abc import Callable
import contextlib
import functools
import logging
import select
import socket
import threading
import time
from typing import Any

import amqp
from oslo_messaging._drivers import impl_rabbit

from doctor_alarm.messaging import subscription
from doctor_alarm.messaging import wire

LOG = logging.getLogger(__name__)

#: Frames, three per message, between two looks at what to acknowledge.
BURST = 300
#: Bytes that are read from the socket at once.
CHUNK = 65536
#: Seconds that the poll thread has to notice that it shall end.
NOTICE = 1.0
#: Seconds after a failure that oslo.messaging does not handle.
PAUSE = 1.0


class Incoming:
    """A message, as oslo.messaging's: ``message``, ``ctxt`` and where from."""

    __slots__ = ('_finished', '_tag', '_window', 'ctxt', 'delivery_info',
                 'message')

    def __init__(self, raw: Any, window: Window,
                 finished: Callable[[Incoming], None]) -> None:
        self.message, self.ctxt = wire.decode(raw)
        self.delivery_info: dict[str, Any] = raw.delivery_info
        self._tag: int = raw.delivery_tag
        self._window: Window | None = window
        self._finished = finished

    @property
    def lost(self) -> bool:
        """Whether the broker gives it to somebody, again."""
        window = self._window
        return window is not None and window.over

    def acknowledge(self) -> None:
        """Have the broker forget it; from any thread, returns at once."""
        self._finished(self)

    def claim(self, window: Window) -> int | None:
        """Return the tag to acknowledge, once, while its channel lasts."""
        if self._window is not window:
            return None
        self._window = None
        return self._tag


class Window:
    """What a channel has delivered and is not acknowledged yet.

    :ivar over: the channel is gone
    """

    def __init__(self) -> None:
        self.over = False
        self._order: collections.deque[int] = collections.deque()
        self._settled: set[int] = set()

    def add(self, tag: int) -> None:
        """Note a delivery; the tags of a channel ascend."""
        self._order.append(tag)

    def refuse(self, tag: int) -> None:
        """Note a delivery that the broker was told to take away."""
        self._order.append(tag)
        self._settled.add(tag)

    def settle(self, tags: list[int]) -> list[tuple[int, bool]]:
        """Return (tag, multiple) of the frames that acknowledge these.

        Only where nothing older is in work one frame stands for all.
        """
        fresh, order, settled = set(tags), self._order, self._settled
        last = count = 0
        while order:
            tag = order[0]
            if tag in fresh:
                fresh.discard(tag)
                last, count = tag, count + 1
            elif tag in settled:
                settled.discard(tag)
            else:
                break
            order.popleft()
        settled |= fresh
        frames = [(last, count > 1)] if count else []
        return frames + [(tag, False) for tag in sorted(fresh)]

    def settled(self, tag: int) -> bool:
        """Return whether this one and all before it are settled."""
        return not self._order or self._order[0] > tag


class HeartbeatDue(TimeoutError):
    """What has oslo.messaging look after its heartbeats."""


class Listener:
    """Stands where oslo.messaging's adapter of a listener stands.

    :param context: the connection, with its consumers declared
    """

    def __init__(self, context: Any) -> None:
        # It closes the connection when it is forgotten.
        self._context = context
        self._conn: impl_rabbit.Connection = context.connection
        self._on_message: Callable[[Any], None] = _ignore
        self._window = Window()
        self._watch = subscription.Watch(self._conn)
        self._channel: amqp.Channel | None = None
        self._done: collections.deque[Incoming] = collections.deque()
        self._asleep = False
        self._inner, self._outer = socket.socketpair()
        for end in (self._inner, self._outer):
            end.setblocking(False)
        self._halted, self._left = threading.Event(), threading.Event()
        self._closing = threading.Event()
        self._heartbeat_at = 0.0
        self._thread = threading.Thread(
            target=self._run, name='listener', daemon=True)
        self._take_over()

    def _take_over(self) -> None:
        conn = self._conn
        for consumer in conn._consumers:
            consumer._callback = self._take
        conn._set_qos = self._adopt
        conn.connection.drain_events = self._drain
        self._prepare(conn.channel)

    # From other threads

    def start(self, on_incoming: Callable[[list[Any]], None]) -> None:
        """Start to take messages."""
        self._on_message = lambda incoming: on_incoming([incoming])
        self._thread.start()

    def stop(self) -> None:
        """Take no more; acknowledgements are still sent."""
        self._halted.set()
        self._conn.stop_consuming()
        self._wake()
        if self._thread.is_alive():
            # While it connects it takes nothing either.
            self._left.wait(NOTICE)

    def cleanup(self, timeout: float = 10.0) -> None:
        """Send the last acknowledgements, close the connection."""
        self._closing.set()
        self._wake()
        # One that tries to connect has nothing to send, and goes on for ever.
        patience = timeout if self._conn.connection.connected else 0
        if self._thread.is_alive() and self._left.wait(patience):
            self._thread.join(timeout)
        self._context.close()
        if not self._thread.is_alive():
            self._inner.close()
            self._outer.close()

    def _finished(self, incoming: Incoming) -> None:
        self._done.append(incoming)
        if self._asleep:
            self._wake()

    def _wake(self) -> None:
        self._asleep = False
        # Full: it is awake. Closed: it has ended.
        with contextlib.suppress(OSError):
            self._outer.send(b'.')

    # In the poll thread

    def _run(self) -> None:
        while not self._halted.is_set():
            try:
                self._conn.consume()
            except Exception as exc:
                LOG.warning('Listening failed, trying on: %s', exc)
                self._halted.wait(PAUSE)
        self._left.set()
        try:
            while not self._closing.is_set():
                self._settle()
                self._sleep(None, NOTICE)
            self._settle()
        except Exception as exc:
            LOG.warning('The broker will give messages again: %s', exc)

    def _drain(self, timeout: float | None = None) -> None:
        try:
            self._exchange(timeout or NOTICE)
        except HeartbeatDue:
            raise
        except TimeoutError as exc:
            # To oslo.messaging it were an idle connection, but half a frame
            # may be on its way, and what it acknowledged would be forgotten.
            raise amqp.RecoverableConnectionError(
                'the broker does not read, or answer') from exc

    def _exchange(self, timeout: float) -> None:
        """Take what has arrived; wait for something if nothing has."""
        connection = self._conn.connection.connection
        self._settle()
        while not self._readable(connection, timeout):
            if self._halted.is_set():
                return
            self._settle()
        for _ in range(BURST):
            # Not drain_events(): after a heartbeat it waits for a message.
            connection.blocking_read()
            if self._halted.is_set() or not _buffered(connection):
                break
        self._settle()

    def _readable(self, connection: amqp.Connection, timeout: float) -> bool:
        now = time.monotonic()
        if now >= self._heartbeat_at:
            # oslo.messaging looks after the heartbeats of an idle connection;
            # a busy one may have nothing to send for long as well.
            self._heartbeat_at = now + timeout
            self._watch.look(self._window.settled)
            raise HeartbeatDue
        return _buffered(connection) or self._sleep(
            connection.transport.sock, self._heartbeat_at - now)

    def _sleep(self, sock: socket.socket | None, timeout: float) -> bool:
        """Wait for the socket or a call of _wake(); whether for the socket."""
        poller = select.poll()
        poller.register(self._inner, select.POLLIN)
        if sock is not None:
            poller.register(sock, select.POLLIN)
        self._asleep = True
        if self._done or self._halted.is_set() and sock is not None:
            timeout = 0.0
        found = dict(poller.poll(timeout * 1000))
        self._asleep = False
        if self._inner.fileno() in found:
            self._inner.recv(CHUNK)
        return sock is not None and sock.fileno() in found

    def _take(self, raw: Any) -> None:
        tag: int = raw.delivery_tag
        try:
            incoming = Incoming(raw, self._window, self._finished)
        except Exception as exc:
            # What the error says may quote the message, so it is not told.
            LOG.warning('A message from %s can not be read and is refused: %s',
                        raw.delivery_info.get('routing_key'),
                        type(exc).__name__)
            raw.channel.basic_reject(tag, requeue=False)
            self._window.refuse(tag)
            return
        self._window.add(tag)
        self._watch.latest[raw.delivery_info['consumer_tag']] = tag
        if self._halted.is_set():
            # It goes back to the broker when the connection ends.
            return
        try:
            self._on_message(incoming)
        except Exception:
            LOG.exception('A message could not be handed over')

    def _settle(self) -> None:
        """Acknowledge what the others have finished."""
        done, window, tags = self._done, self._window, []
        while done:
            tag = done.popleft().claim(window)
            if tag is not None:
                tags.append(tag)
        if tags and self._channel is not None:
            for tag, multiple in window.settle(tags):
                self._channel.basic_ack(tag, multiple=multiple)

    # A channel begins

    def _adopt(self, channel: amqp.Channel) -> None:
        """Stand in for _set_qos() of oslo.messaging: a channel is new."""
        type(self._conn)._set_qos(self._conn, channel)
        self._prepare(channel)

    def _prepare(self, channel: amqp.Channel) -> None:
        self._begin()
        self._watch.restart()
        self._channel = channel
        channel._do_revive = functools.partial(self._revive, channel)
        transport = channel.connection.transport
        if not isinstance(transport._quick_recv, Reader):
            transport._quick_recv = Reader(transport._quick_recv)

    def _begin(self) -> None:
        self._window.over = True
        self._window = Window()

    def _revive(self, channel: amqp.Channel) -> None:
        """Open a channel again that the broker closed for an error.

        Its tags start anew: an old one acknowledged now would be that of
        another message. Its prefetch window is the broker's default again.
        """
        self._begin()
        self._watch.restart()
        type(channel)._do_revive(channel)
        type(self._conn)._set_qos(self._conn, channel)


class Reader:
    """Reads from a socket in large pieces, for who wants small ones."""

    def __init__(self, recv: Callable[[int], bytes]) -> None:
        self._recv = recv
        self._data, self._at = b'', 0

    def __call__(self, size: int) -> bytes:
        """Return up to this many bytes; none: the other side has closed."""
        if self._at >= len(self._data):
            self._data, self._at = self._recv(CHUNK), 0
        found = self._data[self._at:self._at + size]
        self._at += len(found)
        return found

    @property
    def ready(self) -> bool:
        """Whether there is something without the socket."""
        return self._at < len(self._data)


def _buffered(connection: amqp.Connection) -> bool:
    transport = connection.transport
    if getattr(transport._quick_recv, 'ready', False):
        return True
    # TLS has a buffer of its own, which poll() does not see.
    pending = getattr(transport.sock, 'pending', None)
    return bool(pending and pending())


def _ignore(_incoming: Any) -> None:
    """Nobody listens yet."""
