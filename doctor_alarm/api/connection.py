# SPDX-License-Identifier: Apache-2.0
"""Connections whose requests are read before a thread is taken for them.

cheroot gives every connection to a thread, which then waits for the client: as
many clients that send nothing, or a byte per second, as there are threads keep
everybody else out. Here the thread of the selector takes what has arrived, and
a request goes to a thread when it is complete.
"""
from __future__ import annotations

import contextlib
import enum
import http
import socket
import time
from typing import Any

from cheroot import server

from doctor_alarm.api import errors
from doctor_alarm.api import framing

#: Bytes that are read at once, and how often before others have their turn.
_READ = 65536
_TURNS = 16
#: Bytes per second that a client has to take of an answer.
_MIN_RATE = 65536


class Found(enum.Enum):
    """What a look at a connection led to."""

    REQUEST = enum.auto()
    NOTHING_YET = enum.auto()
    END = enum.auto()


class Inbox:
    """What a client has sent; cheroot reads from it and never waits."""

    bytes_read = 0

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = False
        #: what is there is the beginning of a request, and no more than that
        self.incomplete = False
        self._left = 0

    def has_data(self) -> bool:
        """Whether it is worth to look for a request at once."""
        return bool(self.data) and not self.incomplete

    def offer(self, length: int) -> None:
        """Have the next request read, of this length."""
        self._left = length

    def forget(self) -> None:
        """Drop what nobody read of the request before."""
        del self.data[:self._left]
        self._left = 0
        if self.data.startswith(b'\r\n'):
            del self.data[:2]       # RFC 9112, 2.2

    def read(self, size: int | None = None) -> bytes:
        """Return at most so many bytes of the request."""
        return self._take(
            self._left if size is None or size < 0 else size)

    def readline(self, size: int | None = None) -> bytes:
        """Return a line of the request."""
        end = self.data.find(b'\n', 0, self._left) + 1 or self._left
        return self._take(end if size is None or size < 0
                          else min(end, size))

    def close(self) -> None:
        """Take no more."""
        self.closed = True
        self.data.clear()
        self._left = 0

    def _take(self, size: int) -> bytes:
        size = min(size, self._left)
        taken = bytes(self.data[:size])
        del self.data[:size]
        self._left -= size
        return taken


class Outbox:
    """Answers; a client that does not take them in time is let go."""

    bytes_written = 0

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._socket = sock
        self._timeout = timeout

    def write(self, data: bytes) -> int:
        """Send all of it.

        :raises TimeoutError: the client takes less than _MIN_RATE
        """
        left = memoryview(data)
        until = time.monotonic() + self._timeout + len(data) / _MIN_RATE
        while left:
            pause = until - time.monotonic()
            if pause <= 0:
                raise TimeoutError('timed out')
            self._socket.settimeout(pause)
            left = left[self._socket.send(left):]
        return len(data)


class _Headers(server.HeaderReader):
    """Takes no header that another one could be taken for in WSGI."""

    def _allow_header(self, key_name: bytes) -> bool:
        # Who expected to be told to go on was told already.
        return b'_' not in key_name and key_name != b'Expect'


class Request(server.HTTPRequest):
    """A request; what the server itself refuses has our form of errors."""

    header_reader = _Headers()

    def simple_response(self, status: str, msg: str = '') -> None:
        """Answer a request that can not be read."""
        self.close_connection = True
        code = int(str(status)[:3])
        self.conn.wfile.write(refusal(code, msg or _phrase(code)))


class Connection(server.HTTPConnection):
    """A connection that knows how far its next request is."""

    RequestHandlerClass = Request

    def __init__(self, owner: Any, sock: socket.socket,
                 _makefile: Any = None) -> None:
        def files(sock: socket.socket, mode: str, _size: int) -> Any:
            return Inbox() if 'r' in mode else Outbox(sock, owner.timeout)
        super().__init__(owner, sock, files)
        self._frame: framing.Frame | None = None
        self._refused = self._waits = self._dropped = False
        self._since = 0.0
        self._used = 0.0
        #: bytes that the server knows it holds
        self.counted = 0
        owner.admit(self)

    @property
    def last_used(self) -> float:
        """When it was used, of an incomplete request: when that began.

        cheroot closes what has not been used for its timeout.
        """
        return self._since or self._used

    @last_used.setter
    def last_used(self, when: float) -> None:
        self._used = when

    @property
    def is_idle(self) -> bool:
        """Whether its client is waited for, and not about to be dropped."""
        return self._waits and not self._dropped

    @property
    def size(self) -> int:
        """Bytes that are held for it."""
        return len(self.rfile.data)

    def receive(self) -> Found:
        """Take what has arrived, without waiting."""
        try:
            self.socket.setblocking(False)
            found = self._receive()
            self._waits = found is not Found.REQUEST
            return found
        except BlockingIOError:
            self._waits = True
            return Found.NOTHING_YET
        except OSError:
            return Found.END

    def _receive(self) -> Found:
        inbox = self.rfile
        if self._frame is None:
            inbox.forget()
            self._frame = framing.Frame(self.server.max_body_size)
        inbox.incomplete = True
        if inbox.data and self._is_complete():
            return Found.REQUEST
        for _turn in range(_TURNS):
            arrived = self.socket.recv(_READ)
            if not arrived:
                return Found.END
            if self._refused:
                continue
            inbox.data += arrived
            if self._is_complete():
                return Found.REQUEST
        return Found.NOTHING_YET

    def _is_complete(self) -> bool:
        frame, inbox = self._frame, self.rfile
        if self._refused or frame is None:
            return False
        try:
            length = frame.end(inbox.data)
        except framing.Refused as exc:
            self._refuse(exc)
            return False
        if length is None:
            self._since = self._since or time.time()
            if frame.expects:
                frame.expects = False
                self.socket.send(b'HTTP/1.1 100 Continue\r\n\r\n')
            return False
        self._frame = None
        self._since = 0.0
        inbox.incomplete = False
        inbox.offer(length)
        return True

    def _refuse(self, exc: framing.Refused) -> None:
        """Answer at once, and read on: a reset would destroy the answer."""
        self._refused = True
        self._since = self._since or time.time()
        self.rfile.data.clear()
        self.socket.send(refusal(exc.status, str(exc)))
        self.socket.shutdown(socket.SHUT_WR)

    def drop(self) -> None:
        """Have it closed by the thread that reads it."""
        self._dropped = True
        with contextlib.suppress(OSError):      # the client was faster
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; a client that is too slow is told so."""
        if self.server.answers_yet(self):
            return
        self.server.dismiss(self)
        if self._since and not self._refused:
            with contextlib.suppress(OSError):  # it does not read either
                self.socket.send(refusal(408, 'Request is not complete'))
        super().close()


def refusal(status: int, sentence: str) -> bytes:
    """Return an answer as it goes over the wire; the last one there."""
    answer = errors.make(status, sentence)
    answer.headers['Connection'] = 'close'
    head = ['HTTP/1.1 %d %s' % (status, _phrase(status)),
            *('%s: %s' % item for item in answer.headerlist)]
    return '\r\n'.join([*head, '', '']).encode() + answer.body


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return 'Error'
