# SPDX-License-Identifier: Apache-2.0
"""POST over the connections of aiohttp, without what a browser needs.

A session of aiohttp gets each request ready for redirects, cookies, proxies,
compression and uploads of any length, and writes its body in a task: more
work than all the rest of a call-back. What is used here is its connector,
which resolves names, connects, checks certificates and keeps connections,
and its reader of answers.
"""
from __future__ import annotations

import asyncio
from collections.abc import Iterable
import functools
from typing import Any

import aiohttp
from aiohttp import client_reqrep
from aiohttp import http_exceptions
import yarl

#: Receivers of which is kept what the connector needs to know.
KEPT = 4096
#: The caller ends what takes too long.
_ENDLESS = aiohttp.ClientTimeout(total=None)


class Answer:
    """The head of an answer, and what there is of its body.

    It holds a connection until it is released or closed.
    """

    __slots__ = ('_connection', 'content', 'headers', 'reason', 'status')

    def __init__(self, connection: aiohttp.connector.Connection,
                 message: Any, content: aiohttp.StreamReader) -> None:
        self._connection = connection
        self.status: int = message.code
        self.reason: str = message.reason
        self.headers = message.headers
        self.content = content

    def release(self) -> None:
        """Keep the connection, or close it if the answer has not ended."""
        self._connection.release()

    def close(self) -> None:
        """Close the connection, unless it is released."""
        self._connection.close()


class Client:
    """Sends requests; no answer has an effect on another request."""

    def __init__(self, connector: aiohttp.TCPConnector) -> None:
        self._connector = connector
        self._to = functools.lru_cache(KEPT)(_Origin)

    async def close(self) -> None:
        """Close the connections."""
        await self._connector.close()

    async def post(self, origin: yarl.URL, head: bytes,
                   data: bytes) -> Answer:
        """Send a request; return when the head of the answer is there.

        :param origin: scheme, host and port
        :param head: from :func:`head_of` and :func:`lines`
        :raises aiohttp.ClientError: there is no answer
        """
        try:
            connection = await self._connector.connect(
                self._to(origin), [], _ENDLESS)
        except aiohttp.ClientError:
            raise
        except OSError as exc:
            raise aiohttp.ClientOSError(*exc.args) from exc
        try:
            return await _exchange(
                connection, b'%bContent-Length: %d\r\n\r\n%b' % (
                    head, len(data), data))
        except BaseException:
            connection.close()
            raise


class _Origin(aiohttp.ClientRequest):
    """Where to connect to. It is made once, and never sent itself."""

    def __init__(self, url: yarl.URL) -> None:
        super().__init__('POST', url, loop=asyncio.get_running_loop())

    @functools.cached_property
    def connection_key(self) -> client_reqrep.ConnectionKey:
        """What connections have in common that may be used for it."""
        return super().connection_key


async def _exchange(connection: aiohttp.connector.Connection,
                    request: bytes) -> Answer:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError('it was closed')
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    transport.write(request)
    while True:
        try:
            message, content = await protocol.read()
        except http_exceptions.HttpProcessingError as exc:
            raise NotHttp from exc
        if message.code >= 200 or message.code == 101:
            return Answer(connection, message, content)


class NotHttp(aiohttp.ClientError):
    """The answer is not understood."""


def head_of(url: yarl.URL, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of a POST, to which more headers may be added.

    :raises ValueError: it would be more than one line for each of them
    """
    path = _one_line(url.raw_path_qs)
    if b' ' in path:
        raise ValueError(path)
    return b'POST %b HTTP/1.1\r\n%b' % (path, lines(
        ('Host', url.host_port_subcomponent or ''), *headers))


def lines(*headers: tuple[str, str]) -> bytes:
    """Return headers as they are sent.

    :raises ValueError: one has characters that do not belong there
    """
    return b''.join([
        b'%b: %b\r\n' % (name.encode(), _one_line(value))
        for name, value in headers])


def _one_line(text: str) -> bytes:
    if not text.isprintable():
        raise ValueError(text)
    return text.encode('ascii')
