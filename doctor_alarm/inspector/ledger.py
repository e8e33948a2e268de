# SPDX-License-Identifier: Apache-2.0
"""Which messages of work are open, and what is the newest of each thing."""
from __future__ import annotations

import collections
from collections.abc import Iterator
import dataclasses
import datetime
import threading
import time
from typing import Any

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm.inspector import action as action_mod

#: Seconds after the first failure; they double.
FIRST_PAUSE = 0.5
#: Things of which the newest is remembered, and seconds for which it is.
KEPT = 100_000
MEMORY = 3600.0


@dataclasses.dataclass(slots=True, eq=False)
class Message:
    """A message, and how much there is until it can be acknowledged.

    ``left``: attempts, and messages that have to be acknowledged before.
    """

    incoming: Any
    deadline: float
    left: int = 1
    subjects: list[action_mod.Subject] = dataclasses.field(
        default_factory=list)
    followers: list[Message] = dataclasses.field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Whether it is, or will be, in other hands."""
        return getattr(self.incoming, 'lost', False)


@dataclasses.dataclass(slots=True, eq=False)
class Attempt:
    """An action of a message, and how often it has failed.

    ``repair``: it was done before; nobody has to be told again.
    """

    message: Message
    action: action_mod.Action
    repair: bool = False
    failures: int = 0

    def next_pause(self, longest: float) -> float:
        """Note a failure; return the seconds until the next attempt."""
        self.failures += 1
        pause: float = min(
            FIRST_PAUSE * 2 ** min(self.failures - 1, 20), longest)
        return pause

    def is_last(self, pause: float) -> bool:
        """Whether there is no time for another one."""
        return time.monotonic() + pause > self.message.deadline


@dataclasses.dataclass(frozen=True, slots=True)
class _News:
    """The newest that is known of something, and what it says to do.

    ``noted``: by the monotonic clock, seconds.
    """

    when: int
    message_id: str
    action: action_mod.Action | None
    noted: float

    def ends(self, event: event_mod.Event) -> bool:
        """Whether it came after; of equal times the one that arrived later.
        """
        return (self.when >= event.generated_us
                and self.message_id != event.message_id)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What is to be done for a message.

    ``is_news``: it may end what waits.
    """

    message: Message
    attempts: list[Attempt]
    is_news: bool


class Ledger:
    """Keeps account of messages; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: collections.OrderedDict[
            action_mod.Subject, _News] = collections.OrderedDict()
        self._open: dict[action_mod.Subject, list[Message]] = {}

    def enter(self, incoming: Any, timeout: float) -> Entry:
        """Open a message; it stays open until it was settled as often as it
        has attempts, and once more.
        """
        events = list(_events_of(incoming.message))
        message = Message(incoming, time.monotonic() + timeout)
        with self._lock:
            is_news = [self._note(event) for event in events]
            self._follow(message, events)
            attempts = [Attempt(message, action) for event in events
                        for action in action_mod.of(event)]
            for attempt in attempts:
                message.subjects += attempt.action.ended_by
            attempts += self._repairs(message, events)
            for subject in message.subjects:
                self._open.setdefault(subject, []).append(message)
            message.left += len(attempts)
        return Entry(message, attempts, any(is_news))

    def superseded(self, attempt: Attempt) -> bool:
        """Whether something newer is known of what an attempt is about."""
        action = attempt.action
        with self._lock:
            return any(news.ends(action.event) for news in map(
                self._newest.get, action.ended_by) if news is not None)

    def settle(self, message: Message) -> None:
        """Note that a part of a message is over; acknowledge what can be."""
        with self._lock:
            over, found = [message], []
            while over:
                each = over.pop()
                each.left -= 1
                if not each.left:
                    self._close(each)
                    found.append(each)
                    over += each.followers
        for each in found:
            each.incoming.acknowledge()

    def _close(self, message: Message) -> None:
        for subject in message.subjects:
            others = self._open[subject]
            others.remove(message)
            if not others:
                del self._open[subject]

    def _note(self, event: event_mod.Event) -> bool:
        """Remember the newest; whether there was something older."""
        is_news, now = False, time.monotonic()
        actions = {action.subject: action for action in action_mod.of(event)}
        for subject in action_mod.subjects_of(event):
            known = self._newest.get(subject)
            if known is None or known.when <= event.generated_us:
                self._newest[subject] = _News(
                    event.generated_us, event.message_id,
                    actions.get(subject), now)
                self._newest.move_to_end(subject)
                is_news |= subject in self._open
        self._forget(now)
        return is_news

    def _forget(self, now: float) -> None:
        while self._newest:
            oldest = next(iter(self._newest.values()))
            if len(self._newest) <= KEPT and oldest.noted > now - MEMORY:
                return
            self._newest.popitem(last=False)

    def _follow(self, message: Message,
                events: list[event_mod.Event]) -> None:
        before = {id(older): older for event in events
                  for subject in action_mod.subjects_of(event)
                  for older in self._open.get(subject, ())}
        for older in before.values():
            older.followers.append(message)
            message.left += 1

    def _repairs(self, message: Message, events: list[event_mod.Event],
                 ) -> Iterator[Attempt]:
        """Give what has to be done again.

        A worker that lost the broker, but not nova, may have done something
        after it was out of date.
        """
        for event in events:
            subject = action_mod.carried_out(event)
            news = self._newest.get(subject) if subject else None
            if news is not None and news.action is not None and (
                    news.when > event.generated_us):
                yield Attempt(message, news.action, repair=True)


def _events_of(message: dict[str, Any]) -> Iterator[event_mod.Event]:
    received = datetime.datetime.now(datetime.timezone.utc)
    payload = message.get('payload')
    for doc in payload if isinstance(payload, list) else ():
        try:
            yield event_mod.Event.from_wire(doc, received=received, clean=True)
        except exception.InvalidEvent:
            continue
