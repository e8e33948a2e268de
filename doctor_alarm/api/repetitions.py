# SPDX-License-Identifier: Apache-2.0
"""The same event, again and again: what was taken just now is not passed on.

Whoever gets it would find by its id that nothing is new, but only after work
that is a hundred times as much as the look at the memory of this process. A
moment later it is passed on again: an alarm that was made meanwhile gets it.
"""
from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
import threading
import time

from doctor_alarm import event as event_mod

#: Events that are remembered; more than come within the moment.
KEPT = 20_000


class Repetitions:
    """Remembers for some seconds what was taken.

    :param seconds: ``[event] repetition_interval``; 0: nothing
    """

    def __init__(self, seconds: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._until: collections.OrderedDict[
            tuple[str, int], float] = collections.OrderedDict()

    def news(self, events: Iterable[event_mod.Event],
             ) -> list[event_mod.Event]:
        """Return those that are to be passed on."""
        if not self._seconds:
            return list(events)
        found = {_key(event): event for event in events}
        with self._lock:
            now = self._clock()
            known = [key for key in found if self._until.get(key, now) > now]
        for key in known:
            del found[key]
        return list(found.values())

    def taken(self, events: Iterable[event_mod.Event]) -> None:
        """Remember what can not be lost any more."""
        if not self._seconds:
            return
        with self._lock:
            now = self._clock()
            for event in events:
                key = _key(event)
                self._until[key] = now + self._seconds
                self._until.move_to_end(key)
            while self._until and (
                    len(self._until) > KEPT
                    or next(iter(self._until.values())) <= now):
                self._until.popitem(last=False)


def _key(event: event_mod.Event) -> tuple[str, int]:
    # Who says more of it than before is no repetition: that the host is cut
    # off, for one.
    return event.message_id, hash((
        event.event_type, event.generated, event.project_id, event.trusted,
        frozenset(event.traits.items())))
