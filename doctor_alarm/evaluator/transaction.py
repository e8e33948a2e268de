# SPDX-License-Identifier: Apache-2.0
"""One transaction of the evaluator: matches become rows."""
from __future__ import annotations

from collections.abc import Collection
import dataclasses
import logging
import time
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm.evaluator import composite
from doctor_alarm.evaluator import matching
from doctor_alarm.evaluator import outgoing
from doctor_alarm import event as event_mod
from doctor_alarm import match
from doctor_alarm import metrics
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import candidate
from doctor_alarm.objects import known
from doctor_alarm.objects import membership
from doctor_alarm.objects import wait
from doctor_alarm import timeout
from doctor_alarm import transition

LOG = logging.getLogger(__name__)

_TRANSFORMED = metrics.STAGE.labels('transformed')
_EVALUATED = metrics.STAGE.labels('evaluated')


class Work:
    """Loads what matches depend on, decides, stores; in this order."""

    def __init__(self, db: db_api.Database, conn: sa.Connection,
                 lease: int) -> None:
        self._db, self._conn, self._lease = db, conn, lease
        self._now = 0
        self._matches: list[matching.Match] = []
        self._alarms: dict[str, candidate.Locked] = {}
        self._resources: dict[
            active_alarm.Pair, transition.ResourceState] = {}
        self._moved: set[active_alarm.Pair] = set()
        # Of alarms that are gone, or do not wait any more.
        self._void: list[wait.Wait] = []
        self._outgoing = outgoing.Outgoing()
        self._composites: composite.Composites | None = None
        self.reasons: dict[transition.Reason, int] = {}

    @property
    def transitions(self) -> list[tuple[dict[str, Any], str]]:
        """(row of the history, severity) of alarms that changed their state.
        """
        return self._outgoing.transitions

    def load(self, matches: Collection[matching.Match],
             ended: Collection[wait.Wait] = (),
             more: Collection[str] = ()) -> None:
        """Lock the alarms; drop what no longer hits or was done before.

        :param ended: waits for events that did not come
        :param more: composites that turned out to depend on the alarms
        :raises Incomplete: others do
        """
        self._lock_all(matches, ended, more)
        hits = [hit for hit in (
            matching.current(hit, self._alarms.get(hit.alarm_id))
            for hit in matches) if hit is not None]
        hits += self._timeouts(ended)
        if not hits:
            return
        for hit in hits:
            self._outgoing.expect(self._alarms[hit.alarm_id], hit)
        changes = {(hit.alarm_id, message_id) for hit in hits
                   for message_id in hit.message_ids}
        if self._composites is not None:
            changes |= self._composites.expect(hits)
        found = known.read(
            self._conn, self._db.dialect, changes=changes,
            notifications=self._outgoing.ids, resources={
                self._pair(hit) for hit in hits
                if self._alarms[hit.alarm_id].state.has_clear},
            lanes=self._outgoing.lanes)
        self._resources = found.resources
        self._outgoing.told = found.notifications
        if self._composites is not None:
            self._composites.known = frozenset(found.changes)
        for hit in hits:
            messages = {(hit.alarm_id, message_id)
                        for message_id in hit.message_ids}
            if messages.isdisjoint(
                    found.changes) and not self._outgoing.was_told(
                        self._alarms[hit.alarm_id], hit):
                found.changes.add((hit.alarm_id, hit.event.message_id))
                self._matches.append(hit)
            elif hit.verdict == match.TIMEOUT:
                self._forget_wait(hit)
            else:
                LOG.debug('Event %s, alarm %s: told before',
                          hit.event.message_id, hit.alarm_id)

    def _pair(self, hit: matching.Match) -> active_alarm.Pair:
        alarm = self._alarms[hit.alarm_id]
        return alarm.id, alarm.resource_of(hit.event)

    def _timeouts(self, ended: Collection[wait.Wait],
                  ) -> list[matching.Match]:
        """Return what takes the place of the events that did not come."""
        found = []
        for over in ended:
            alarm = self._alarms.get(over.alarm_id)
            if alarm is None or not alarm.state.timeout:
                self._void.append(over)
            else:
                found.append(self._timeout(alarm, over.resource_id, over.due))
        return found

    def _timeout(self, alarm: candidate.Locked, resource_id: str,
                 due: int) -> matching.Match:
        return matching.Match(
            alarm.id, alarm.version, match.TIMEOUT, timeout.event_of(
                alarm.id, alarm.project_id,
                alarm.pin if alarm.state.whole else resource_id, due,
                alarm.state.timeout, self._now))

    def _forget_wait(self, hit: matching.Match) -> None:
        """End a wait of which everybody was told before."""
        pair = self._pair(hit)
        resource = self._resources.get(pair)
        if resource is not None and resource.due == hit.event.generated_us:
            self._resources[pair] = dataclasses.replace(resource, due=None)
            self._moved.add(pair)

    def _lock_all(self, matches: Collection[matching.Match],
                  ended: Collection[wait.Wait],
                  more: Collection[str]) -> None:
        """Lock alarms, and the composites that depend on them."""
        ids = {hit.alarm_id for hit in matches}
        ids.update(over.alarm_id for over in ended)
        composed = {hit.alarm_id for hit in matches if hit.composed}
        composed.update(over.alarm_id for over in ended if over.composed)
        if composed or more:
            ids |= membership.above(self._conn, composed.union(more))
            ids.update(more)
        self._lock(ids)
        self._composites = composite.read(
            self._conn, self._alarms, ids, self._outgoing, self.reasons)

    def _lock(self, ids: set[str]) -> None:
        asked = time.monotonic()
        self._alarms, clock = candidate.lock(
            self._conn, ids, self._db.clock)
        if clock is not None:
            self._db.set_clock(clock, asked)
        if self._alarms:
            self._now = self._db.now()
            self._outgoing.now = self._now
            self._outgoing.lease_until = self._now + self._lease

    def decide(self) -> None:
        """Apply the matches in the order of their arrival."""
        evaluated_at = int(time.time() * 1e6)
        for hit in self._matches:
            alarm = self._alarms[hit.alarm_id]
            if not alarm.state.timeout:
                self._apply(alarm, hit, transition.decide(
                    hit.verdict, hit.event, alarm.state,
                    self._resources.get(self._pair(hit))))
            elif hit.verdict == match.TIMEOUT:
                self._end_wait(alarm, hit)
            else:
                self._decide_in_time(alarm, hit)
        if self._composites is not None:
            self._composites.settle()
        for event in self._outgoing.events:
            _observe(event, evaluated_at)

    def _decide_in_time(self, alarm: candidate.Locked,
                        hit: matching.Match) -> None:
        """Apply an event as if evaluated at once: what was due goes first."""
        arrival = min(hit.event.transformed_at or self._now, self._now)
        pair = self._pair(hit)
        resource = self._resources.get(pair)
        if resource and resource.due and timeout.is_over(resource, arrival):
            missed = self._timeout(alarm, pair[1], resource.due)
            self._outgoing.expect(alarm, missed)
            self._end_wait(alarm, missed)
        self._apply(alarm, hit, timeout.decide(
            hit.verdict, hit.event, alarm.state, self._resources.get(pair),
            arrival))

    def _end_wait(self, alarm: candidate.Locked, hit: matching.Match) -> None:
        """Raise the alarm, unless the wait goes on.

        Outside of the alarm's time it is counted again, so that an absence
        that lasts is told in it.
        """
        pair = self._pair(hit)
        resource = self._resources.get(pair)
        if resource is None or resource.due != hit.event.generated_us:
            return      # the event came meanwhile
        if not matching.in_time(alarm, hit.event):
            self._resources[pair] = dataclasses.replace(
                resource, due=self._now + alarm.state.timeout)
            self._moved.add(pair)
            return
        self._apply(alarm, hit, timeout.decide(
            hit.verdict, hit.event, alarm.state, resource, self._now))

    def _apply(self, alarm: candidate.Locked, hit: matching.Match,
               result: transition.Transition) -> None:
        if not alarm.is_hidden:
            self.reasons[result.reason] = (
                self.reasons.get(result.reason, 0) + 1)
        if alarm.composed and self._composites is not None:
            self._composites.reach(hit, result.reason)
        LOG.debug('Event %s, alarm %s: %s', hit.event.message_id,
                  hit.alarm_id, result.reason.value)
        pair = self._pair(hit)
        if result.resource is not None:
            self._resources[pair] = result.resource
            self._moved.add(pair)
        alarm.changed |= alarm.state != result.alarm
        alarm.state = result.alarm
        if result.reason is transition.Reason.STALE:
            self._outgoing.record_stale(alarm, hit)
        for step in result.steps:
            self._outgoing.tell(alarm, hit, step)
        if result.forgotten:
            self._outgoing.remember(alarm, hit, result, pair[1])

    def store(self) -> dict[str, Any]:
        """Write everything.

        :returns: the wake-up for the lanes that were leased
        """
        wait.move(self._conn, self._db.dialect, self._void, due=None)
        out = batch.Batch(self._conn)
        candidate.store(out, self._alarms.values(), self._now)
        active_alarm.store(
            out, {a.id: a.project_id for a in self._alarms.values()},
            {pair: self._resources[pair] for pair in self._moved}, self._now)
        made = self._outgoing.store(out)
        out.run(last=True)
        return made


def _observe(event: event_mod.Event, evaluated_at: int) -> None:
    if event.publisher_id == timeout.PUBLISHER_ID:
        metrics.TIMEOUT_DELAY.observe(
            max(0, event.transformed_at - event.generated_us) / 1e6)
        return
    _TRANSFORMED.observe(
        max(0, event.transformed_at - event.generated_us) / 1e6)
    _EVALUATED.observe(max(0, evaluated_at - event.transformed_at) / 1e6)

