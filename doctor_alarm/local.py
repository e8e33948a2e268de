# SPDX-License-Identifier: Apache-2.0
"""What stands for the bus in the standalone service: calls, and a table.

An event is accepted when the evaluator has committed it and what follows from
it, and what nova is to be told stands in a table, until it is done.
"""
from __future__ import annotations

from collections.abc import Callable
import logging
import threading
from typing import Any

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm.evaluator import committer
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import stage
from doctor_alarm.inspector import worker
from doctor_alarm import messaging
from doctor_alarm.objects import dead_letter
from doctor_alarm.objects import work
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

#: Seconds that a request waits for the commit.
COMMIT_TIMEOUT = 30.0
#: Rows that are forgotten together.
ROWS = 500
#: Seconds that a SIGTERM waits for outcomes.
DRAIN = 20.0


class LocalEvents:
    """Accepts events by having them committed, with what follows.

    :param todo: takes what nova is to be told of it
    """

    def __init__(self, commit: Callable[[list[event_mod.Event]], None],
                 inspector: stage.Stage,
                 letters: dead_letter.TableDeadLetters,
                 todo: LocalWork | None) -> None:
        self._commit = commit
        self._inspector = inspector
        self._letters = letters
        self._todo = todo

    def accept(self, events: list[event_mod.Event]) -> None:
        """Return when the effects of the events are durable.

        :raises PublishFailed: they are not, as far as can be told
        """
        derived: list[event_mod.Event] = []
        whole = []
        for event in events:
            # What follows from an event stands right behind it.
            found = self._inspect(event)
            whole += [event, *found]
            derived += found
        self._commit(whole)
        if self._todo is not None:
            # Those who own something hear of it first.
            self._todo.take(derived)

    def _inspect(self, event: event_mod.Event) -> list[event_mod.Event]:
        try:
            return self._inspector.inspect(event)
        except Exception as exc:
            # Not foreseen: this event is at fault, not the others.
            LOG.exception('Event %s broke the inspector', event.message_id)
            self._letters.put(
                'broke the inspector: %s' % type(exc).__name__,
                event.message_id, 'standalone',
                {'message_id': event.message_id,
                 'payload': [event.to_wire()]})
            return []


def commit(batcher: messaging.Batcher,
           events: list[event_mod.Event]) -> None:
    """Have the evaluator commit events; return when that is durable.

    :raises PublishFailed: it is not, as far as can be told
    """
    done = threading.Event()
    errors: list[BaseException] = []

    def finished(error: BaseException | None) -> None:
        if error is not None:
            errors.append(error)
        done.set()

    batcher.submit(committer.Item(events, finished))
    if not done.wait(COMMIT_TIMEOUT) or errors:
        raise exception.PublishFailed(
            topic='the evaluator', reason=str(
                errors[0] if errors else 'the database does not answer'))


class LocalWork:
    """Has nova and neutron told what a table keeps.

    :raises ConfigurationError: the options of [inspector] do not fit together
    """

    def __init__(self, conf: cfg.ConfigOpts, db: db_api.Database,
                 publish: Callable[[list[event_mod.Event]], None],
                 stopping: threading.Event) -> None:
        self._db = db
        self._stopping = stopping
        self._lock = threading.Lock()
        self._worker = worker.Worker(
            conf, cloud.Cloud(conf),
            lambda events: messaging.insist(
                lambda: publish(events), 'Telling outcomes', stopping),
            stopping)
        self._forget = messaging.Batcher('work done', self._remove, ROWS)

    def start(self) -> None:
        """Go on with what was left."""
        self._worker.start()
        self._forget.start()
        with self._lock:
            for each in work.read(self._db):
                self._submit(each)

    def stop(self) -> None:
        """Finish the calls under way; the table keeps the rest."""
        self._worker.stop(DRAIN)
        self._forget.stop(DRAIN)

    def take(self, events: list[event_mod.Event]) -> None:
        """Keep what is to be done because of events, then have it done.

        :raises PublishFailed: it could not be kept
        """
        docs = [event.to_wire() for event in worker.concerning(events)]
        if not docs:
            return
        try:
            # Nobody may get in between: the order counts.
            with self._lock:
                for some in messaging.chunks(docs):
                    self._submit(work.add(self._db, some))
        except Exception as exc:
            raise exception.PublishFailed(
                topic='the table of work', reason=redact.text(
                    messaging.reason_of(exc))) from exc

    def _submit(self, found: work.Work) -> None:
        self._worker.submit(_Row(
            {'payload': found.docs}, lambda: self._forget.submit(found.id)))

    def _remove(self, ids: list[int]) -> None:
        messaging.insist(lambda: work.remove(self._db, ids),
                         'Forgetting what is done', self._stopping)


class _Row:
    """A row of the table in the form of a message."""

    def __init__(self, message: dict[str, Any],
                 acknowledge: Callable[[], None]) -> None:
        self.message = message
        self.acknowledge = acknowledge
