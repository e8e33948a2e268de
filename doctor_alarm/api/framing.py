# SPDX-License-Identifier: Apache-2.0
"""Where a request ends, found while its bytes arrive (RFC 9112).

Only that; what the request says is read by the HTTP server afterwards. What
two readers might understand differently is refused, not repaired.
"""
from __future__ import annotations

import re

#: Bytes of the first line and the headers; also of trailers.
MAX_HEAD = 65536
#: Bytes of the line before a chunk.
MAX_LINE = 256
#: Bytes on the wire for one of the body: more is crumbs.
_OVERHEAD = 2

_HEADERS = re.compile(
    rb'(?im)^(content-length|transfer-encoding|expect)[ \t]*:'
    rb'[ \t]*([^\r\n]*?)[ \t]*$', re.MULTILINE)
_NUMBER = re.compile(rb'[0-9]{1,18}')
_CHUNK = re.compile(rb'([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?', re.DOTALL)


class Refused(Exception):
    """A request that is not waited for any longer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Frame:
    """How far one request is.

    ``expects``: its client waits to be told that it may send the body.
    """

    def __init__(self, max_body: int) -> None:
        self.expects = False
        self._max_body = max_body
        self._searched = 0
        self._body_at = 0
        self._body = 0
        # Where the next line of a chunk begins; None: the length is known.
        self._chunk_at: int | None = None

    def end(self, data: bytearray) -> int | None:
        """Return the length of the request once all of it has arrived.

        :param data: what has arrived, from the start of the request
        :raises Refused: it is malformed or too large
        """
        if not self._body_at and not self._head(data):
            return None
        if self._chunk_at is not None:
            return self._chunks(data, self._chunk_at)
        length = self._body_at + self._body
        return length if len(data) >= length else None

    def _head(self, data: bytearray) -> bool:
        at = data.find(b'\r\n\r\n', max(self._searched - 3, 0))
        self._searched = len(data)
        if max(at, len(data) if at < 0 else 0) > MAX_HEAD:
            raise Refused(431, 'Headers are larger than %d bytes' % MAX_HEAD)
        if at < 0:
            return False
        self._body_at = at + 4
        head = bytes(data[:at + 2])
        if b'\r\n ' in head or b'\r\n\t' in head:
            raise Refused(400, 'Headers must not be folded')
        self._read(head, _HEADERS.findall(head.replace(b'\r\n', b'\n')))
        return True

    def _read(self, head: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        values: dict[bytes, set[bytes]] = {}
        for name, value in headers:
            values.setdefault(name.lower(), set()).add(value.lower())
        lengths = values.get(b'content-length', set())
        codings = values.get(b'transfer-encoding')
        if codings is not None:
            first, _, _ = head.partition(b'\r\n')
            if (lengths or codings != {b'chunked'}
                    or not first.endswith(b'HTTP/1.1')):
                raise Refused(400, 'Transfer-Encoding must be chunked, alone')
            self._chunk_at = self._body_at
        elif lengths:
            length = lengths.pop()
            if lengths or not _NUMBER.fullmatch(length):
                raise Refused(400, 'Content-Length must be one number')
            self._body = int(length)
        self._check(self._body)
        self.expects = b'100-continue' in values.get(b'expect', ())

    def _check(self, size: int) -> None:
        if size > self._max_body:
            raise Refused(
                413, 'Body is larger than %d bytes' % self._max_body)

    def _chunks(self, data: bytearray, at: int) -> int | None:
        self._check((len(data) - self._body_at - MAX_HEAD) // _OVERHEAD)
        while True:
            self._chunk_at = at
            stop = data.find(b'\r\n', at, at + MAX_LINE)
            if stop < 0:
                if len(data) - at >= MAX_LINE:
                    raise Refused(400, 'Body has no valid chunk')
                return None
            found = _CHUNK.fullmatch(data, at, stop)
            if not found:
                raise Refused(400, 'Body has no valid chunk')
            size = int(found[1], 16)
            if not size:
                return self._trailers(data, stop)
            self._check(self._body + size)
            at = stop + 2 + size
            if len(data) < at + 2:
                return None
            if data[at:at + 2] != b'\r\n':
                raise Refused(400, 'Body has no valid chunk')
            self._body += size
            at += 2

    def _trailers(self, data: bytearray, at: int) -> int | None:
        stop = data.find(b'\r\n\r\n', at)
        if max(stop, len(data) if stop < 0 else 0) - at > MAX_HEAD:
            raise Refused(431, 'Trailers are larger than %d bytes' % MAX_HEAD)
        return stop + 4 if stop >= 0 else None
