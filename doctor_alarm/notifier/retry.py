# SPDX-License-Identifier: Apache-2.0
"""What an outcome means for its delivery and its lane; pure."""
from __future__ import annotations

from collections.abc import Callable
import dataclasses
import random

from oslo_config import cfg

from doctor_alarm.notifier import base
from doctor_alarm.objects import delivery as delivery_obj

#: Part by which pauses vary.
JITTER = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a delivery after an attempt.

    ``status``: as it is stored. ``pause``: seconds until the lane goes on
    with the same delivery; None: it goes on with the next.
    """

    status: str
    label: str
    error: str | None = None
    pause: float | None = None


_DELIVERED = Decision(delivery_obj.DELIVERED, 'delivered')


class Policy:
    """How often and how long is tried."""

    def __init__(self, conf: cfg.ConfigOpts,
                 rand: Callable[[float, float], float] = random.uniform,
                 ) -> None:
        self._initial = conf.notifier.retry_initial
        self._max = conf.notifier.retry_max
        self._retry_after_max = conf.notifier.retry_after_max
        self._max_age = conf.notifier.max_age * 1000000
        self._random = rand

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after the n-th failure in a row."""
        doubled = self._initial * 2.0 ** min(max(failures - 1, 0), 30)
        return self.vary(min(doubled, self._max))

    def vary(self, pause: float) -> float:
        """Return a pause that differs a little each time."""
        return pause * self._random(1 - JITTER, 1 + JITTER)

    def decide(self, outcome: base.Outcome, failures: int, age: int,
               ) -> Decision:
        """Decide about a delivery.

        :param failures: attempts of this delivery that failed, with this one
        :param age: microseconds since the alarm fired, or since somebody
            asked for it again
        """
        if outcome.status is base.Status.DELIVERED:
            return _DELIVERED
        if outcome.status is base.Status.REJECTED:
            return Decision(delivery_obj.DEAD, 'rejected', outcome.reason)
        if age > self._max_age:
            return Decision(
                delivery_obj.DEAD, 'given_up',
                'given up after %d attempts: %s' % (failures, outcome.reason))
        pause = self.pause(failures)
        if outcome.retry_after:
            pause = max(pause, min(outcome.retry_after,
                                   self._retry_after_max))
        return Decision(
            delivery_obj.PENDING, 'retry', outcome.reason, pause)
