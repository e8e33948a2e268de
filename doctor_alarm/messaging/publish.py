# SPDX-License-Identifier: Apache-2.0
"""Strict publishing: whoever sends knows whether it arrived."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import json
import queue
import threading
import time
from typing import Any
import uuid

import oslo_messaging
from oslo_utils import timeutils

from doctor_alarm import exception
from doctor_alarm.messaging import transport as bus


#: Sends with a deadline that are under way at once: half the threads of the
#: API by default, so that a broker which hangs leaves it the others.
CROWD = 8
#: Seconds that a send with a deadline waits for its turn.
TURN = 1.0


class Publisher:
    """Sends messages to one topic and knows whether they arrived.

    ``oslo_messaging.Notifier`` swallows what goes wrong and logs the payload;
    this does neither.

    :param deadline: seconds that a caller waits at most, whatever the broker
        does; default: until all attempts failed, a minute and more
    """

    def __init__(self, transport: oslo_messaging.Transport, topic: str,
                 publisher_id: str, priority: str = 'sample',
                 exchange: str = bus.EXCHANGE,
                 deadline: float | None = None) -> None:
        self._transport = transport
        self._topic = topic
        self._exchange = exchange
        self._publisher_id = publisher_id
        self._priority = priority
        self._run = _run if deadline is None else _Bounded(deadline).run

    def publish(self, event_type: str, payload: Any) -> None:
        """Send one message; return when the broker confirmed it.

        :raises PublishFailed: the caller still has the message; after a
            deadline it may arrive nevertheless
        """
        target = oslo_messaging.Target(
            exchange=self._exchange,
            topic='%s.%s' % (self._topic, self._priority))
        message = {
            'message_id': str(uuid.uuid4()),
            'publisher_id': self._publisher_id,
            'event_type': event_type,
            'priority': self._priority.upper(),
            'payload': payload,
            'timestamp': str(timeutils.utcnow()),
        }
        try:
            self._run(lambda: self._transport._send_notification(
                target, {}, message, version=2.0, retry=bus.RETRIES))
        except Exception as exc:
            raise exception.PublishFailed(
                topic=self._topic, reason=bus.reason_of(exc)) from exc


def _run(work: Callable[[], object]) -> None:
    work()


class _Bounded:
    """Runs work in threads of its own and leaves them alone when late.

    What oslo.messaging, kombu and py-amqp wait for, one after the other, has
    no common bound.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # Attempts that were given up still go on: that there are few of them
        # bounds the connections and the memory.
        self._places = threading.Semaphore(CROWD)

    def run(self, work: Callable[[], object]) -> None:
        """Run some work; raises what it raises, or that it is late."""
        until = time.monotonic() + self._seconds
        if not self._places.acquire(timeout=min(TURN, self._seconds)):
            raise TimeoutError('%d others wait for it' % CROWD)
        results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(work, results),
                         name='publish', daemon=True).start()
        try:
            error = results.get(timeout=max(0, until - time.monotonic()))
        except queue.Empty:
            raise self._late() from None
        if error is not None:
            raise error

    def _work(self, work: Callable[[], object],
              results: queue.SimpleQueue[BaseException | None]) -> None:
        try:
            work()
        except BaseException as exc:
            results.put(exc)
        else:
            results.put(None)
        finally:
            self._places.release()

    def _late(self) -> TimeoutError:
        return TimeoutError('no confirmation within %g s' % self._seconds)


class HintPublisher:
    """Sends wake-ups: to whoever listens now, else to nobody."""

    def __init__(self, transport: oslo_messaging.Transport, topic: str,
                 ttl: int) -> None:
        """Connect to nothing yet.

        :param ttl: seconds after which the broker forgets a wake-up
        """
        self._transport = transport
        self._topic = topic
        self._ttl = ttl

    def publish(self, hint: dict[str, Any]) -> None:
        """Send one wake-up, once.

        :raises PublishFailed: nobody listens
        :raises PublishInDoubt: somebody may have got it
        """
        target = oslo_messaging.Target(
            exchange=bus.HINT_EXCHANGE, topic='%s.sample' % self._topic)
        message = {'event_type': 'wake', 'priority': 'SAMPLE',
                   'publisher_id': bus.EXCHANGE, 'payload': hint,
                   'message_id': str(uuid.uuid4())}
        try:
            # A notification would create the queue where nobody listens, and
            # fill it; a plain message goes to consumers that are there.
            self._transport._driver.send(
                target, {}, message, timeout=self._ttl, retry=0,
                transport_options=bus.ROUTED)
        except Exception as exc:
            kind = (exception.PublishInDoubt if bus.in_doubt(exc)
                    else exception.PublishFailed)
            raise kind(
                topic=self._topic, reason=bus.reason_of(exc)) from exc


def chunks(docs: Iterable[Any], count: int = 100,
           size: int = bus.MESSAGE_SIZE) -> Iterator[list[Any]]:
    """Group payloads into lists of at most ``count`` and ``size`` bytes."""
    group: list[Any] = []
    weight = 0
    for doc in docs:
        length = len(json.dumps(doc, default=str))
        if group and (len(group) >= count or weight + length > size):
            yield group
            group, weight = [], 0
        group.append(doc)
        weight += length
    if group:
        yield group
