# SPDX-License-Identifier: Apache-2.0
"""Checks with nova what is on a host, while somebody waits for it."""
from __future__ import annotations

import logging
import threading
import time

from doctor_alarm.inspector import cycle
from doctor_alarm.inspector import inventory
from doctor_alarm.inspector import metrics
from doctor_alarm.inspector import resource_map

LOG = logging.getLogger(__name__)

#: Hosts that nova is asked for at a time.
LIMIT = 4
#: Seconds after a question without answer in which no other is asked.
PAUSE = 10.0


class Lookup(resource_map.Refresh):
    """Asks nova for one host; however many wait for that, once.

    :param timeout: seconds that those who ask wait. An answer that comes
        later still gets into the map.
    """

    def __init__(self, nova: inventory.Inventory, timeout: float,
                 pause: float = PAUSE) -> None:
        self._nova = nova
        self._timeout = timeout
        self._pause = pause
        self._lock = threading.Lock()
        self._asked: dict[str, _Question] = {}
        self._not_before = float('-inf')

    def __call__(self, resources: resource_map.ResourceMap,
                 host: str) -> None:
        question = self._question(resources, host)
        if question is None:
            metrics.MAP_LOOKUPS.labels('skipped').inc()
            return
        answered = question.done.wait(self._timeout)
        if answered and question.failure is None:
            metrics.MAP_LOOKUPS.labels('answered').inc()
            return
        with self._lock:
            self._not_before = time.monotonic() + self._pause
        metrics.MAP_LOOKUPS.labels('failed').inc()
        LOG.warning(
            'Nova does not tell what is on %s, what is known of it counts: '
            '%s', host, cycle.reason(question.failure) if question.failure
            else 'no answer within %g s' % self._timeout)

    def _question(self, resources: resource_map.ResourceMap,
                  host: str) -> _Question | None:
        with self._lock:
            question = self._asked.get(host)
            if question is not None:
                return question
            if (time.monotonic() < self._not_before
                    or len(self._asked) >= LIMIT):
                return None
            question = self._asked[host] = _Question()
        # Of its own: one that hangs must not keep the process from its end.
        threading.Thread(
            target=self._ask, args=(resources, host, question),
            name='map lookup', daemon=True).start()
        return question

    def _ask(self, resources: resource_map.ResourceMap, host: str,
             question: _Question) -> None:
        started = time.monotonic()
        listing = resources.begin()
        try:
            resources.confirm(listing, self._nova.servers_of(host))
            resources.finish_host(host, listing, started)
        except Exception as exc:
            question.failure = exc
        finally:
            with self._lock:
                del self._asked[host]
            question.done.set()


class _Question:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.failure: Exception | None = None
