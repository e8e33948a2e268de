# SPDX-License-Identifier: Apache-2.0
"""Tells the bus what happened to alarms, without anybody waiting for it.

It is news for whoever is interested, as Aodh sends it: what must not be lost
is in the history. While the broker is away some of it waits, and the rest is
dropped and counted.
"""
from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from oslo_config import cfg

from doctor_alarm import exception
from doctor_alarm.messaging import publish
from doctor_alarm.messaging import transport as bus
from doctor_alarm import metrics

LOG = logging.getLogger(__name__)

#: What waits for the broker at most.
BACKLOG = 1000


class Announcer:
    """Sends notifications of priority info in a thread of its own.

    It connects when there is something to send, hence after a fork.
    """

    def __init__(self, conf: cfg.ConfigOpts, publisher_id: str) -> None:
        self._conf = conf
        self._publisher_id = publisher_id
        self._waiting: queue.Queue[tuple[str, Any]] = queue.Queue(BACKLOG)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._publishers: list[publish.Publisher] = []

    def submit(self, event_type: str, payload: Any) -> None:
        """Take a notification; return at once, and never fail."""
        try:
            self._waiting.put_nowait((event_type, payload))
        except queue.Full:
            metrics.ANNOUNCEMENTS.labels('dropped').inc()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name='announcer', daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            event_type, payload = self._waiting.get()
            try:
                self._send(event_type, payload)
            except exception.DoctorAlarmException as exc:
                LOG.debug('Not announced: %s: %s', event_type, exc)
                metrics.ANNOUNCEMENTS.labels('failed').inc()
            except Exception:
                LOG.exception('Not announced: %s', event_type)
                metrics.ANNOUNCEMENTS.labels('failed').inc()
            else:
                metrics.ANNOUNCEMENTS.labels('sent').inc()

    def _send(self, event_type: str, payload: Any) -> None:
        if not self._publishers:
            transport = bus.get_transport(self._conf)
            options = self._conf.announcement
            self._publishers = [
                publish.Publisher(
                    transport, topic, self._publisher_id, priority='info',
                    exchange=options.exchange) for topic in options.topics]
        for publisher in self._publishers:
            publisher.publish(event_type, payload)
