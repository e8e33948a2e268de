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
from doctor_alarm.evaluator import matching
from doctor_alarm import event as event_mod
from doctor_alarm import match
from doctor_alarm import metrics
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import candidate
from doctor_alarm.objects import change
from doctor_alarm.objects import known
from doctor_alarm.objects import outbox
from doctor_alarm.objects import wait
from doctor_alarm.objects import wakeup
from doctor_alarm import timeout
from doctor_alarm import transition

LOG = logging.getLogger(__name__)

#: Characters of a reason: a query may have a hundred conditions.
REASON = 2000

_CONFIRMS = (transition.Reason.REPEATED, transition.Reason.UNCHANGED,
             transition.Reason.STARTED)
_LEADS_TO_OK = (match.CLEAR, match.RESTART)
_TRANSFORMED = metrics.STAGE.labels('transformed')
_EVALUATED = metrics.STAGE.labels('evaluated')

#: (alarm, action, message)
_Told = tuple[str, str, str]


class Work:
    """Loads what matches depend on, decides, stores; in this order."""

    def __init__(self, db: db_api.Database, conn: sa.Connection,
                 lease: int) -> None:
        self._db, self._conn, self._lease = db, conn, lease
        self._now = 0
        self._lease_until = 0
        self._matches: list[matching.Match] = []
        self._alarms: dict[str, candidate.Locked] = {}
        self._resources: dict[
            active_alarm.Pair, transition.ResourceState] = {}
        self._moved: set[active_alarm.Pair] = set()
        # Of alarms that are gone, or do not wait any more.
        self._void: list[wait.Wait] = []
        self._changes: list[dict[str, Any]] = []
        # What may be told and how it gets there; what was told before.
        self._ids: dict[_Told, str] = {}
        self._lanes: dict[tuple[str, str], outbox.Lane] = {}
        self._by_id: dict[str, outbox.Lane] = {}
        self._told: set[str] = set()
        self._deliveries: list[dict[str, Any]] = []
        self._used: dict[str, outbox.Lane] = {}
        self._events: dict[str, event_mod.Event] = {}
        self.reasons: dict[transition.Reason, int] = {}
        #: (row of the history, severity) of each alarm that changed its state
        self.transitions: list[tuple[dict[str, Any], str]] = []

    def load(self, matches: Collection[matching.Match],
             ended: Collection[wait.Wait] = ()) -> None:
        """Lock the alarms; drop what no longer hits or was done before.

        :param ended: waits for events that did not come
        """
        self._lock({hit.alarm_id for hit in matches}
                   | {over.alarm_id for over in ended})
        hits = [hit for hit in (
            matching.current(hit, self._alarms.get(hit.alarm_id))
            for hit in matches) if hit is not None]
        hits += self._timeouts(ended)
        if not hits:
            return
        for hit in hits:
            self._expect(hit)
        found = known.read(
            self._conn, self._db.dialect,
            changes={(hit.alarm_id, hit.event.message_id) for hit in hits},
            notifications=self._ids.values(), resources={
                self._pair(hit) for hit in hits
                if self._alarms[hit.alarm_id].state.has_clear},
            lanes=self._by_id)
        self._resources, self._told = found.resources, found.notifications
        for hit in hits:
            message = hit.alarm_id, hit.event.message_id
            if message not in found.changes and not self._was_told(hit):
                found.changes.add(message)
                self._matches.append(hit)
            elif hit.verdict == match.TIMEOUT:
                self._forget_wait(hit)

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

    def _was_told(self, hit: matching.Match) -> bool:
        """Whether a message is known by what was told because of it."""
        state = (transition.OK if hit.verdict in _LEADS_TO_OK
                 else transition.ALARM)
        return bool(self._told) and any(
            self._ids.get((hit.alarm_id, action, hit.event.message_id))
            in self._told for action in self._alarms[
                hit.alarm_id].actions[state])

    def _lock(self, ids: set[str]) -> None:
        asked = time.monotonic()
        self._alarms, clock = candidate.lock(
            self._conn, ids, self._db.clock)
        if clock is not None:
            self._db.set_clock(clock, asked)
        if self._alarms:
            self._now = self._db.now()
            self._lease_until = self._now + self._lease

    def _expect(self, hit: matching.Match) -> None:
        """Note what a match may have to tell, and the lanes for that."""
        alarm = self._alarms[hit.alarm_id]
        for state, message_id in transition.expected(
                hit.verdict, hit.event, alarm.state):
            for action in alarm.actions[state]:
                self._expect_lane(alarm, action)
                self._ids[alarm.id, action, message_id] = (
                    outbox.notification_id(alarm.id, action, message_id))
        if alarm.state.timeout:
            # Before this event another one may have been due.
            for action in alarm.actions[transition.ALARM]:
                self._expect_lane(alarm, action)

    def _expect_lane(self, alarm: candidate.Locked, action: str) -> None:
        way = alarm.id, action
        if way not in self._lanes:
            lane = outbox.Lane(
                outbox.lane_id(*way), alarm.id, alarm.project_id, action,
                alarm.delivery)
            # Two forms of an action may be one lane.
            self._lanes[way] = self._by_id.setdefault(lane.id, lane)

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
        for event in self._events.values():
            _observe(event, evaluated_at)

    def _decide_in_time(self, alarm: candidate.Locked,
                        hit: matching.Match) -> None:
        """Apply an event as if evaluated at once: what was due goes first."""
        arrival = min(hit.event.transformed_at or self._now, self._now)
        pair = self._pair(hit)
        resource = self._resources.get(pair)
        if resource and resource.due and timeout.is_over(resource, arrival):
            missed = self._timeout(alarm, pair[1], resource.due)
            self._expect(missed)
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
        self.reasons[result.reason] = self.reasons.get(result.reason, 0) + 1
        LOG.debug('Event %s, alarm %s: %s', hit.event.message_id,
                  hit.alarm_id, result.reason.value)
        if result.resource is not None:
            pair = self._pair(hit)
            self._resources[pair] = result.resource
            self._moved.add(pair)
        alarm.changed |= alarm.state != result.alarm
        alarm.state = result.alarm
        if result.reason is transition.Reason.STALE:
            self._record_stale(alarm, hit)
        for step in result.steps:
            self._tell(alarm, hit, step)
        if result.forgotten:
            self._remember(alarm, hit, result)

    def _tell(self, alarm: candidate.Locked, hit: matching.Match,
              step: transition.Step) -> None:
        reason = reason_of(alarm, hit)
        if step.previous != step.current:
            alarm.reason = reason
            alarm.changed = True
            self._record(
                alarm, change.Type.STATE_TRANSITION, step.message_id,
                {'state': step.current, 'transition_reason': reason})
            self.transitions.append((self._changes[-1], alarm.severity))
        for action in dict.fromkeys(alarm.actions[step.current]):
            notification_id = self._ids[alarm.id, action, step.message_id]
            if notification_id not in self._told:
                self._told.add(notification_id)
                self._deliver(
                    notification_id, self._lanes[alarm.id, action],
                    {'alarm_id': alarm.id, 'project_id': alarm.project_id,
                     'alarm_name': alarm.name, 'severity': alarm.severity,
                     'previous': step.previous, 'current': step.current,
                     'reason': reason}, hit.event)

    def _deliver(self, notification_id: str, lane: outbox.Lane,
                 fired: dict[str, Any], event: event_mod.Event) -> None:
        self._used[lane.id] = lane
        self._events[event.message_id] = event
        self._deliveries.append({
            'id': notification_id, 'lane_id': lane.id,
            'sequence': lane.append(self._lease_until), **fired,
            'message_id': event.message_id,
            'resource_id': event.resource_id,
            'notified_at': event.generated_us,
            'transformed_at': event.transformed_at})

    def _remember(self, alarm: candidate.Locked, hit: matching.Match,
                  result: transition.Transition) -> None:
        """Note a message that did not change the alarm.

        Without it the same message, when it comes again after a later one,
        would be taken for news.
        """
        kind = change.Type.STATE_TRANSITION
        if result.reason in _CONFIRMS:
            if any(alarm.actions[step.current] for step in result.steps):
                return      # what it told is remembered
            kind = change.Type.CONFIRMING_EVENT
        pair = self._pair(hit)
        self._record(
            alarm, kind, hit.event.message_id,
            {'state': alarm.state.state,
             'transition_reason': reason_of(alarm, hit),
             'resource_id': pair[1],
             'resource_state': self._resources[pair].state})

    def _record_stale(self, alarm: candidate.Locked,
                      hit: matching.Match) -> None:
        self._record(
            alarm, change.Type.STALE_EVENT, hit.event.message_id,
            {'state': alarm.state.state, 'transition_reason':
                'Event <id=%s> of %s is older than the state of its '
                'resource.' % (hit.event.message_id,
                               event_mod.to_iso(hit.event.generated))})

    def _record(self, alarm: candidate.Locked, kind: change.Type,
                message_id: str, detail: dict[str, str]) -> None:
        self._changes.append(change.row(
            alarm_id=alarm.id, on_behalf_of=alarm.project_id, type=kind,
            detail=detail, timestamp=self._now, actor=change.SERVICE,
            message_id=message_id))
        if kind is change.Type.STATE_TRANSITION:
            alarm.count(detail['state'])

    def store(self) -> dict[str, Any]:
        """Write everything.

        :returns: the wake-up for the lanes that were leased
        """
        wait.move(self._conn, self._db.dialect, self._void, due=None)
        out = batch.Batch(self._conn)
        candidate.store(
            out, self._db.dialect, self._alarms.values(), self._now)
        active_alarm.store(
            out, {a.id: a.project_id for a in self._alarms.values()},
            {pair: self._resources[pair] for pair in self._moved}, self._now)
        bodies = {message_id: outbox.body(event)
                  for message_id, event in self._events.items()}
        same = {'created_at': self._now,
                'evaluated_at': int(time.time() * 1e6)}
        outbox.store(
            out, changes=self._changes, deliveries=self._deliveries,
            bodies=bodies, lanes=self._used.values(), same=same)
        made = wakeup.make(
            self._used, self._lease_until, self._deliveries, bodies, same)
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


def reason_of(alarm: candidate.Locked, hit: matching.Match) -> str:
    """Return the sentence that history and receivers show, as Aodh's."""
    compiled = candidate.compiled(alarm.rule_text)
    query = compiled.query(hit.verdict)
    if len(query) > REASON:
        query = query[:REASON] + '...'
    if hit.verdict == match.TIMEOUT:
        return timeout.reason(
            compiled.event_type, query, alarm.state.timeout)
    return 'Event <id=%s,event_type=%s> hits the query <query=%s>.' % (
        hit.event.message_id, hit.event.event_type, query)
