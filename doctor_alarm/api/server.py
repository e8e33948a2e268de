# SPDX-License-Identifier: Apache-2.0
"""The HTTP server around the application."""
from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
import threading
from typing import Any

from cheroot import wsgi
from oslo_config import cfg

from doctor_alarm.api import connection
from doctor_alarm import exception

LOG = logging.getLogger(__name__)

#: Connections that wait for being accepted, in bursts of detectors.
BACKLOG = 128
#: How many of the largest bodies may be held while requests are incomplete.
BODIES = 64


class _Cheroot(wsgi.Server):
    """cheroot, with a thread for requests instead of connections."""

    ConnectionClass = connection.Connection

    def __init__(self, conf: cfg.ConfigOpts, *args: Any,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_body_size = conf.api.max_body_size
        self.keep_alive_conn_limit = conf.api.max_connections
        self._most = conf.api.max_connections
        self._budget = BODIES * conf.api.max_body_size
        self._open: set[connection.Connection] = set()
        self._held = 0
        self._lock = threading.Lock()

    def process_conn(self, conn: connection.Connection) -> None:
        """Give a complete request to a thread, wait for any other."""
        found = conn.receive()
        self._weigh(conn)
        if found is connection.Found.REQUEST:
            super().process_conn(conn)
        elif found is connection.Found.NOTHING_YET:
            self.put_conn(conn)
        else:
            conn.close()

    def admit(self, conn: connection.Connection) -> None:
        """Have one more connection, if need be instead of an idle one."""
        with self._lock:
            self._open.add(conn)
            if len(self._open) <= self._most:
                return
            idle = [c for c in self._open if c.is_idle]
        if idle:
            min(idle, key=lambda c: c.last_used).drop()

    def _weigh(self, conn: connection.Connection) -> None:
        """Drop the heaviest one where all together hold too much."""
        with self._lock:
            self._held += conn.size - conn.counted
            conn.counted = conn.size
            if self._held <= self._budget:
                return
            idle = [c for c in self._open if c.is_idle and c.counted]
            if not idle:
                return
            heaviest = max(idle, key=lambda c: c.counted)
            self._held -= heaviest.counted
            heaviest.counted = 0
        heaviest.drop()

    def answers_yet(self, conn: connection.Connection) -> bool:
        """Whether the server ends, but not before this request is answered."""
        if (self.ready or not conn.is_idle
                or conn.receive() is not connection.Found.REQUEST):
            return False
        super().process_conn(conn)
        return True

    def dismiss(self, conn: connection.Connection) -> None:
        """Have one connection less."""
        with self._lock:
            self._open.discard(conn)
            self._held -= conn.counted
            conn.counted = 0

    def error_log(self, msg: str = '', level: int = logging.INFO,
                  traceback: bool = False) -> None:
        """Log what would be printed."""
        LOG.log(level, msg.strip(), exc_info=traceback)


class Server:
    """Serves a WSGI application in threads of this process."""

    def __init__(self, conf: cfg.ConfigOpts, app: Any) -> None:
        self._address = (str(conf.api.host), conf.api.port)
        self._cheroot = _Cheroot(
            conf, self._address, app, numthreads=conf.api.threads,
            server_name='doctor-alarm', request_queue_size=BACKLOG,
            timeout=conf.api.client_timeout,
            shutdown_timeout=conf.api.drain_timeout,
            # Several processes share the port, the kernel deals them the
            # connections; see check_port for what that would hide.
            reuse_port=conf.api.workers > 1)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        host, port = self._cheroot.bind_addr[:2]
        return 'http://%s:%d' % (_in_url(host), port)

    def start(self) -> None:
        """Listen, and serve in the background.

        :raises ConfigurationError: it can not listen there
        """
        try:
            self._cheroot.prepare()
        except OSError as exc:
            raise _cannot_listen(self._address, exc) from exc
        self._thread = threading.Thread(
            target=self._cheroot.serve, name='api', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept nothing more, answer what was asked, end."""
        self._cheroot.stop()
        if self._thread is not None:
            self._thread.join()


def check_port(conf: cfg.ConfigOpts) -> None:
    """Make sure that nobody else listens, before processes share the port.

    :raises ConfigurationError: somebody does
    """
    address = (str(conf.api.host), conf.api.port)
    try:
        family, kind, proto, _name, where = socket.getaddrinfo(
            *address, type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, proto) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
            # Without listening, a bind beside a listener may pass.
            sock.listen(1)
    except OSError as exc:
        raise _cannot_listen(address, exc) from exc


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost' or host.endswith('.localhost')


def _cannot_listen(address: tuple[str, int],
                   exc: OSError) -> exception.ConfigurationError:
    reason = exc.strerror or str(exc)
    # cheroot raises an error of its own, with the text alone.
    if exc.errno == errno.EADDRINUSE or os.strerror(
            errno.EADDRINUSE) in str(exc):
        reason = 'the port is taken by another program'
    return exception.ConfigurationError(
        where='cannot listen on %s:%d' % (_in_url(address[0]), address[1]),
        reason=reason)


def _in_url(host: str) -> str:
    return '[%s]' % host if ':' in host else host
