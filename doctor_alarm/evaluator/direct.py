# SPDX-License-Identifier: Apache-2.0
"""``direct://``: an agent's publisher that evaluates in its own process.

It saves the hop over the broker. The price: the agent needs the database, and
evaluators can not be added where they are the bottleneck. The agent loads it
by its entry point and knows nothing of it.
"""
from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from oslo_config import cfg

from doctor_alarm import dead_letter
from doctor_alarm.evaluator import committer
from doctor_alarm.evaluator import stage
from doctor_alarm import exception
from doctor_alarm import messaging

if TYPE_CHECKING:
    from doctor_alarm import event


class DirectPublisher:
    """Commits events; the contract is that of the agent's publishers."""

    #: The agent acknowledges when the events are committed.
    feeds_alarms = True

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        if url.rstrip('/') not in ('direct:', 'direct'):
            raise exception.ConfigurationError(
                where='publisher', reason='direct:// takes no options')
        self._conf = conf
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stage: stage.Stage | None = None

    def start(self) -> None:
        """Look after waits for events from now on.

        :raises ConfigurationError: no database, or another schema
        """
        self._started()

    def publish(self, events: list[event.Event]) -> None:
        """Return when the effects of the events are committed.

        :raises PublishFailed: they are not
        """
        errors: list[BaseException | None] = []
        at_work, key = self._started(), object()
        at_work.behind.held.add(key)
        try:
            at_work.committer.commit([committer.Item(events, errors.append)])
        finally:
            at_work.behind.held.remove(key)
        if errors[0] is not None:
            raise exception.PublishFailed(
                topic='the evaluator', reason=str(errors[0]))

    def _started(self) -> stage.Stage:
        # Made when the agent has forked its workers.
        with self._lock:
            if self._stage is None:
                self._stage = stage.Stage(
                    self._conf, dead_letter.QueueDeadLetters(
                        messaging.get_own_transport(self._conf)),
                    stopping=self._stopping, source='direct')
                self._stage.start()
                self._stage.watch()
            return self._stage
