# SPDX-License-Identifier: Apache-2.0
"""The evaluator without its listeners: commits events, sends wake-ups."""
from __future__ import annotations

from collections.abc import Callable
import logging
import threading
import time
from typing import Any

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm.db import schema
from doctor_alarm.evaluator import behind
from doctor_alarm.evaluator import committer as committer_mod
from doctor_alarm.evaluator import engine
from doctor_alarm.evaluator import timers
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.objects import announcement
from doctor_alarm.objects import outbox
from doctor_alarm.objects import wakeup
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

PUBLISHER_ID = 'doctor_alarm.evaluator'

#: Seconds without a wake-up over the broker after one that nobody listened to,
#: and that one may take before others do not wait behind it.
SILENCE = 1.0
#: Wake-ups that wait to be sent, and those of them that enclose what they are
#: about; more would fill the memory while the broker hangs.
QUEUED = 200
ENCLOSING = 20
#: Seconds that a stop waits for one who looks at the clock.
TIMERS_LIMIT = 2.0


class Stage:
    """Engine and committer on the configured database and broker.

    :param busy: whether more events wait to be committed; while none do,
        nothing is faster than to send a wake-up at once
    :raises ConfigurationError: no database, or not with this schema
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 letters: committer_mod.DeadLetters, *,
                 stopping: threading.Event, source: str,
                 busy: Callable[[], bool] = lambda: True,
                 pass_on: Callable[[int, int], None] | None = None) -> None:
        """Connect to nothing yet.

        :param busy: whether the committer has more to do
        :param pass_on: see ``timers.Timers``; ``None``: waits end at once
        """
        self._busy = busy
        self._db = db_api.Database(conf)
        schema.check(self._db)
        bus, topic = (
            messaging.get_hint_transport(conf), conf.notifier.wakeup_topic)
        self._neighbours = messaging.Neighbours(
            messaging.name_of(bus, topic))
        self._sender = Hints(messaging.HintPublisher(
            bus, topic, ttl=conf.evaluator.wakeup_lease),
            self._neighbours, self._db)
        self._hints = messaging.Batcher('hints', self._sender.send, limit=10)
        self._engine = engine.Engine(
            self._db, self._wake, conf.evaluator.wakeup_lease,
            announcement.teller(conf, PUBLISHER_ID))
        self.committer = committer_mod.make(
            conf, self._engine, letters, stopping=stopping, source=source,
            database_answers=self._db.answers)
        self.behind = behind.Behind(self._db)
        self._stopping = stopping
        self._timers = timers.Timers(
            self._db, pass_on or self._end_waits)

    def start(self) -> None:
        """Start to send wake-ups."""
        self._hints.start()

    def _wake(self, hint: dict[str, Any]) -> None:
        waiting = self._hints.waiting
        if not waiting and not self._busy() and self._sender.at_once(hint):
            return
        if waiting >= QUEUED or self._sender.hangs:
            self._sender.past_the_broker(hint)
        else:
            self._hints.submit(
                hint if waiting < ENCLOSING else wakeup.plain(hint))

    def watch(self) -> None:
        """Notice from now on that a wait for an event has ended."""
        self.behind.start()
        self._timers.start()

    def now(self) -> int:
        """Return the time of the database, microseconds."""
        return self._db.now()

    def end_waits(self, until: int) -> bool:
        """End a transaction of waits; return whether more have ended.

        :raises Abandoned: the service ends before
        """
        return self.committer.end(self._engine, until)

    def _end_waits(self, _first: int, until: int) -> None:
        asked = self.now()
        while self.behind.is_this(asked) or self.behind.is_another(asked):
            if self._stopping.wait(behind.USUAL):
                return
        while self.end_waits(until):
            pass

    def stop(self, timeout: float) -> None:
        """Send the last wake-ups, disconnect from the database."""
        self._timers.stop(TIMERS_LIMIT)
        self.behind.stop(TIMERS_LIMIT)
        self._hints.stop(timeout)
        self._neighbours.close()
        self._db.dispose()


class Hints:
    """Sends wake-ups: to a neighbour, else over the broker.

    Where none can be sent the sweep gets the lanes.
    """

    def __init__(self, publisher: messaging.HintPublisher,
                 neighbours: messaging.Neighbours,
                 db: db_api.Database) -> None:
        self._publisher = publisher
        self._neighbours = neighbours
        self._db = db
        self._silent_until = 0.0
        self._since: float | None = None
        self._works = False

    @property
    def hangs(self) -> bool:
        """Whether others would wait for a broker that does not answer."""
        since = self._since
        return since is not None and time.monotonic() - since > SILENCE

    def send(self, hints: list[dict[str, Any]]) -> None:
        """Send a batch of wake-ups; what goes wrong is no fault of theirs."""
        for hint in hints:
            if not self._neighbours.tell(hint):
                self._publish(hint)

    def at_once(self, hint: dict[str, Any]) -> bool:
        """Send a wake-up if that takes no time; whether it does not wait."""
        if self._neighbours.tell(hint):
            return True
        if self._works:
            self._publish(hint)
            return True
        return False    # to connect to the broker may take seconds

    def past_the_broker(self, hint: dict[str, Any]) -> None:
        """Have a neighbour, or the sweep, look after a wake-up."""
        if not self._neighbours.tell(hint):
            self._hand_over(hint)

    def _publish(self, hint: dict[str, Any]) -> None:
        began = time.monotonic()
        if began < self._silent_until:
            self._hand_over(hint)
            return
        self._works, self._since = False, began
        try:
            self._publisher.publish(hint)
        except exception.PublishInDoubt as exc:
            # A notifier that has got it works on it: it must not get company
            # before its lease is over.
            LOG.debug('A wake-up may be lost: %s', exc)
            self._be_silent(began, 0)
        except exception.PublishFailed as exc:
            LOG.debug('No notifier listens: %s', exc)
            self._be_silent(began, SILENCE)
            self._hand_over(hint)
        else:
            self._works = True
        finally:
            self._since = None

    def _be_silent(self, began: float, seconds: float) -> None:
        """Leave the broker alone, for as long as it took if it hangs."""
        now = time.monotonic()
        took = now - began
        self._silent_until = now + max(
            seconds, took if took >= SILENCE else 0)

    def _hand_over(self, hint: dict[str, Any]) -> None:
        try:
            with self._db.writer() as conn:
                outbox.hand_over(conn, self._db.dialect, hint['lanes'],
                                 self._db.now())
        except Exception as exc:
            # The events are committed: this must not look like their fault.
            level = (logging.DEBUG if db_api.is_transient(exc)
                     else logging.ERROR)
            LOG.log(level, 'Lanes wait for the end of their lease: %s',
                    redact.text(str(exc)))
