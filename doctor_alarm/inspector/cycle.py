# SPDX-License-Identifier: Apache-2.0
"""Does something again and again, in a thread of its own."""
from __future__ import annotations

from collections.abc import Callable
import logging
import random
import threading

from doctor_alarm.inspector import metrics
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

#: Most seconds before the first time: several inspectors start together.
FIRST = 2.0
#: Seconds after the first failure; they double, up to the last.
RETRY = 1.0
LONGEST_RETRY = 60.0
#: How much of a pause chance decides.
JITTER = 0.2


class Cycle:
    """Repeats work; after a failure sooner, with backoff.

    :param what: name of the work in the log, and in metrics
    :param work: raises when it failed
    :param interval: seconds between two times
    """

    def __init__(self, what: str, work: Callable[[], object], interval: float,
                 chance: Callable[[float, float], float] = random.uniform,
                 ) -> None:
        self._what = what
        self._work = work
        self._interval = interval
        self._chance = chance
        self._failures = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='map %s' % what, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End; work that still waits for an answer is left alone."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def once(self) -> float:
        """Work once; return the seconds until the next time."""
        try:
            self._work()
        except Exception as exc:
            # Whatever the libraries make of a service that is not well
            self._failures += 1
            metrics.MAP_FAILURES.labels(self._what).inc()
            if self._failures == 1:
                LOG.warning('The resource map stays as it is, %s can not be '
                            'read: %s', self._what, reason(exc))
            pause = min(RETRY * 2 ** min(self._failures - 1, 20),
                        LONGEST_RETRY, self._interval)
        else:
            if self._failures:
                LOG.info('%s can be read again, after %d failures',
                         self._what.capitalize(), self._failures)
            self._failures = 0
            metrics.MAP_CONFIRMED.labels(self._what).set_to_current_time()
            pause = self._interval
        return self._chance(pause * (1 - JITTER), pause * (1 + JITTER))

    def _run(self) -> None:
        pause = self._chance(0, min(FIRST, self._interval))
        while not self._stopping.wait(pause):
            pause = self.once()


def reason(exc: BaseException) -> str:
    """Return what an error says, in one short line without secrets."""
    return redact.text(' '.join((str(exc) or repr(exc)).split())[:300])
