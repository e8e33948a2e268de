# SPDX-License-Identifier: Apache-2.0
"""The evaluator as a process: listens to events, commits, sends wake-ups."""
from __future__ import annotations

from collections.abc import Callable
import dataclasses
import datetime
import functools
import logging
import threading
from typing import Any

from oslo_config import cfg
import oslo_messaging

from doctor_alarm import dead_letter
from doctor_alarm.evaluator import behind
from doctor_alarm.evaluator import committer as committer_mod
from doctor_alarm.evaluator import stage
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm import metrics
from doctor_alarm import redact
from doctor_alarm import service
from doctor_alarm import signature
from doctor_alarm import timeout

LOG = logging.getLogger(__name__)

#: Seconds that a SIGTERM waits for the batch in work.
DRAIN = 20.0
#: Type of the message behind the events that arrived before waits ended.
ENDED = 'doctor_alarm.ended'
#: Microseconds after which somebody was away who should have noticed.
LATE = 1_000_000
#: Seconds until others that have just started have told that they are behind.
HOLD = 1.0
#: Microseconds that a message may take: behind a queue, others have got parts
#: of it just now, too.
QUEUED = 150_000
#: Seconds between looks whether they have caught up.
CAUGHT_UP = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class _Taken:
    """A message, and whether it was a part of this service that sent it.

    ``asked``: of the end of waits, when it was first looked at.
    """

    incoming: Any
    ours: bool
    asked: int = 0

    @property
    def until(self) -> int | None:
        """The time until which waits have ended, if it says that."""
        message = self.incoming.message
        if not self.ours or message.get('event_type') != ENDED:
            return None
        try:
            return int(message['payload']['until'])
        except (KeyError, TypeError, ValueError):
            return 0

    def pause(self, now: int) -> float:
        """Return seconds until others have told that they are behind."""
        if not self.until:
            return 0
        if self.incoming.message['payload'].get('late'):
            return HOLD
        queued = now - self.until - timeout.GRACE
        return behind.TOLD if queued > QUEUED else 0


class EvaluatorService(service.Service):
    """Events from the bus to the database, wake-ups to the notifiers."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf
        self._servers: list[messaging.BatchServer] = []
        self._batches: messaging.Batcher | None = None
        self._stage: stage.Stage | None = None
        self._publisher: messaging.Publisher | None = None
        self._told = False

    def check(self) -> None:
        """Stop before a fork where the queues have other settings.

        :raises QueueMismatch: says which
        """
        for server in self._listeners(lambda _taken: None):
            server.check()

    def open(self) -> None:
        """Connect to broker and database and start to listen."""
        conf = self._conf
        letters = dead_letter.QueueDeadLetters(
            messaging.get_own_transport(conf))
        self._stage = stage.Stage(
            conf, letters, stopping=self.stopping,
            source=_queue(conf, ours=True), busy=self._is_busy,
            pass_on=self._pass_on)
        self._stage.start()
        batches = messaging.Batcher(
            'committer', functools.partial(self._take, self._stage),
            limit=conf.evaluator.batch_size)
        self._batches = batches
        batches.start()
        letters.declare_when_up(self.stopping)
        self._servers = self._listeners(functools.partial(
            self._submit, batches, self._stage.behind.held))
        for server in self._servers:
            server.start()
        self._stage.watch()
        metrics.serve(conf)
        LOG.info('The evaluator listens')

    def close(self) -> None:
        """Commit what was taken, acknowledge it, disconnect."""
        for server in self._servers:
            server.halt()
        if self._batches is not None:
            self._batches.stop(DRAIN)
        if self._stage is not None:
            self._stage.stop(DRAIN)
        for server in self._servers:
            server.disconnect()

    @staticmethod
    def _submit(batches: messaging.Batcher, held: behind.Held,
                taken: _Taken) -> None:
        held.add(id(taken))
        batches.submit(taken)

    def _is_busy(self) -> bool:
        return self._batches is None or self._batches.waiting > 0

    def _listeners(self, submit: Callable[[_Taken], None],
                   ) -> list[messaging.BatchServer]:
        options = self._conf.evaluator
        servers = [messaging.BatchServer(
            messaging.get_own_transport(self._conf),
            [oslo_messaging.Target(topic=options.event_topic)],
            lambda incoming: submit(_Taken(incoming, ours=True)),
            pool=options.event_pool, priorities=['sample'])]
        if options.ceilometer_topic:
            servers.append(messaging.BatchServer(
                messaging.get_transport(self._conf, options.ceilometer_url),
                [oslo_messaging.Target(
                    topic=options.ceilometer_topic,
                    exchange=options.ceilometer_exchange)],
                lambda incoming: submit(_Taken(incoming, ours=False)),
                pool=options.pool, priorities=['sample']))
        return servers

    def _pass_on(self, first: int, until: int) -> None:
        """Queue the end of waits behind the events that arrived before.

        :raises PublishFailed: the broker is away, hence events may be
        """
        if self._publisher is None:
            self._publisher = messaging.Publisher(
                messaging.get_own_transport(self._conf),
                self._conf.evaluator.event_topic, stage.PUBLISHER_ID)
        self._publisher.publish(
            ENDED, {'until': until, 'late': until - first > LATE})

    def _take(self, at_work: stage.Stage, batch: list[_Taken]) -> None:
        try:
            self._commit(at_work.committer, [
                taken for taken in batch if taken.until is None])
        finally:
            for taken in batch:
                at_work.behind.held.remove(id(taken))
        over = [taken for taken in batch if taken.until is not None
                and not self._is_held(at_work, taken)]
        if over:
            self._end_waits(at_work, over)

    def _is_held(self, at_work: stage.Stage, taken: _Taken) -> bool:
        """Come back later to waits that events in other hands may end."""
        pause = 0.0
        try:
            now = at_work.now()
            if not taken.asked:
                taken = dataclasses.replace(taken, asked=now)
                pause = taken.pause(now)
            if not pause and at_work.behind.is_another(taken.asked):
                pause = CAUGHT_UP
        except Exception as exc:
            # Without the database they could not be ended either.
            LOG.debug('Waits for events can not be ended now: %s',
                      redact.text(str(exc)))
            pause = HOLD
        if pause and self._batches is not None:
            timer = threading.Timer(pause, self._batches.submit, [taken])
            timer.daemon = True
            timer.start()
        return pause > 0

    def _end_waits(self, at_work: stage.Stage, over: list[_Taken]) -> None:
        """End waits; between two transactions of them events have a turn."""
        last = max(over, key=lambda taken: taken.until or 0)
        more = False
        try:
            more = at_work.end_waits(last.until or 0)
        except committer_mod.Abandoned:
            return
        except Exception as exc:
            # They are still there: somebody will notice again.
            LOG.warning('Waits for events could not be ended: %s', redact.text(
                '%s: %s' % (type(exc).__name__, exc)))
        for taken in over:
            if not (more and taken is last):
                taken.incoming.acknowledge()
        if more and self._batches is not None:
            self._batches.submit(last)

    def _commit(self, committer: committer_mod.Committer,
                batch: list[_Taken]) -> None:
        items = []
        for taken in batch:
            try:
                events = self._decode(committer, taken)
            except committer_mod.Abandoned:
                continue
            items.append(committer_mod.Item(
                events, _acknowledge(taken.incoming)))
        committer.commit(items)

    def _decode(self, committer: committer_mod.Committer,
                taken: _Taken) -> list[event_mod.Event]:
        """Return the events of a message; those malformed are put aside."""
        message = taken.incoming.message
        received = datetime.datetime.now(datetime.timezone.utc)
        publisher_id = str(message.get('publisher_id') or '')
        payload = message.get('payload')
        events = []
        for doc in payload if isinstance(payload, list) else [payload]:
            try:
                self._check_signature(taken, doc)
                events.append(event_mod.Event.from_wire(
                    doc, received=received, publisher_id=publisher_id,
                    clean=taken.ours))
            except Exception as exc:
                # InvalidEvent says what is wrong; whatever else a message
                # may cause must not hurt the others either.
                self._put_aside(committer, taken, doc, exc)
        return events

    def _check_signature(self, taken: _Taken, doc: Any) -> None:
        """Refuse what somebody without the secret put onto Ceilometer's topic.

        :raises InvalidSignature: it has none, or a wrong one
        """
        if not (taken.ours or signature.is_valid(
                doc, self._conf.publisher.telemetry_secret)):
            raise exception.InvalidSignature()

    def _put_aside(self, committer: committer_mod.Committer, taken: _Taken,
                   doc: Any, exc: Exception) -> None:
        message_id = str(
            (doc.get('message_id') if isinstance(doc, dict) else '')
            or taken.incoming.message.get('message_id') or '')
        message_id = event_mod.plain_text(message_id)[:255]
        reason = redact.text(
            str(exc) if isinstance(exc, exception.InvalidEvent)
            else 'broke the evaluator: %s' % type(exc).__name__)
        LOG.log(self._level(exc), 'Malformed event in message %s put aside: '
                '%s', message_id, reason)
        committer.put_aside(message_id, reason, [doc],
                            _queue(self._conf, taken.ours))

    def _level(self, exc: Exception) -> int:
        """Warn of the first wrong signature: with a wrong secret all are."""
        if not isinstance(exc, exception.InvalidSignature):
            return logging.WARNING
        told, self._told = self._told, True
        return logging.DEBUG if told else logging.WARNING


def _queue(conf: cfg.ConfigOpts, ours: bool) -> str:
    """Return the queue that a message came from, and is replayed to."""
    options = conf.evaluator
    if ours:
        return options.event_pool or '%s.sample' % options.event_topic
    return options.pool or '%s.sample' % options.ceilometer_topic


def _acknowledge(incoming: Any) -> Callable[[BaseException | None], None]:
    def done(error: BaseException | None) -> None:
        if error is None:
            incoming.acknowledge()
    return done
