# SPDX-License-Identifier: Apache-2.0
"""Tells nova and neutron of faults: after the owners, and however long it
takes.

The work is in the events that the inspector published, in a queue of its own.
A message is acknowledged when all that it asks for is done, or given up, and
the outcomes are published. A killed worker loses nothing: what it does again
changes nothing.
"""
from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import dataclasses
import datetime
import logging
import threading
import time
from typing import Any

from oslo_config import cfg

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.inspector import action as action_mod
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import metrics
from doctor_alarm import messaging
from doctor_alarm import metrics as process_metrics
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
#: Hosts and servers whose latest fault is remembered.
KEPT = 100_000


@dataclasses.dataclass(slots=True)
class _Message:
    """A message, and what is still to be done for it."""

    incoming: Any
    deadline: float
    left: int
    outcomes: list[event_mod.Event] = dataclasses.field(default_factory=list)


class Worker:
    """Carries actions out, several at a time.

    :param publish: publishes outcomes; false: the service ends before
    """

    def __init__(self, conf: cfg.ConfigOpts, to: cloud.Cloud,
                 publish: Callable[[list[event_mod.Event]], bool],
                 stopping: threading.Event) -> None:
        self._options = conf.inspector
        self._cloud = to
        self._publish = publish
        self._stopping = stopping
        self._lock = threading.Lock()
        self._latest: dict[str, int] = {}
        self._pool = futures.ThreadPoolExecutor(
            self._options.action_concurrency, 'action')
        self._done = messaging.Batcher('outcomes', self._finish, 50)

    def start(self) -> None:
        """Start to report."""
        self._done.start()

    def stop(self, timeout: float) -> None:
        """Finish the calls under way; the broker keeps the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._done.stop(timeout)

    def submit(self, incoming: Any) -> None:
        """Take a message; returns at once."""
        actions = list(_actions_of(incoming.message))
        message = _Message(
            incoming, time.monotonic() + self._options.action_timeout,
            len(actions))
        if not actions:
            incoming.acknowledge()
        for action in actions:
            self._note(action)
            try:
                self._pool.submit(self._work, message, action)
            except RuntimeError:
                return      # it ends: the broker keeps the message

    def _note(self, action: action_mod.Action) -> None:
        with self._lock:
            if len(self._latest) > KEPT:
                self._latest.clear()
            self._latest[action.target] = max(
                action.event.generated_us, self._latest.get(action.target, 0))

    def _superseded(self, action: action_mod.Action) -> bool:
        with self._lock:
            return self._latest.get(
                action.target, 0) > action.event.generated_us

    def _work(self, message: _Message, action: action_mod.Action) -> None:
        try:
            found = self._outcome(message, action)
        except Exception as exc:
            LOG.exception('%s of %s failed', action.name, action.target)
            found = cloud.Outcome.FAILED, type(exc).__name__
        if found is None:
            return
        outcome, reason = found
        ended_at = event_mod.now_us()
        metrics.ACTIONS.labels(action.name, outcome.value).inc()
        if outcome.value in fault.IN_EFFECT and action.name in _STAGES:
            process_metrics.FAULT_STAGE.labels(_STAGES[action.name]).observe(
                max(0, ended_at - action.event.transformed_at) / 1e6)
        LOG.log(_LEVELS.get(outcome, logging.INFO),
                'Fault %s: %s of %s: %s%s',
                action.event.traits.get('correlation_id'), action.name,
                action.target, outcome.value,
                ' (%s)' % reason if reason else '')
        with self._lock:
            message.outcomes.append(action.outcome(
                outcome, reason, ended_at))
            message.left -= 1
            complete = not message.left
        if complete:
            self._done.submit(message)

    def _outcome(self, message: _Message, action: action_mod.Action,
                 ) -> tuple[cloud.Outcome, str] | None:
        """Return what came of an action; None: the service ends before."""
        pause = FIRST_PAUSE
        while True:
            if self._superseded(action):
                return cloud.Outcome.SUPERSEDED, ''
            if action.waits_for_fencing:
                return cloud.Outcome.NOT_FENCED, ''
            try:
                return action.apply(self._cloud), ''
            except Exception as exc:
                # Whatever the libraries make of a nova that is not well
                reason = redact.text(
                    ' '.join((str(exc) or repr(exc)).split())[:300])
                refused = (cloud.is_final(exc)
                           and not action.repeats_refusals)
                if refused or time.monotonic() + pause > message.deadline:
                    return cloud.Outcome.FAILED, reason
                if not cloud.is_final(exc):
                    self._cloud.forget()
                LOG.log(logging.WARNING if pause == FIRST_PAUSE
                        else logging.DEBUG, '%s of %s fails, trying on: %s',
                        action.name, action.target, reason)
            if self._stopping.wait(pause):
                return None
            pause = min(2 * pause, self._options.action_retry_max)

    def _finish(self, messages: list[_Message]) -> None:
        if not self._publish([event for message in messages
                              for event in message.outcomes]):
            return
        for message in messages:
            message.incoming.acknowledge()


#: Action -> stage of a fault.
_STAGES = {fault.FORCE_DOWN: 'marked_down', fault.RESET_STATE: 'set_error'}
_LEVELS = {cloud.Outcome.FAILED: logging.WARNING,
           cloud.Outcome.UNKNOWN: logging.WARNING}


def _actions_of(message: dict[str, Any]) -> list[action_mod.Action]:
    received = datetime.datetime.now(datetime.timezone.utc)
    payload = message.get('payload')
    found: list[action_mod.Action] = []
    for doc in payload if isinstance(payload, list) else ():
        try:
            event = event_mod.Event.from_wire(
                doc, received=received, clean=True)
        except exception.InvalidEvent:
            continue
        found += action_mod.of(event)
    return found
