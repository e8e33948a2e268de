# SPDX-License-Identifier: Apache-2.0
"""When a state counts: single losses do not, and flapping is damped; pure."""
from __future__ import annotations

from doctor_alarm.monitors import base

#: Most times that the hold of a flapping subject doubles.
_DOUBLINGS = 3


class Debouncer:
    """The state of one subject, from observations of it.

    Down after ``down_after`` losses in a row, at once and always. Up after
    ``up_after`` answers in a row; but a subject that went down again within
    ``hold_down`` seconds of its last return has to last that long first.

    :param down: whether it was reported to be down before
    """

    __slots__ = ('_answers', '_doublings', '_down_after', '_hold_down',
                 '_losses', '_reported', '_returned', '_seen', '_seen_since',
                 '_up_after')

    def __init__(self, down_after: int, up_after: int, hold_down: float,
                 down: bool = False) -> None:
        self._down_after = down_after
        self._up_after = up_after
        self._hold_down = hold_down
        self._losses = self._answers = self._doublings = 0
        # None: not known yet. That it is up from the start is no news.
        self._reported: str | None = base.DOWN if down else None
        self._seen: str | None = self._reported
        self._seen_since = 0.0
        self._returned: float | None = None

    @property
    def down(self) -> bool:
        """Whether it counts as down."""
        return self._reported == base.DOWN

    def observe(self, answered: bool, now: float) -> str | None:
        """Take an observation; return the new state if it is to be reported.

        :param now: monotonic seconds
        """
        if answered:
            self._losses = 0
            self._answers += 1
            if self._answers >= self._up_after and self._seen != base.UP:
                self._seen, self._seen_since = base.UP, now
        else:
            self._answers = 0
            self._losses += 1
            if self._losses >= self._down_after:
                self._seen, self._seen_since = base.DOWN, now
        return self._decide(now)

    def _decide(self, now: float) -> str | None:
        if self._seen == base.DOWN and self._reported != base.DOWN:
            self._reported = base.DOWN
            flapped = (self._returned is not None
                       and now - self._returned < self._hold())
            self._doublings = self._doublings + 1 if flapped else 0
            return base.DOWN
        if self._seen != base.UP or self._reported == base.UP:
            return None
        if self._reported is None:
            self._reported = base.UP
            return None
        if self._doublings and now - self._seen_since < self._hold():
            return None
        self._reported, self._returned = base.UP, now
        return base.UP

    def _hold(self) -> float:
        return self._hold_down * 2.0 ** min(
            max(self._doublings - 1, 0), _DOUBLINGS)
