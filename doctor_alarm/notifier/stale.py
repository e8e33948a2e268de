# SPDX-License-Identifier: Apache-2.0
"""What is not sent any more, because something newer waits behind it.

Before a delivery has its turn, its lane is looked through if its alarm, or
the operator, says how deliveries age. That is done in a thread of its own, in
parts: it may take a while, and everybody else goes on meanwhile.
"""
from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import functools
import itertools
import json
import logging
import time
from typing import Generic
from typing import TypeVar

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm import metrics
from doctor_alarm.notifier import naming
from doctor_alarm.notifier import threads
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import lane as lane_obj
from doctor_alarm.objects import stale

LOG = logging.getLogger(__name__)

#: Deliveries of one lane that are looked at together.
WINDOW = 10000
#: Deliveries that are dropped in one transaction.
CHUNK = 1000

_ALWAYS = 2 ** 62

Item = TypeVar('Item')


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """How deliveries age; ``max_age``: microseconds, None: without end."""

    max_age: int | None
    latest_only: bool

    def doubts(self, since: int, now: int) -> bool:
        """Whether to look for something newer than what waits since then."""
        return self.latest_only or (
            self.max_age is not None and now - since > self.max_age)

    @property
    def status(self) -> str:
        """What becomes of that for which there is something newer."""
        return (delivery_obj.SUPERSEDED if self.latest_only
                else delivery_obj.EXPIRED)

    def before(self, now: int) -> int:
        """Return the time from which on deliveries are kept."""
        if self.latest_only:
            return _ALWAYS
        return 0 if self.max_age is None else now - self.max_age


class Policies:
    """What alarms say of it, and the operator for those that do not."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._max_age: int | None = conf.notifier.default_max_age or None
        self._latest_only: bool = conf.notifier.default_latest_only
        self._default = self._read('{}')
        self._of = functools.lru_cache(1024)(self._read)

    def of(self, delivery: str) -> Policy | None:
        """Return the policy of a lane; None: everything is sent."""
        return self._default if delivery == '{}' else self._of(delivery)

    def _read(self, delivery: str) -> Policy | None:
        said = json.loads(delivery)
        seconds = said.get('max_age', self._max_age)
        found = Policy(
            None if seconds is None else seconds * 1000000,
            said.get('latest_only', self._latest_only))
        if found.max_age is None and not found.latest_only:
            return None
        return found


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Look(Generic[Item]):
    """A leased lane, and the part of it that is to be looked through."""

    item: Item
    lease: lane_obj.Lease
    low: int
    high: int
    policy: Policy

    def __str__(self) -> str:
        """As it is named in the log."""
        return str(self.item)


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """How many were dropped of a lane whose lease is still ours."""

    dropped: int = 0


def drop(db: db_api.Database, lease: float, looks: Sequence[Look[Item]],
         ) -> list[Looked | None]:
    """Drop what is out of date in parts of lanes; extend their leases.

    :param lease: seconds
    :returns: None for those whose lease is lost
    """
    dropped: dict[str, int] = {}
    lost: set[str] = set()
    tokens = {look.lease.lane_id: look.lease.token for look in looks}
    for parts in _chunks(_parts(db, looks)):
        now = db.now()
        with db.writer() as conn:
            held = {
                lane_id: row for lane_id, row in lane_obj.lock(
                    conn, db.dialect, {p.lane_id for p in parts}).items()
                if row.token == tokens[lane_id]}
            counts = stale.drop(
                conn, db.dialect,
                [part for part in parts if part.lane_id in held], now)
            out = batch.Batch(conn)
            lane_obj.store(out, [
                lane_obj.State(row.id, row.head, now + int(lease * 1e6),
                               row.token, row.attempts)
                for row in held.values()])
            out.run()
        lost.update({part.lane_id for part in parts} - set(held))
        for lane_id, count in counts.items():
            dropped[lane_id] = dropped.get(lane_id, 0) + count
    return [None if look.lease.lane_id in lost
            else Looked(dropped.get(look.lease.lane_id, 0))
            for look in looks]


def _parts(db: db_api.Database, looks: Sequence[Look[Item]],
           ) -> list[stale.Part]:
    now = db.now()
    found = []
    with db.reader() as conn:
        for look in looks:
            kept = stale.last_words(
                conn, db.dialect, look.lease.lane_id, look.low, look.high)
            found.append(stale.Part(
                look.lease.lane_id,
                [n for n in range(look.low, look.high + 1) if n not in kept],
                look.policy.before(now), look.policy.status))
    return [part for part in found if part.sequences]


def _chunks(parts: Sequence[stale.Part]) -> Iterator[list[stale.Part]]:
    """Give the parts in portions of :data:`CHUNK` deliveries at most."""
    portion: list[stale.Part] = []
    room = CHUNK
    for part in parts:
        left = iter(part.sequences)
        while some := list(itertools.islice(left, room)):
            portion.append(dataclasses.replace(part, sequences=some))
            room -= len(some)
            if not room:
                yield portion
                portion, room = [], CHUNK
    if portion:
        yield portion


def count(look: Look[Item], looked: Looked, scheme: str) -> None:
    """Count what was dropped of a lane."""
    metrics.DELIVERIES.labels(scheme, look.policy.status).inc(looked.dropped)
    LOG.debug('Before %s: %d are %s', look, looked.dropped,
              look.policy.status)


def now() -> int:
    """Return the time in microseconds."""
    return time.time_ns() // 1000


class Drops(Generic[Item]):
    """Lanes that are looked through, one group after the other."""

    def __init__(self, drop: Callable[
            [Sequence[Look[Item]]], list[Looked | None]],
            done: Callable[[Look[Item], Looked | None], None]) -> None:
        """Do nothing yet.

        :param drop: is called in a thread
        :param done: is called with what came out, None: the lane is lost
        """
        self._drop = drop
        self._done = done
        self._looks: collections.deque[Look[Item]] = collections.deque()
        self._added = asyncio.Event()
        self._worker = threads.Worker('notifier-drop')
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Lanes that are not looked through yet."""
        return len(self._looks)

    def add(self, look: Look[Item]) -> None:
        """Look a lane through when the others before it are done."""
        self._looks.append(look)
        self._added.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._added.set()

    def clear(self) -> list[Item]:
        """Return the lanes that were not looked through."""
        left = [look.item for look in self._looks]
        self._looks.clear()
        return left

    async def run(self) -> None:
        """Work until told to stop."""
        try:
            while not self._stopping:
                await self._added.wait()
                self._added.clear()
                while self._looks and not self._stopping:
                    await self._look(self._some())
        finally:
            self._worker.stop()

    def _some(self) -> list[Look[Item]]:
        """Return so many that it does not take too long."""
        some, span = [], 0
        while self._looks and span < WINDOW:
            look = self._looks.popleft()
            some.append(look)
            span += look.high - look.low + 1
        return some

    async def _look(self, looks: Sequence[Look[Item]]) -> None:
        found: Sequence[Looked | None]
        try:
            found = await self._worker.run(self._drop, looks)
        except Exception as exc:
            transient = db_api.is_transient(exc)
            if len(looks) > 1 and not transient:
                # One of them is the culprit, the others need not suffer.
                middle = len(looks) // 2
                await self._look(looks[:middle])
                await self._look(looks[middle:])
                return
            LOG.exception('Could not look through %d lanes%s', len(looks),
                          naming.after(looks))
            # Their leases end, and the sweep finds the lanes; or better
            # everything is sent, however old, than nothing.
            found = [None if transient else Looked()] * len(looks)
        for look, result in zip(looks, found, strict=True):
            self._done(look, result)
