# SPDX-License-Identifier: Apache-2.0
"""What is done with a batch of events, from look-up to commit."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import itertools
import json
import logging
import time
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm import metrics
from doctor_alarm.objects import active_alarm
from doctor_alarm.objects import candidate
from doctor_alarm.objects import change
from doctor_alarm.objects import outbox
from doctor_alarm import transition

LOG = logging.getLogger(__name__)

#: Matches in one transaction at most.
TRANSITIONS = 500

#: Characters of a reason: a query may have a hundred conditions.
REASON = 2000

_APPLIED = (transition.Reason.RAISED, transition.Reason.CLEARED)
_TRANSFORMED = metrics.STAGE.labels('transformed')
_EVALUATED = metrics.STAGE.labels('evaluated')


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """An event that hits an alarm."""

    alarm_id: str
    version: int
    verdict: str
    event: event_mod.Event


class Engine:
    """Evaluates events against the alarms in the database.

    ``on_commit(hint)`` is called after each commit that made deliveries, with
    the lanes that were leased to this wake-up.
    """

    def __init__(self, db: db_api.Database,
                 on_commit: Callable[[dict[str, Any]], None],
                 lease: float) -> None:
        self._db = db
        self._on_commit = on_commit
        self._lease = int(lease * 1e6)

    def process(self, events: list[event_mod.Event]) -> None:
        """Look up, match, decide and commit; all effects are durable then.

        Safe to repeat with the same events.
        """
        matches = self._look_up(events)
        while some := list(itertools.islice(matches, TRANSITIONS)):
            self._commit(some)

    def _look_up(self, events: list[event_mod.Event]) -> Iterator[Match]:
        with self._db.reader() as conn:
            found = candidate.of_events(conn, events)
        return itertools.chain.from_iterable(
            _hits(event, alarms)
            for event, alarms in zip(events, found, strict=True))

    def _commit(self, matches: list[Match]) -> None:
        now = self._db.now()
        with self._db.writer() as conn:
            work = Work(self._db.dialect, conn, now, now + self._lease)
            work.load(matches)
            work.decide()
            leased = work.store()
        for reason, count in work.reasons.items():
            metrics.TRANSITIONS.labels(reason=reason.value).inc(count)
        if leased:
            self._on_commit({
                'lanes': leased, 'lease_until': now + self._lease,
                'committed_at': int(time.time() * 1e6)})


class Work:
    """One transaction: matches become rows."""

    def __init__(self, dialect: str, conn: sa.Connection, now: int,
                 lease_until: int) -> None:
        self._dialect, self._conn = dialect, conn
        self._now, self._lease_until = now, lease_until
        self._matches: list[Match] = []
        self._alarms: dict[str, candidate.Locked] = {}
        self._resources: dict[
            active_alarm.Pair, transition.ResourceState] = {}
        self._moved: set[active_alarm.Pair] = set()
        self._changes: list[dict[str, Any]] = []
        self._fired: list[tuple[candidate.Locked, Match, transition.Step,
                                str, str]] = []
        self.reasons: dict[transition.Reason, int] = {}

    def load(self, matches: list[Match]) -> None:
        """Lock the alarms; drop what no longer hits or was done before."""
        self._alarms = candidate.lock(
            self._conn, (hit.alarm_id for hit in matches))
        known = outbox.known_changes(self._conn, self._dialect, {
            (hit.alarm_id, hit.event.message_id) for hit in matches})
        for hit in matches:
            pair = hit.alarm_id, hit.event.message_id
            current = self._current(hit)
            if current is not None and pair not in known:
                known.add(pair)
                self._matches.append(current)
        self._resources = active_alarm.of_pairs(
            self._conn, self._dialect, {
                (hit.alarm_id, hit.event.resource_id)
                for hit in self._matches
                if self._alarms[hit.alarm_id].state.has_clear})

    def _current(self, hit: Match) -> Match | None:
        """Match again where the API changed the alarm since the look-up."""
        alarm = self._alarms.get(hit.alarm_id)
        if alarm is None:
            return None
        if alarm.version == hit.version:
            return hit
        verdict = _verdict(alarm.id, alarm.rule_text, hit.event)
        if verdict is None:
            return None
        return dataclasses.replace(hit, verdict=verdict)

    def decide(self) -> None:
        """Apply the matches in the order of their arrival."""
        for hit in self._matches:
            alarm = self._alarms[hit.alarm_id]
            pair = hit.alarm_id, hit.event.resource_id
            result = transition.decide(
                hit.verdict, hit.event, alarm.state,
                self._resources.get(pair))
            self.reasons[result.reason] = self.reasons.get(
                result.reason, 0) + 1
            LOG.debug('Event %s, alarm %s: %s', hit.event.message_id,
                      hit.alarm_id, result.reason.value)
            if result.resource is not None:
                self._resources[pair] = result.resource
                self._moved.add(pair)
            alarm.changed |= alarm.state != result.alarm
            alarm.state = result.alarm
            if result.reason is transition.Reason.STALE:
                self._record_stale(alarm, hit)
            for step in result.steps:
                self._tell(alarm, hit, step)
            if result.reason in _APPLIED and not any(
                    step.previous != step.current for step in result.steps):
                self._record_resource(alarm, hit)

    def _tell(self, alarm: candidate.Locked, hit: Match,
              step: transition.Step) -> None:
        reason = reason_of(alarm, hit)
        if step.previous != step.current:
            alarm.reason = reason
            alarm.changed = True
            self._changes.append(change.row(
                alarm_id=alarm.id, on_behalf_of=alarm.project_id,
                type=change.Type.STATE_TRANSITION,
                detail={'state': step.current, 'transition_reason': reason},
                timestamp=self._now, actor=change.Actor(),
                message_id=step.message_id))
        for action in dict.fromkeys(alarm.actions[step.current]):
            self._fired.append((alarm, hit, step, action, reason))

    def _record_resource(self, alarm: candidate.Locked, hit: Match) -> None:
        """Remember a change of a resource that was none of the alarm.

        Without it the same message, when it comes again after a later one,
        would be taken for news.
        """
        self._changes.append(change.row(
            alarm_id=alarm.id, on_behalf_of=alarm.project_id,
            type=change.Type.STATE_TRANSITION, detail={
                'state': alarm.state.state,
                'transition_reason': reason_of(alarm, hit),
                'resource_id': hit.event.resource_id,
                'resource_state': self._resources[
                    hit.alarm_id, hit.event.resource_id].state},
            timestamp=self._now, actor=change.Actor(),
            message_id=hit.event.message_id))

    def _record_stale(self, alarm: candidate.Locked, hit: Match) -> None:
        self._changes.append(change.row(
            alarm_id=alarm.id, on_behalf_of=alarm.project_id,
            type=change.Type.STALE_EVENT, detail={
                'state': alarm.state.state, 'transition_reason':
                    'Event <id=%s> of %s is older than the state of its '
                    'resource.' % (hit.event.message_id,
                                   event_mod.to_iso(hit.event.generated))},
            timestamp=self._now, actor=change.Actor(),
            message_id=hit.event.message_id))

    def store(self) -> list[list[str]]:
        """Write everything; return [lane, token] of the lanes leased."""
        candidate.store(
            self._conn, self._dialect, self._alarms.values(), self._now)
        active_alarm.store(
            self._conn, self._dialect,
            {a.id: a.project_id for a in self._alarms.values()},
            {pair: self._resources[pair] for pair in self._moved}, self._now)
        lanes, deliveries, events = self._deliveries()
        outbox.store(
            self._conn, self._dialect, changes=self._changes,
            deliveries=deliveries, events=events, lanes=lanes, now=self._now)
        return [[lane.id, str(lane.token)] for lane in lanes if lane.leased]

    def _deliveries(self) -> tuple[
            list[outbox.Lane], list[dict[str, Any]],
            dict[str, event_mod.Event]]:
        if not self._fired:
            return [], [], {}
        ids = [outbox.notification_id(alarm.id, action, step.message_id)
               for alarm, _hit, step, action, _reason in self._fired]
        known = outbox.known_notifications(self._conn, self._dialect, ids)
        lanes = outbox.lanes(self._conn, (
            outbox.Lane(outbox.lane_id(alarm.id, action), alarm.id,
                        alarm.project_id, action)
            for alarm, _hit, _step, action, _reason in self._fired))
        deliveries, events, used = [], {}, {}
        evaluated_at = int(time.time() * 1e6)
        for notification_id, (alarm, hit, step, action, reason) in zip(
                ids, self._fired, strict=True):
            if notification_id in known:
                continue
            known.add(notification_id)
            lane = lanes[outbox.lane_id(alarm.id, action)]
            used[lane.id] = lane
            events[hit.event.message_id] = hit.event
            deliveries.append({
                'id': notification_id, 'lane_id': lane.id,
                'sequence': lane.append(self._lease_until),
                'alarm_id': alarm.id, 'message_id': hit.event.message_id,
                'project_id': alarm.project_id, 'alarm_name': alarm.name,
                'severity': alarm.severity, 'previous': step.previous,
                'current': step.current, 'reason': reason,
                'resource_id': hit.event.resource_id,
                'status': outbox.PENDING, 'attempts': 0,
                'created_at': self._now,
                'notified_at': hit.event.generated_us,
                'transformed_at': hit.event.transformed_at,
                'evaluated_at': evaluated_at})
        for event in events.values():
            _observe(event, evaluated_at)
        return list(used.values()), deliveries, events


def _observe(event: event_mod.Event, evaluated_at: int) -> None:
    _TRANSFORMED.observe(
        max(0, event.transformed_at - event.generated_us) / 1e6)
    _EVALUATED.observe(max(0, evaluated_at - event.transformed_at) / 1e6)


def reason_of(alarm: candidate.Locked, hit: Match) -> str:
    """Return the sentence that history and receivers show, as Aodh's."""
    rule = json.loads(alarm.rule_text)
    if hit.verdict == match.CLEAR:
        rule = rule['clear']
    query = json.dumps(rule.get('query') or [])
    if len(query) > REASON:
        query = query[:REASON] + '...'
    return 'Event <id=%s,event_type=%s> hits the query <query=%s>.' % (
        hit.event.message_id, hit.event.event_type, query)


def _hits(event: event_mod.Event,
          alarms: list[candidate.Candidate]) -> Iterator[Match]:
    for alarm in alarms:
        if alarm.project_id != event.project_id:
            continue
        verdict = _verdict(alarm.id, alarm.rule_text, event)
        if verdict is not None:
            yield Match(alarm.id, alarm.version, verdict, event)


def _verdict(alarm_id: str, rule_text: str,
             event: event_mod.Event) -> str | None:
    # What the API refuses may stand in the table all the same; it must hurt
    # nobody but its own alarm.
    try:
        return candidate.compiled(rule_text).verdict(event)
    except exception.InvalidRule as exc:
        LOG.debug('Event %s, alarm %s: broken rule: %s',
                  event.message_id, alarm_id, exc)
        metrics.BROKEN_RULES.inc()
        return None
