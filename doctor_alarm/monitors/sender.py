# SPDX-License-Identifier: Apache-2.0
"""Posts findings until the event API has them, and no faster than it likes.

::

    put -> buffer -> batch -> POST --2xx--> told
             ^                  |--400----> one by one, the culprit dropped
             newer ones wait    '--else---> the same batch, after a pause

A batch is posted again as it is, with the same ids, for as long as its outcome
is unknown: the event API tells duplicates by them.
"""
from __future__ import annotations

from collections.abc import Callable
import logging
import random
import threading
import time

from oslo_config import cfg

from doctor_alarm.monitors import base
from doctor_alarm.monitors import buffer
from doctor_alarm.monitors import client as client_mod
from doctor_alarm.monitors import metrics

LOG = logging.getLogger(__name__)

#: Part by which pauses vary, so that monitors do not come back together.
_JITTER = 0.2
#: Seconds after which an idle sender looks whether it is to end.
_IDLE = 1.0
#: Reasons of one absence that are logged, each once.
_REASONS = 10


class Sender:
    """The thread between the buffer and the event API.

    :param told: called with the findings that the event API has taken
    """

    def __init__(self, conf: cfg.ConfigOpts, client: client_mod.Client,
                 waiting: buffer.Buffer,
                 told: Callable[[list[base.Finding]], None],
                 body: Callable[[base.Finding], dict[str, object]]) -> None:
        self._options = conf.monitor
        self._client = client
        self._waiting = waiting
        self._told = told
        self._body = body
        self._failures = 0
        self._said: set[str] = set()
        self._batch: list[base.Finding] = []
        self._ending = threading.Event()
        self._deadline = float('inf')
        self._thread = threading.Thread(
            target=self._run, name='sender', daemon=True)

    def start(self) -> None:
        """Start to post."""
        self._thread.start()

    def stop(self, timeout: float) -> int:
        """Post what waits, for so many seconds; return what is left over."""
        self._deadline = time.monotonic() + timeout
        self._ending.set()
        self._waiting.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout + 1.0)
        return len(self._batch) + len(self._waiting)

    def _run(self) -> None:
        while not self._over():
            self._batch = self._waiting.take(
                self._options.batch_size, _IDLE)
            if self._batch:
                self._deliver(len(self._batch))
            elif self._ending.is_set():
                return

    def _over(self) -> bool:
        return time.monotonic() > self._deadline

    def _deliver(self, limit: int) -> None:
        """Post the batch, that many at a time, until none is left of it."""
        while self._batch and not self._over():
            part = self._batch[:limit]
            outcome = self._client.post([self._body(f) for f in part])
            metrics.POSTS.labels(outcome.result.value).inc()
            if outcome.result is client_mod.Result.RETRY:
                self._wait(outcome)
                continue
            self._answered()
            if outcome.result is client_mod.Result.DELIVERED:
                self._told(part)
            elif limit > 1:
                # One of them is wrong, or they are too many: find out which.
                limit = 1
                continue
            else:
                self._drop(part[0], outcome.reason)
            del self._batch[:len(part)]

    def _wait(self, outcome: client_mod.Outcome) -> None:
        self._failures += 1
        if outcome.reason not in self._said and len(self._said) < _REASONS:
            self._said.add(outcome.reason)
            LOG.warning('The event API does not take findings, they wait: '
                        '%s', outcome.reason)
        self._pause(self.pause(outcome))

    def pause(self, outcome: client_mod.Outcome) -> float:
        """Return the seconds until the next attempt."""
        doubled = self._options.retry_initial * 2.0 ** min(
            self._failures - 1, 30)
        pause = min(doubled, self._options.retry_max) * random.uniform(  # noqa: S311
            1 - _JITTER, 1 + _JITTER)
        return max(pause, min(outcome.retry_after,
                              self._options.retry_after_max))

    def _pause(self, seconds: float) -> None:
        """Wait; at the end of the service no longer than it has."""
        if self._ending.wait(seconds):
            left = self._deadline - time.monotonic()
            time.sleep(max(0.0, min(
                seconds, left, self._options.retry_initial)))

    def _answered(self) -> None:
        if self._said:
            LOG.info('The event API takes findings again, after %d failures',
                     self._failures)
        self._failures = 0
        self._said.clear()

    def _drop(self, finding: base.Finding, reason: str) -> None:
        metrics.DROPPED.labels('refused').inc()
        LOG.error('The event API refuses %s of %s, it is dropped: %s',
                  finding.type, finding.subject, reason)
