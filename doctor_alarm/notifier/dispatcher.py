# SPDX-License-Identifier: Apache-2.0
"""The thread of the notifier, and how wake-ups get into its loop."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent import futures
import logging
import threading
from typing import Any

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.notifier import attempt
from doctor_alarm.notifier import lanes as lanes_mod
from doctor_alarm.notifier import ledger
from doctor_alarm.notifier import registry
from doctor_alarm.objects import wakeup

LOG = logging.getLogger(__name__)

#: Leases that wait to be looked at; more are left to the sweep.
BACKLOG = 100000
#: Of so many lanes, or bytes, what was enclosed is let go of, and read in its
#: turn.
ENCLOSED = 500
ENCLOSED_SIZE = 4 * 1024 * 1024


def check(conf: cfg.ConfigOpts) -> None:
    """Look for options that contradict each other.

    :raises ConfigurationError: names them
    """
    if conf.notifier.lease <= 2 * conf.notifier.timeout:
        raise exception.ConfigurationError(
            where='[notifier] lease',
            reason='must be more than twice the timeout')


class Dispatcher:
    """Delivers what wake-ups and its own sweep find.

    Any number of them may work on one database.
    """

    def __init__(self, conf: cfg.ConfigOpts, db: db_api.Database,
                 plugins: registry.Registry | None = None,
                 on_failure: Callable[[BaseException], None] | None = None,
                 neighbourhood: str = '') -> None:
        """Make a dispatcher that does nothing yet.

        :param plugins: default: those that are installed
        :param on_failure: called in its thread if it ends with an error
        :param neighbourhood: evaluators of this host that share it wake this
            notifier, see :mod:`doctor_alarm.messaging.neighbour`
        :raises ConfigurationError: the options contradict each other
        """
        check(conf)
        self._plugins = plugins or registry.Registry.load(conf)
        self._lanes = lanes_mod.Lanes(
            conf, ledger.Ledger(conf, db),
            attempt.Attempts(conf, self._plugins))
        self._on_failure = on_failure
        self._ear = (messaging.Ear(neighbourhood, self._overhear)
                     if neighbourhood else None)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._arrived: list[wakeup.WakeUp] = []
        self._waiting = self._size = 0
        self._lock = threading.Lock()
        self._started: futures.Future[None] = futures.Future()
        self._thread = threading.Thread(
            target=self._run, name='notifier', daemon=True)

    def start(self) -> None:
        """Start; return when the plugins are ready.

        :raises ConfigurationError: one of them can not work as configured
        """
        self._thread.start()
        self._started.result()

    def wake(self, hint: Any, *, first: bool = True) -> None:
        """Take the leases of a wake-up over; from any thread, at once.

        :param hint: see :mod:`doctor_alarm.objects.wakeup`
        :param first: it can not have come before; if it had, what it encloses
            might be delivered by now, and is not believed
        :raises Invalid: it is not of this form
        """
        with self._lock:
            waiting = self._waiting + self._lanes.backlog
            found = wakeup.read(
                hint, enclosed=first and waiting < ENCLOSED
                and self._size < ENCLOSED_SIZE)
            count = len(found.leases)
            if waiting + count > BACKLOG:
                LOG.debug('%d lanes are left to the sweep', count)
                return
            called = bool(self._arrived)
            self._arrived.append(found)
            self._waiting += count
            self._size += found.size
            if called:
                return
            try:
                self._loop.call_soon_threadsafe(self._take)
            except RuntimeError:
                # The loop is closed: others, or the next start, sweep them.
                LOG.debug('%d lanes came after the end', count)
                self._arrived.clear()

    def stop(self, timeout: float | None = None) -> None:
        """Finish what is under way, give back the rest, and end."""
        if self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._end)
            except RuntimeError:
                LOG.debug('The notifier had ended')
            self._thread.join(timeout)

    def _end(self) -> None:
        self._hear_no_more()
        self._stop.set()

    def _hear_no_more(self) -> None:
        if self._ear is not None:
            self._ear.close()

    def _overhear(self, hint: Any) -> None:
        try:
            self.wake(hint)
        except exception.Invalid as exc:
            LOG.warning('A wake-up of this host was ignored: %s', exc)

    def _take(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, []
            self._waiting = self._size = 0
        for found in arrived:
            try:
                self._lanes.take(found)
            except Exception:
                # Their leases end; the other wake-ups need not suffer.
                LOG.exception('%d lanes are left to the sweep',
                              len(found.leases))

    def _run(self) -> None:
        loop = self._loop
        try:
            loop.run_until_complete(self._main())
        except BaseException as exc:
            if not self._started.done():
                self._started.set_exception(exc)
                return
            LOG.exception('The notifier ended')
            if self._on_failure:
                self._on_failure(exc)
        finally:
            loop.close()

    async def _main(self) -> None:
        await self._plugins.start()
        if self._ear is not None:
            self._ear.open(self._loop)
        try:
            self._started.set_result(None)
            await self._lanes.run(self._stop)
        finally:
            self._hear_no_more()
            await self._plugins.stop()
