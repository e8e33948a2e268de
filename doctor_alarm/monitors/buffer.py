# SPDX-License-Identifier: Apache-2.0
"""Findings that wait to be posted: bounded, in order, the newest kept."""
from __future__ import annotations

import collections
import itertools
import logging
import threading

from doctor_alarm.monitors import base
from doctor_alarm.monitors import metrics

LOG = logging.getLogger(__name__)


class Buffer:
    """Holds findings in the order in which they came.

    When it is full, the oldest finding goes whose subject has a newer one;
    if there is none, the oldest of all.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed = threading.Condition()
        self._numbers = 0
        self._waiting: collections.OrderedDict[
            int, base.Finding] = collections.OrderedDict()
        self._latest: dict[str, int] = {}
        self._superseded: collections.OrderedDict[
            int, None] = collections.OrderedDict()
        self._overflowed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, finding: base.Finding) -> None:
        """Add a finding; never waits."""
        with self._changed:
            self._numbers += 1
            former = self._latest.get(finding.subject)
            if former is not None:
                self._superseded[former] = None
            self._waiting[self._numbers] = finding
            self._latest[finding.subject] = self._numbers
            if len(self._waiting) > self._size:
                self._make_room()
            metrics.WAITING.set(len(self._waiting))
            self._changed.notify()

    def take(self, limit: int, timeout: float) -> list[base.Finding]:
        """Remove and return the oldest; wait for one if there is none.

        :param timeout: seconds after which it returns nothing
        """
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout)
            numbers = list(itertools.islice(self._waiting, limit))
            found = [self._remove(number) for number in numbers]
            if not self._waiting:
                self._overflowed = False
            metrics.WAITING.set(len(self._waiting))
            return found

    def wake(self) -> None:
        """Let ``take`` return."""
        with self._changed:
            self._changed.notify_all()

    def _make_room(self) -> None:
        superseded = bool(self._superseded)
        self._remove(next(iter(self._superseded or self._waiting)))
        metrics.DROPPED.labels(
            'superseded' if superseded else 'overflow').inc()
        if not self._overflowed:
            self._overflowed = True     # said once until it is empty again
            LOG.error('More than %d findings wait for the event API: the '
                      'oldest are dropped, if possible those that a newer '
                      'one of the same subject supersedes', self._size)

    def _remove(self, number: int) -> base.Finding:
        finding = self._waiting.pop(number)
        self._superseded.pop(number, None)
        if self._latest[finding.subject] == number:
            del self._latest[finding.subject]
        return finding
