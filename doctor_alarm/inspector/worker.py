# SPDX-License-Identifier: Apache-2.0
"""Tells nova and neutron of faults: after the owners, and however long it
takes.

The work is in the events that the inspector derived, in a queue or a table of
its own. A message is acknowledged when all that it asks for is done, or given
up, and the outcomes are told. A killed worker loses nothing: what it does
again changes nothing.

The newest fault of a host or server counts, whatever the order in which calls
succeed. One worker at a time has all messages; it asks nova for one thing of a
host or server at a time; and it acknowledges a message after those before it
of which it is news. So a worker that takes over never gets the older one
alone.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import contextlib
import logging
import threading
from typing import Any

from oslo_config import cfg

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import action as action_mod
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import ledger
from doctor_alarm.inspector import metrics
from doctor_alarm.inspector import waiting
from doctor_alarm import messaging
from doctor_alarm import metrics as process_metrics
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

#: Outcomes that are told together.
BATCH = 50
#: Locks that all things to do share: two of the same thing have the same.
_LOCKS = 1024


class Worker:
    """Carries actions out, several at a time.

    :param publish: tells outcomes; false: the service ends before
    """

    def __init__(self, conf: cfg.ConfigOpts, to: cloud.Cloud,
                 publish: Callable[[list[event_mod.Event]], bool],
                 stopping: threading.Event) -> None:
        self._options = conf.inspector
        self._cloud = to
        self._publish = publish
        self._stopping = stopping
        self._ledger = ledger.Ledger()
        self._turns = [threading.Lock() for _ in range(_LOCKS)]
        self._pool = futures.ThreadPoolExecutor(
            self._options.action_concurrency, 'action')
        self._waiting: waiting.Waiting[ledger.Attempt] = waiting.Waiting(
            self._begin)
        self._done = messaging.Batcher('outcomes', self._finish, BATCH)

    def start(self) -> None:
        """Start to report."""
        self._done.start()
        self._waiting.start()

    def stop(self, timeout: float) -> None:
        """Finish the calls under way; what is left stays where it is."""
        self._waiting.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._done.stop(timeout)

    def submit(self, incoming: Any) -> None:
        """Take a message; returns at once."""
        entry = self._ledger.enter(incoming, self._options.action_timeout)
        if entry.is_news:
            self._waiting.hurry(self._ledger.superseded)
        for attempt in entry.attempts:
            self._begin(attempt)
        self._ledger.settle(entry.message)

    def _begin(self, attempt: ledger.Attempt) -> None:
        # At the end of the service the message stays where it is.
        with contextlib.suppress(RuntimeError):
            self._pool.submit(self._work, attempt)

    def _work(self, attempt: ledger.Attempt) -> None:
        action = attempt.action
        if attempt.message.lost:
            # Whoever has it now may know better.
            return self._ledger.settle(attempt.message)
        try:
            # That a call for something older is late must not undo this.
            with self._turns[hash(action.subject) % _LOCKS]:
                found = self._outcome(attempt)
        except Exception as exc:
            LOG.exception('%s of %s failed', action.name, action.target)
            found = cloud.Outcome.FAILED, type(exc).__name__
        if found is None:
            return
        outcome, reason = found
        ended_at = event_mod.now_us()
        if outcome.value in fault.IN_EFFECT and action.name in _STAGES:
            process_metrics.FAULT_STAGE.labels(_STAGES[action.name]).observe(
                max(0, ended_at - action.event.transformed_at) / 1e6)
        metrics.ACTIONS.labels(action.name, outcome.value).inc()
        LOG.log(_LEVELS.get(outcome, logging.INFO),
                'Fault %s: %s of %s: %s%s',
                action.event.traits.get('correlation_id'), action.name,
                action.target, outcome.value,
                ' (%s)' % reason if reason else '')
        self._done.submit(
            (attempt, action.outcome(outcome, reason, ended_at)))

    def _outcome(self, attempt: ledger.Attempt,
                 ) -> tuple[cloud.Outcome, str] | None:
        """Return what came of an attempt; None: there may be another."""
        action = attempt.action
        if self._ledger.superseded(attempt):
            return cloud.Outcome.SUPERSEDED, ''
        if action.waits_for_fencing:
            return cloud.Outcome.NOT_FENCED, ''
        try:
            return action.apply(self._cloud), ''
        except Exception as exc:
            # Whatever the libraries make of a nova that is not well
            return self._failed(attempt, exc)

    def _failed(self, attempt: ledger.Attempt, exc: Exception,
                ) -> tuple[cloud.Outcome, str] | None:
        action, final = attempt.action, cloud.is_final(exc)
        reason = redact.text(
            ' '.join((str(exc) or repr(exc)).split())[:300])
        pause = attempt.next_pause(self._options.action_retry_max)
        if (final and not action.repeats_refusals) or attempt.is_last(pause):
            return cloud.Outcome.FAILED, reason
        if not final:
            self._cloud.forget()
        LOG.log(logging.WARNING if attempt.failures == 1 else logging.DEBUG,
                '%s of %s fails, trying on: %s', action.name, action.target,
                reason)
        if not self._stopping.is_set():
            self._waiting.add(attempt, pause)
            if self._ledger.superseded(attempt):    # during the call
                self._waiting.hurry(lambda other: other is attempt)
        return None

    def _finish(self, done: list[tuple[ledger.Attempt, event_mod.Event]],
                ) -> None:
        outcomes = [event for attempt, event in done if not attempt.repair]
        if outcomes and not self._publish(outcomes):
            return
        for attempt, _event in done:
            self._ledger.settle(attempt.message)


def concerning(events: Iterable[event_mod.Event]) -> list[event_mod.Event]:
    """Return the events that a worker has to have."""
    return [event for event in events
            if any(True for _ in action_mod.subjects_of(event))]


#: Action -> stage of a fault.
_STAGES = {fault.FORCE_DOWN: 'marked_down', fault.RESET_STATE: 'set_error'}
_LEVELS = {cloud.Outcome.FAILED: logging.WARNING,
           cloud.Outcome.UNKNOWN: logging.WARNING}
