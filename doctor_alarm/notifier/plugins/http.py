# SPDX-License-Identifier: Apache-2.0
"""``http://`` and ``https://``: a POST in Aodh's form."""
from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import datetime
import email.utils
import functools
import logging
import os
import random
import resource
import socket
import ssl
import time
from typing import Any
import urllib.parse
import uuid

import aiohttp
from aiohttp import resolver
from oslo_config import cfg
import yarl

from doctor_alarm import exception
from doctor_alarm import guard
from doctor_alarm.notifier import base
from doctor_alarm.notifier import body
from doctor_alarm.notifier.plugins import post

LOG = logging.getLogger(__name__)

#: Aodh lets every user switch the check of certificates off by this argument
#: of the URL. It is the operator's to decide: the argument has no effect, and
#: the receiver does not see it, as with Aodh.
VERIFY_ARGUMENT = 'aodh-alarm-ssl-verify'
#: Answers that may be others later, besides 500 and above.
RETRIED = frozenset((408, 425, 429))
#: Bytes of an answer that are looked at, and characters that are kept.
READ = 65536
KEPT = 200
#: Seconds that the body of an answer may take once its head said enough.
DRAIN = 1.0
#: Answers that are read to their end at once; beyond them connections are
#: closed, so that a receiver that dawdles does not use up the open files.
DRAINS = 100
#: Open files beside those of calls: database, bus, log, metrics.
OTHER_FILES = 200
MASK = '***'

_HEADERS: tuple[tuple[str, str], ...] = (
    ('User-Agent', 'doctor-alarm'), ('Accept', '*/*'),
    ('Accept-Encoding', 'identity'), ('Content-Type', 'application/json'))

#: Errors of a connection that was there.
_BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError,
           aiohttp.ClientConnectionResetError)


class HttpNotifier(base.Notifier):
    """Posts deliveries; keeps connections to receivers open."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._guard = guard.make(conf)
        self._client: post.Client | None = None
        self._resolver: resolver.AsyncResolver | None = None
        self._draining: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Read the certificates, make room for connections.

        :raises ConfigurationError: a file can not be read
        """
        _raise_file_limit(
            self.conf.notifier.max_concurrency + DRAINS + OTHER_FILES)
        context = _ssl_context(self.conf)
        # Not getaddrinfo(), which occupies a thread until it returns: names
        # whose servers do not answer would keep all others waiting. Of
        # nsswitch.conf this knows "files" and "dns".
        self._resolver = resolver.AsyncResolver()
        self._client = post.Client(aiohttp.TCPConnector(
            limit=0, ssl=context, resolver=self._resolver,
            socket_factory=self._socket))

    async def stop(self) -> None:
        """Close the connections."""
        for task in self._draining:
            task.cancel()
        if self._client is not None:
            await self._client.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def deliver(self, delivery: base.Delivery) -> base.Outcome:
        """Post a delivery; the answer decides."""
        try:
            target = _target(delivery.action)
        except ValueError:
            return base.Outcome.rejected('the action is not a valid URL')
        data = body.build(delivery, time.time_ns() // 1000)
        try:
            return await self._post(target, delivery, data)
        except _BROKEN as exc:
            if isinstance(exc, aiohttp.ClientConnectorError):
                return _failed(exc)
        except aiohttp.ClientError as exc:
            return _failed(exc)
        # It closed an idle connection at the moment in which we used it.
        try:
            return await self._post(target, delivery, data)
        except aiohttp.ClientError as exc:
            return _failed(exc)

    async def _post(self, target: _Target, delivery: base.Delivery,
                    data: bytes) -> base.Outcome:
        assert self._client is not None     # noqa: S101
        response = await self._client.post(
            target.origin, target.head + post.lines(
                ('Idempotency-Key', delivery.id),
                ('X-Openstack-Request-Id', 'req-%s' % _request_id())), data)
        if 200 <= response.status < 300:
            self._release(response)
            return base.Outcome.delivered()
        with contextlib.closing(response):
            return await _refusal(
                response, _secrets(delivery.action, target.url))

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        """Return the socket of a connection to the address of a receiver.

        No connection is made without it: the address that is checked is the
        one that is connected to, whatever its name says next time.

        :param address: as ``getaddrinfo`` gives it
        """
        family, kind, protocol, _name, where = address
        if not self._guard.permits(where[0]):
            raise _Blocked
        return socket.socket(family, kind, protocol)

    def _release(self, response: post.Answer) -> None:
        if response.content.is_eof():
            response.release()
            return
        if len(self._draining) >= DRAINS:
            response.close()
            return
        # The connection is of use again after the rest of the answer, and
        # the delivery needs not wait for that.
        task = asyncio.create_task(_drain(response))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)


class _Blocked(OSError):
    """The address is in a network that receivers may not be in."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Target:
    """An action as it is called."""

    url: yarl.URL
    origin: yarl.URL
    head: bytes


@functools.lru_cache(4096)
def _target(action: urllib.parse.SplitResult) -> _Target:
    userinfo, _at, netloc = action.netloc.rpartition('@')
    query = action.query
    if VERIFY_ARGUMENT in query:
        query = '&'.join(
            item for item in query.split('&')
            if item.partition('=')[0] != VERIFY_ARGUMENT)
    url = yarl.URL(urllib.parse.urlunsplit(
        (action.scheme, netloc, action.path, query, '')))
    if not url.raw_host:
        raise ValueError
    headers = _HEADERS
    if userinfo:
        headers += (('Authorization',
                     'Basic %s' % _credentials(userinfo)[0]),)
    return _Target(url, url.origin(), post.head_of(url, headers))


def _credentials(userinfo: str) -> tuple[str, ...]:
    """Return the forms in which user and password may be echoed."""
    user, _colon, password = userinfo.partition(':')
    plain = '%s:%s' % (urllib.parse.unquote(user),
                       urllib.parse.unquote(password))
    encoded = base64.b64encode(plain.encode()).decode()
    return (encoded, plain, userinfo, password,
            urllib.parse.unquote(password))


def _secrets(action: urllib.parse.SplitResult, url: yarl.URL) -> list[str]:
    """Return the parts of an action that a reason must not show."""
    found = {action.geturl(), url.raw_path_qs, url.path_qs,
             url.raw_query_string, *url.query.values()}
    found.update(
        item.partition('=')[2] for item in action.query.split('&'))
    userinfo = action.netloc.rpartition('@')[0]
    if userinfo:
        found.update(_credentials(userinfo))
    return sorted((s for s in found if len(s) > 1), key=len, reverse=True)


async def _refusal(response: post.Answer,
                   secrets: list[str]) -> base.Outcome:
    reason = 'HTTP %d %s' % (response.status, response.reason or '')
    if 300 <= response.status < 400:
        reason += ' (redirects are not followed)'
    else:
        reason += ': %s' % await _beginning(response)
    reason = _shown(reason, secrets)
    if response.status in RETRIED or response.status >= 500:
        return base.Outcome.retry(
            reason, retry_after(response.headers.get('Retry-After', '')))
    return base.Outcome.rejected(reason)


async def _beginning(response: post.Answer) -> str:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(DRAIN):
            # Whatever has come first is enough for a reason.
            start = await response.content.read(READ)
            return start.decode('utf-8', 'replace')
    return ''


async def _drain(response: post.Answer) -> None:
    length = 0
    try:
        async with asyncio.timeout(DRAIN):
            while length < READ and not response.content.at_eof():
                length += len(await response.content.readany())
    except (aiohttp.ClientError, TimeoutError):
        LOG.debug('The answer did not end')
    finally:
        response.release()


def _failed(exc: aiohttp.ClientError) -> base.Outcome:
    """Return the outcome of a call without an answer.

    The errors of aiohttp name the URL: the reasons are our own.
    """
    if isinstance(exc, aiohttp.InvalidURL):
        return base.Outcome.rejected('the action is not a valid URL')
    if isinstance(exc, post.NotHttp):
        return base.Outcome.retry('the answer is not HTTP')
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        reason = getattr(exc.certificate_error, 'verify_message', '')
        return _unreached('the certificate is not accepted: %s' % (
            reason or type(exc.certificate_error).__name__))
    if isinstance(exc, aiohttp.ClientConnectorSSLError):
        return _unreached('TLS failed: %s' % (
            getattr(exc.os_error, 'reason', None) or 'no reason given'))
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return _unreached('the host name can not be resolved')
    if isinstance(exc, aiohttp.ClientConnectorError):
        if isinstance(exc.os_error, _Blocked):
            return base.Outcome.rejected(
                'the address of the receiver is not allowed')
        # Its own text names the address.
        number = exc.os_error.errno
        return _unreached('no connection: %s' % (
            os.strerror(number) if number else type(exc.os_error).__name__))
    return _unreached('the connection ended without an answer')


def _request_id() -> uuid.UUID:
    # It names the request in logs and is no secret. The system's source of
    # randomness would make this thread wait for the others at each call.
    return uuid.UUID(int=random.getrandbits(128), version=4)  # noqa: S311


def _unreached(reason: str) -> base.Outcome:
    return base.Outcome.retry(reason, answered=False)


def retry_after(value: str, now: float | None = None) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3), if it is one.

    :param now: seconds since the epoch
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, when.timestamp() - (time.time() if now is None else now))


def _shown(reason: str, secrets: list[str]) -> str:
    """Return a reason in one line, without what receivers echo."""
    for secret in secrets:
        reason = reason.replace(secret, MASK)
    printable = ''.join(c if c.isprintable() else ' ' for c in reason)
    head, colon, text = ' '.join(printable.split()).partition(': ')
    return (head[:KEPT] + colon + text[:KEPT]).rstrip(': ')


def _ssl_context(conf: cfg.ConfigOpts) -> ssl.SSLContext | bool:
    options = conf.notifier
    if options.insecure:
        LOG.warning('[notifier] insecure is set: the certificates of '
                    'receivers are not checked')
    where = '[notifier] ca_file'
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        where = '[notifier] cert_file, key_file'
        if options.cert_file:
            context.load_cert_chain(options.cert_file, options.key_file)
    except OSError as exc:      # ssl.SSLError is one
        raise exception.ConfigurationError(
            where=where, reason=exc.strerror or str(exc)) from None
    return context


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
