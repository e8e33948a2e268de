# SPDX-License-Identifier: Apache-2.0
"""Wake-ups between processes of one host, past the broker.

A socket of the kernel takes a tenth of the time. It gives each wake-up once
or not at all; one that it can not take goes over the broker, one that a killed
notifier had not read waits for the end of its lease.

Notifiers take places, evaluators look which ones are taken. The names of the
places need no files, so nothing is left behind by kill -9; but anybody on the
host may use them, so both sides ask the kernel who the other one is.
"""
from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
import contextlib
import errno
import hashlib
import json
import logging
import os
import socket
import struct
import sys
import threading
import time
from typing import Any

import oslo_messaging

LOG = logging.getLogger(__name__)

#: Notifiers of one host that are found; those beyond hear of the broker.
PLACES = 16
#: Evaluators that one notifier hears.
PEERS = 64
#: Bytes of a wake-up, and of those that wait to be read.
SIZE = 384 * 1024
#: Seconds between two looks at the places.
INTERVAL = 2.0

#: Seconds until others may connect when no descriptor was left for one.
PAUSE = 1.0

#: It is behind, or the kernel was told to have less room for a message.
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE)
_SUPPORTED = sys.platform == 'linux'
_CREDENTIALS = struct.Struct('3i')


def name_of(transport: oslo_messaging.Transport, topic: str) -> str:
    """Return what those have in common who share wake-ups on a broker."""
    url = transport._driver._url
    parts = [topic, str(url.virtual_host), *sorted(
        '%s:%s' % (host.hostname, host.port) for host in url.hosts)]
    digest = hashlib.blake2b('\n'.join(parts).encode(), digest_size=12)
    return digest.hexdigest()


class Neighbours:
    """The notifiers of this host, as an evaluator sees them."""

    def __init__(self, name: str) -> None:
        """Connect to nothing yet."""
        self._name = name
        self._lock = threading.Lock()
        self._known: collections.OrderedDict[int, socket.socket] = (
            collections.OrderedDict())
        self._look_at = 0.0

    def tell(self, hint: dict[str, Any]) -> bool:
        """Give a wake-up to one of them, by turns; whether one takes it.

        Never waits.
        """
        if not _SUPPORTED:
            return False
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look()
            if not self._known:
                return False
            data = json.dumps(hint).encode()
            return len(data) <= SIZE and any(
                self._send(place, data) for place in list(self._known))

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            for place in list(self._known):
                self._forget(place)
            self._look_at = float('inf')

    def _send(self, place: int, data: bytes) -> bool:
        try:
            self._known[place].send(data)
        except OSError as exc:
            if exc.errno not in _FULL:
                LOG.debug('A notifier of this host is gone: %s', exc)
                self._forget(place)
            return False
        self._known.move_to_end(place)
        return True

    def _look(self) -> None:
        self._look_at = time.monotonic() + INTERVAL
        for place in range(PLACES):
            if place not in self._known:
                found = self._connected(place)
                if found is not None:
                    self._known[place] = found

    def _connected(self, place: int) -> socket.socket | None:
        sock = _socket()
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE)
            sock.connect(_address(self._name, place))
            if _is_ours(sock):
                return sock
            LOG.debug('Another account listens where a notifier would')
        except OSError:
            pass    # nobody is there
        sock.close()
        return None

    def _forget(self, place: int) -> None:
        self._known.pop(place).close()


class Ear:
    """The place of a notifier, in its event loop.

    :param on_hint: called with each wake-up; it must not raise
    """

    def __init__(self, name: str, on_hint: Callable[[Any], None]) -> None:
        self._name = name
        self._on_hint = on_hint
        self._buffer = bytearray(SIZE)
        self._door: socket.socket | None = None
        self._peers: set[socket.socket] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take a place; where none can be had there is the broker."""
        if not _SUPPORTED:
            return
        self._loop = loop
        door = _socket()
        for place in range(PLACES):
            try:
                door.bind(_address(self._name, place))
            except OSError:
                continue    # taken
            door.listen(PEERS)
            self._door = door
            self._listen()
            return
        door.close()

    def close(self) -> None:
        """Take what has arrived, then nothing more."""
        if self._door is not None and self._loop is not None:
            self._loop.remove_reader(self._door)
            self._door.close()
            self._door = None
        for peer in list(self._peers):
            with contextlib.suppress(OSError):
                # Who sends now hears of it, and asks another one.
                peer.shutdown(socket.SHUT_RD)
            while self._hear(peer):
                pass

    def _listen(self) -> None:
        if self._door is not None and self._loop is not None:
            self._loop.add_reader(self._door, self._accept)

    def _accept(self) -> None:
        door, loop = self._door, self._loop
        if door is None or loop is None:
            return
        try:
            peer, _ = door.accept()
        except OSError as exc:
            LOG.debug('An evaluator of this host can not connect: %s', exc)
            loop.remove_reader(door)
            loop.call_later(PAUSE, self._listen)
            return
        if len(self._peers) >= PEERS or not _is_ours(peer):
            peer.close()
            return
        peer.setblocking(False)
        self._peers.add(peer)
        loop.add_reader(peer, self._hear, peer)

    def _hear(self, peer: socket.socket) -> bool:
        """Take one wake-up; whether there was one."""
        try:
            size = peer.recv_into(self._buffer)
        except BlockingIOError:
            return False
        except OSError:
            size = 0
        if not size:
            self._part_from(peer)
            return False
        try:
            hint = json.loads(self._buffer[:size])
        except ValueError:
            LOG.warning('A malformed wake-up was ignored')
        else:
            self._on_hint(hint)
        return True

    def _part_from(self, peer: socket.socket) -> None:
        if self._loop is not None:
            self._loop.remove_reader(peer)
        self._peers.discard(peer)
        peer.close()


def _socket() -> socket.socket:
    return socket.socket(
        socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


def _address(name: str, place: int) -> bytes:
    return b'\0doctor_alarm.wakeup.%s.%d' % (name.encode(), place)


def _is_ours(sock: socket.socket) -> bool:
    """Whether the other side has this account, or may do everything."""
    return _account(sock) in (0, os.geteuid())


def _account(sock: socket.socket) -> int:
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)
