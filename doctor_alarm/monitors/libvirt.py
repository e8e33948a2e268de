# SPDX-License-Identifier: Apache-2.0
"""Listens to libvirt: servers that crash, watchdogs, disks that fail.

Three threads: libvirt's event loop calls back, ``run`` takes what it heard
from a queue, and connects anew when libvirt goes away. libvirt-python is an
extra, ``pip install doctor-alarm[libvirt]``.
"""
from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import queue
import socket
import threading
import time
from typing import Any

from oslo_config import cfg

from doctor_alarm import exception
from doctor_alarm.monitors import base
from doctor_alarm.monitors import guests

LOG = logging.getLogger(__name__)

#: Seconds between two looks at what only time changes.
_TICK = 0.5
#: Shortest pause between two attempts to connect, seconds.
_PAUSE = 0.5
#: Unanswered questions after which a connection is dead.
_KEEPALIVE_COUNT = 3

_loop_lock = threading.Lock()
_loop: threading.Thread | None = None

#: Something heard: it is applied to the guests at a time.
_Heard = Callable[[guests.Guests, float], None]


def _library() -> Any:
    try:
        import libvirt
    except ImportError as exc:
        raise exception.ConfigurationError(
            where='monitor libvirt', reason='needs libvirt-python (pip '
            'install doctor-alarm[libvirt]): %s' % exc) from None
    return libvirt


class LibvirtMonitor(base.Monitor):
    """One connection, kept for as long as libvirt is there."""

    def __init__(self, conf: cfg.ConfigOpts,
                 reporter: base.Reporter) -> None:
        super().__init__(conf, reporter)
        self._options = conf.monitor_libvirt
        self._libvirt = _library()
        self._heard: queue.SimpleQueue[_Heard] = queue.SimpleQueue()
        self._lost = threading.Event()
        self._guests = guests.Guests(
            reporter, self._options.host or socket.gethostname(),
            self._options.faults, self._options.hold_down)
        self._said = ''

    def open(self) -> None:
        """Start libvirt's event loop, which has to be there first."""
        _start_loop(self._libvirt)
        # It prints every error that it raises otherwise.
        self._libvirt.registerErrorHandler(lambda *_: None, None)

    def run(self, stopping: threading.Event) -> None:
        """Listen until told to stop."""
        failures = 0
        while not stopping.is_set():
            try:
                connection = self._connect()
            except self._libvirt.libvirtError as exc:
                failures += 1
                self._complain(str(exc))
                stopping.wait(min(_PAUSE * 2.0 ** min(failures - 1, 10),
                                  self._options.retry_max))
                continue
            failures, self._said = 0, ''
            LOG.info('Listening to libvirt at %s', self._options.uri)
            self._listen(connection, stopping)
            with contextlib.suppress(self._libvirt.libvirtError):
                connection.close()
            stopping.wait(_PAUSE)

    def _listen(self, connection: Any, stopping: threading.Event) -> None:
        """Work on what is heard until the connection is lost."""
        while not stopping.is_set():
            try:
                self._heard.get(timeout=_TICK)(
                    self._guests, time.monotonic())
            except queue.Empty:
                if self._lost.is_set() or not self._alive(connection):
                    self._complain('the connection was lost')
                    return
            self._guests.tick(time.monotonic())

    def _alive(self, connection: Any) -> bool:
        try:
            return bool(connection.isAlive())
        except self._libvirt.libvirtError:
            return False

    def _connect(self) -> Any:
        """Connect, listen, and see what happened meanwhile.

        :raises libvirtError: libvirt is not there, or not any more
        """
        lost = self._lost = threading.Event()
        connection = self._libvirt.openReadOnly(self._options.uri)
        with contextlib.suppress(self._libvirt.libvirtError):
            # Those in this process have none.
            connection.setKeepAlive(
                self._options.keepalive_interval, _KEEPALIVE_COUNT)
        connection.registerCloseCallback(lambda *_: lost.set(), None)
        for number, callback in (
                (self._libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                 self._on_lifecycle),
                (self._libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG,
                 self._on_watchdog),
                (self._libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
                 self._on_io_error)):
            connection.domainEventRegisterAny(None, number, callback, None)
        self._look(connection)
        return connection

    def _look(self, connection: Any) -> None:
        now = time.monotonic()
        uuids = []
        for domain in connection.listAllDomains():
            try:
                state, reason = domain.state()
            except self._libvirt.libvirtError as exc:
                if (exc.get_error_code()
                        != self._libvirt.VIR_ERR_NO_DOMAIN):
                    raise
                continue        # it went this moment
            uuids.append(domain.UUIDString())
            self._guests.found(uuids[-1], state, reason, now)
        self._guests.only(uuids)

    def _complain(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            LOG.error('No events from libvirt at %s: %s',
                      self._options.uri, reason)

    # Called by libvirt's thread: only note it.

    def _on_lifecycle(self, _connection: Any, domain: Any, event: int,
                      detail: int, _opaque: Any) -> None:
        uuid = domain.UUIDString()
        self._heard.put(lambda known, now: known.lifecycle(
            uuid, event, detail, now))

    def _on_watchdog(self, _connection: Any, domain: Any, action: int,
                     _opaque: Any) -> None:
        uuid = domain.UUIDString()
        self._heard.put(lambda known, now: known.watchdog(uuid, action, now))

    def _on_io_error(self, _connection: Any, domain: Any, _path: str,
                     device: str, action: int, reason: str,
                     _opaque: Any) -> None:
        uuid = domain.UUIDString()
        self._heard.put(lambda known, now: known.io_error(
            uuid, device, action, reason or '', now))


def _start_loop(library: Any) -> None:
    """Run libvirt's default event loop in a thread, once per process."""
    global _loop
    with _loop_lock:
        if _loop is not None:
            return
        library.virEventRegisterDefaultImpl()
        # Without one it would not notice what others add to it.
        library.virEventAddTimeout(1000, lambda *_: None, None)

        def work() -> None:
            while True:
                try:
                    library.virEventRunDefaultImpl()
                except library.libvirtError as exc:
                    LOG.error('Event loop of libvirt: %s', exc)
                    time.sleep(1)

        _loop = threading.Thread(target=work, name='libvirt', daemon=True)
        _loop.start()
