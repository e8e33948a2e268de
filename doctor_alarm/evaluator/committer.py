# SPDX-License-Identifier: Apache-2.0
"""Groups events into transactions; retries what may pass, puts aside the rest.

An item is acknowledged when its effect is durable: committed, or put aside as
a dead letter. Until then it is retried here; nothing is given back to the
broker but by the end of the process.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import datetime
import logging
import threading
from typing import Any
from typing import Protocol
from typing import TypeVar

from oslo_config import cfg
from oslo_db import exception as db_exc

from doctor_alarm.db import api as db_api
from doctor_alarm.evaluator import subject
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import metrics
from doctor_alarm.objects import wait
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

RETRY_FIRST = 0.05
#: Failures in a row after which what is to be stored may be at fault.
SUSPICIOUS = 10
#: Seconds until a wait is tried again that broke the transaction.
POSTPONED = 60


class _Named(Protocol):
    @property
    def message_id(self) -> str:
        """How it is named in the log."""


_R = TypeVar('_R')
_T = TypeVar('_T', bound=_Named)


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


class Waits(Protocol):
    """Waits for events that may not come; all of it is safe to repeat."""

    def ended(self, until: int) -> list[wait.Wait]:
        """Return some that ended until a time of the database."""

    def end(self, waits: list[wait.Wait]) -> None:
        """Make the effects of their end durable, or raise."""

    def postpone(self, waits: list[wait.Wait], seconds: float) -> None:
        """Let them end later, or raise."""


def make(conf: cfg.ConfigOpts, engine: Engine, dead_letters: DeadLetters, *,
         stopping: threading.Event, source: str,
         database_answers: Callable[[], bool]) -> Committer:
    """Return a committer with the options of the configuration.

    :param source: queue that dead letters go back to when they are replayed
    :param database_answers: tells a database that is away from one that does
        not take what it is given
    :raises ConfigurationError: the options contradict each other
    """
    check(conf)
    return Committer(
        engine.process, dead_letters, stopping=stopping, source=source,
        options=conf.evaluator, database_answers=database_answers)


def check(conf: cfg.ConfigOpts) -> None:
    """Look for options that contradict each other.

    :raises ConfigurationError: names them
    """
    if conf.evaluator.wakeup_lease <= conf.notifier.timeout:
        raise exception.ConfigurationError(
            where='[evaluator] wakeup_lease',
            reason='must be more than [notifier] timeout')


class Committer:
    """Drives the engine."""

    def __init__(self, process: Callable[[list[event_mod.Event]], None],
                 dead_letters: DeadLetters, *, stopping: threading.Event,
                 source: str, options: Any,
                 database_answers: Callable[[], bool]) -> None:
        self._process = process
        self._dead_letters = dead_letters
        self._stopping = stopping
        self._source = source
        self._retry_max = options.retry_max
        self._batch_size = options.batch_size
        self._max_age = datetime.timedelta(seconds=options.max_event_age)
        self._database_answers = database_answers

    def commit(self, items: list[Item]) -> None:
        """Make the effects of all items durable, then acknowledge them."""
        events = [event for item in items for event in item.events]
        metrics.EVENTS.labels(source=self._source).inc(len(events))
        metrics.BATCH.labels(of='events').observe(len(events))
        error: BaseException | None = None
        try:
            fresh = self._fresh(events)
            for start in range(0, len(fresh), self._batch_size):
                self._apply(fresh[start:start + self._batch_size])
        except Abandoned as exc:
            error = exc
        for item in items:
            item.done(error)

    def _fresh(self, events: list[event_mod.Event]) -> list[event_mod.Event]:
        """Put aside what is older than the ids that tell repetitions."""
        limit = datetime.datetime.now(datetime.timezone.utc) - self._max_age
        old = [event for event in events if event.generated < limit]
        for start in range(0, len(old), self._batch_size):
            some = old[start:start + self._batch_size]
            LOG.warning('%s: older than [evaluator] max_event_age, put aside',
                        subject.of([event.message_id for event in some]))
            self.put_aside(
                some[0].message_id, '%d events are older than [evaluator] '
                'max_event_age' % len(some), [e.to_wire() for e in some])
        return [event for event in events if event.generated >= limit]

    def end(self, waits: Waits, until: int) -> bool:
        """End waits for events, a transaction of them; whether more have.

        One that can not be ended is tried again later: it must not hurt the
        others, and it is not lost.

        :param until: time of the database
        :raises Abandoned: the service ends before
        """
        some = self._retrying('commit', lambda: waits.ended(until), [])
        self._divided('commit', waits.end, some, lambda over, exc:
                      self._postpone(waits, over, exc))
        return len(some) >= wait.MANY

    def _postpone(self, waits: Waits, over: wait.Wait,
                  exc: Exception) -> None:
        LOG.warning('The wait of alarm %s can not be ended, next attempt in '
                    '%d s: %s', over.alarm_id, POSTPONED, redact.text(
                        '%s: %s' % (type(exc).__name__, exc)))
        self._retrying('commit', lambda: waits.postpone([over], POSTPONED),
                       [])

    def _apply(self, events: list[event_mod.Event]) -> None:
        self._divided('commit', self._process, events, self._put_aside_event)

    def _divided(self, effect: str, work: Callable[[list[_T]], None],
                 some: list[_T], put_aside: Callable[[_T, Exception], None],
                 ) -> None:
        """Do the work with all of them; put aside whose fault an error is."""
        if not some:
            return
        try:
            return self._retrying(
                effect, lambda: work(some),
                [one.message_id for one in some])
        except Abandoned:
            raise
        except Exception as exc:
            if len(some) == 1:
                return put_aside(some[0], exc)
        # One of them is the culprit; halving finds it.
        middle = len(some) // 2
        self._divided(effect, work, some[:middle], put_aside)
        self._divided(effect, work, some[middle:], put_aside)

    def _put_aside_event(self, event: event_mod.Event,
                         exc: Exception) -> None:
        reason = redact.text('%s: %s' % (type(exc).__name__, exc))
        LOG.warning('%s can not be evaluated, put aside: %s',
                    subject.of([event.message_id], exc), reason)
        self.put_aside(event.message_id, reason, [event.to_wire()])

    def put_aside(self, message_id: str, reason: str, payload: list[Any],
                  source: str = '') -> None:
        """Store events as a dead letter, however long that takes.

        :param source: default: the queue of our own hop
        :raises Abandoned: the service ends before
        """
        metrics.MALFORMED.labels(source=self._source).inc()
        body = {'message_id': message_id, 'event_type': 'event',
                'publisher_id': 'doctor_alarm.evaluator',
                'priority': 'SAMPLE', 'payload': redact.tree(payload)}

        def put() -> None:
            try:
                self._dead_letters.put(
                    redact.text(reason), message_id, source or self._source,
                    body)
            except exception.PublishFailed as exc:
                raise _Transient(str(exc)) from exc

        self._retrying('dead letter', put, [message_id])

    def _retrying(self, effect: str, work: Callable[[], _R],
                  message_ids: Sequence[str]) -> _R:
        pause, failures = RETRY_FIRST, 0
        while True:
            try:
                return work()
            except Exception as exc:
                if not (isinstance(exc, _Transient)
                        or db_api.is_transient(exc)):
                    raise
                failures += 1
                if (not failures % SUSPICIOUS
                        and isinstance(exc, db_exc.DBConnectionError)
                        and self._database_answers()):
                    # It answers, but cuts the connection at this: so does
                    # MariaDB when a statement is too large for it.
                    raise
                metrics.RETRIES.labels(effect=effect).inc()
                level = logging.DEBUG if pause < 1 else logging.WARNING
                LOG.log(level, 'The %s failed, next attempt in %.1f s, %s: %s',
                        effect, pause, subject.of(message_ids, exc),
                        redact.text(' '.join(str(exc).split())))
            if self._stopping.wait(pause):
                raise Abandoned()
            pause = min(pause * 2, self._retry_max)


class _Transient(Exception):
    """May succeed later."""
