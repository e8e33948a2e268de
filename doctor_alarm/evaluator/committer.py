# SPDX-License-Identifier: Apache-2.0
"""Groups events into transactions; retries what may pass, puts aside the rest.

An item is acknowledged when its effect is durable: committed, or put aside as
a dead letter. Until then it is retried here; nothing is given back to the
broker but by the end of the process.
"""
from __future__ import annotations

from collections.abc import Callable
import dataclasses
import datetime
import logging
import threading
from typing import Any
from typing import Protocol

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import metrics
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

RETRY_FIRST = 0.05


class DeadLetters(Protocol):
    """Where to put aside what can not be processed."""

    def put(self, reason: str, message_id: str, source: str,
            body: object) -> None:
        """Store it, or raise."""


class Abandoned(exception.DoctorAlarmException):
    msg_fmt = 'The service ends before the events were committed.'


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """Events that are acknowledged together.

    ``done(error)`` is called once: with ``None`` when the effect is durable.
    """

    events: list[event_mod.Event]
    done: Callable[[BaseException | None], None]


class Engine(Protocol):
    """What makes the effects of events durable."""

    def process(self, events: list[event_mod.Event]) -> None:
        """Do so, or raise; safe to repeat."""


def make(conf: cfg.ConfigOpts, engine: Engine, dead_letters: DeadLetters, *,
         stopping: threading.Event, source: str) -> Committer:
    """Return a committer with the options of the configuration.

    :raises ConfigurationError: the options contradict each other
    """
    if conf.evaluator.wakeup_lease <= conf.notifier.timeout:
        raise exception.ConfigurationError(
            where='[evaluator] wakeup_lease',
            reason='must be more than [notifier] timeout')
    return Committer(
        engine.process, dead_letters, stopping=stopping, source=source,
        retry_max=conf.evaluator.retry_max,
        max_event_age=conf.evaluator.max_event_age)


class Committer:
    """Drives the engine."""

    def __init__(self, process: Callable[[list[event_mod.Event]], None],
                 dead_letters: DeadLetters, *, stopping: threading.Event,
                 retry_max: float, max_event_age: float,
                 source: str) -> None:
        self._process = process
        self._dead_letters = dead_letters
        self._stopping = stopping
        self._retry_max = retry_max
        self._max_age = datetime.timedelta(seconds=max_event_age)
        self._source = source

    def commit(self, items: list[Item]) -> None:
        """Make the effects of all items durable, then acknowledge them."""
        events = [event for item in items for event in item.events]
        metrics.EVENTS.labels(source=self._source).inc(len(events))
        metrics.BATCH.labels(of='events').observe(len(events))
        error: BaseException | None = None
        try:
            self._apply(self._fresh(events))
        except Abandoned as exc:
            error = exc
        for item in items:
            item.done(error)

    def _fresh(self, events: list[event_mod.Event]) -> list[event_mod.Event]:
        """Put aside what is older than the ids that tell repetitions."""
        limit = datetime.datetime.now(datetime.timezone.utc) - self._max_age
        fresh = []
        for event in events:
            if event.generated >= limit:
                fresh.append(event)
            else:
                self.put_aside(event.message_id, 'older than [evaluator] '
                               'max_event_age', [event.to_wire()])
        return fresh

    def _apply(self, events: list[event_mod.Event]) -> None:
        if not events:
            return
        try:
            return self._retrying('commit', lambda: self._process(events))
        except Abandoned:
            raise
        except Exception as exc:
            if len(events) == 1:
                return self._put_aside_event(events[0], exc)
        # One of them is the culprit; halving finds it.
        middle = len(events) // 2
        self._apply(events[:middle])
        self._apply(events[middle:])

    def _put_aside_event(self, event: event_mod.Event,
                         exc: Exception) -> None:
        LOG.warning('Event %s can not be evaluated, put aside: %s',
                    event.message_id, exc, exc_info=True)
        self.put_aside(event.message_id, '%s: %s' % (
            type(exc).__name__, exc), [event.to_wire()])

    def put_aside(self, message_id: str, reason: str, body: Any) -> None:
        """Store a dead letter, however long that takes.

        :raises Abandoned: the service ends before
        """
        metrics.MALFORMED.labels(source=self._source).inc()

        def put() -> None:
            try:
                self._dead_letters.put(
                    redact.text(reason), message_id, self._source,
                    redact.tree(body))
            except exception.PublishFailed as exc:
                raise _Transient(str(exc)) from exc

        self._retrying('dead letter', put)

    def _retrying(self, effect: str, work: Callable[[], None]) -> None:
        pause = RETRY_FIRST
        while True:
            try:
                return work()
            except Exception as exc:
                if not (isinstance(exc, _Transient)
                        or db_api.is_transient(exc)):
                    raise
                metrics.RETRIES.labels(effect=effect).inc()
                level = logging.DEBUG if pause < 1 else logging.WARNING
                LOG.log(level, 'The %s failed, next attempt in %.1f s: %s',
                        effect, pause, ' '.join(str(exc).split()))
            if self._stopping.wait(pause):
                raise Abandoned()
            pause = min(pause * 2, self._retry_max)


class _Transient(Exception):
    """May succeed later."""
