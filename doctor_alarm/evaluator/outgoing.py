# SPDX-License-Identifier: Apache-2.0
"""What a transaction of the evaluator tells: history, deliveries, lanes."""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import time
from typing import Any

from doctor_alarm.db import batch
from doctor_alarm.evaluator import matching
from doctor_alarm import event as event_mod
from doctor_alarm import match
from doctor_alarm.objects import candidate
from doctor_alarm.objects import change
from doctor_alarm.objects import fault
from doctor_alarm.objects import outbox
from doctor_alarm.objects import wakeup
from doctor_alarm import timeout
from doctor_alarm import transition

#: Characters of a reason: a query may have a hundred conditions.
REASON = 2000

_CONFIRMS = (transition.Reason.REPEATED, transition.Reason.UNCHANGED,
             transition.Reason.STARTED)
_LEADS_TO_OK = (match.CLEAR, match.RESTART)

#: (alarm, action, message)
_Told = tuple[str, str, str]


class Outgoing:
    """Collects what is told, from what may be to what is stored.

    ``now``, ``lease_until``: times of the database, in microseconds.
    ``told``: ids of notifications that are stored already.
    """

    def __init__(self) -> None:
        self.now = self.lease_until = 0
        self.told: set[str] = set()
        #: (row of the history, severity) of each alarm that changed its state
        self.transitions: list[tuple[dict[str, Any], str]] = []
        self._changes: list[dict[str, Any]] = []
        self._ids: dict[_Told, str] = {}
        self._lanes: dict[tuple[str, str], outbox.Lane] = {}
        self._by_id: dict[str, outbox.Lane] = {}
        self._deliveries: list[dict[str, Any]] = []
        self._used: dict[str, outbox.Lane] = {}
        self._events: dict[str, event_mod.Event] = {}

    @property
    def ids(self) -> Collection[str]:
        """Of all notifications that may be told."""
        return self._ids.values()

    @property
    def lanes(self) -> Mapping[str, outbox.Lane]:
        """All lanes that may be used, by id."""
        return self._by_id

    @property
    def events(self) -> Collection[event_mod.Event]:
        """What the notifications are about."""
        return self._events.values()

    def expect(self, alarm: candidate.Locked, hit: matching.Match) -> None:
        """Note what a match may have to tell, and the lanes for that."""
        for state, message_id in transition.expected(
                hit.verdict, hit.event, alarm.state):
            for action in alarm.actions[state]:
                self._expect_lane(alarm, action)
                self._ids[alarm.id, action, message_id] = (
                    outbox.notification_id(alarm.id, action, message_id))
        for action in alarm.actions[_state_of(hit)]:
            for message_id in hit.message_ids[1:]:
                self._ids[alarm.id, action, message_id] = (
                    outbox.notification_id(alarm.id, action, message_id))
        if alarm.state.timeout:
            # Before this event another one may have been due.
            for action in alarm.actions[transition.ALARM]:
                self._expect_lane(alarm, action)

    def expect_all(self, alarm: candidate.Locked, message_id: str) -> None:
        """Note that a message may raise an alarm, or clear it."""
        for action in (*alarm.actions[transition.ALARM],
                       *alarm.actions[transition.OK]):
            self._expect_lane(alarm, action)
            self._ids[alarm.id, action, message_id] = (
                outbox.notification_id(alarm.id, action, message_id))

    def has_told(self, alarm: candidate.Locked, message_id: str) -> bool:
        """Whether a message was told by an alarm, whatever it led to."""
        return bool(self.told) and any(
            self._ids.get((alarm.id, action, message_id)) in self.told
            for action in (*alarm.actions[transition.ALARM],
                           *alarm.actions[transition.OK]))

    def _expect_lane(self, alarm: candidate.Locked, action: str) -> None:
        way = alarm.id, action
        if way not in self._lanes:
            lane = outbox.Lane(
                outbox.lane_id(*way), alarm.id, alarm.project_id, action,
                alarm.delivery)
            # Two forms of an action may be one lane.
            self._lanes[way] = self._by_id.setdefault(lane.id, lane)

    def was_told(self, alarm: candidate.Locked,
                 hit: matching.Match) -> bool:
        """Whether a message is known by what was told because of it."""
        return bool(self.told) and any(
            self._ids.get((alarm.id, action, message_id)) in self.told
            for message_id in hit.message_ids
            for action in alarm.actions[_state_of(hit)])

    def tell(self, alarm: candidate.Locked, hit: matching.Match,
             step: transition.Step, reason: str | None = None,
             reason_data: str | None = None) -> None:
        """Note a change of state: history, and deliveries of its actions.

        :param reason: default: that of an event, or of its absence
        :param reason_data: what receivers get beside the event, JSON
        """
        if reason is None:
            reason = reason_of(alarm, hit)
        if step.previous != step.current:
            alarm.reason = reason
            alarm.changed = True
            self._record(
                alarm, change.Type.STATE_TRANSITION, step.message_id,
                {'state': step.current, 'transition_reason': reason})
            if not alarm.is_hidden:
                self.transitions.append((self._changes[-1], alarm.severity))
        for action in dict.fromkeys(alarm.actions[step.current]):
            notification_id = self._ids[alarm.id, action, step.message_id]
            if notification_id not in self.told:
                self.told.add(notification_id)
                self._deliver(
                    notification_id, self._lanes[alarm.id, action],
                    {'alarm_id': alarm.id, 'project_id': alarm.project_id,
                     'alarm_name': alarm.name, 'severity': alarm.severity,
                     'previous': step.previous, 'current': step.current,
                     'reason': reason, 'reason_data': reason_data},
                    hit.event)

    def _deliver(self, notification_id: str, lane: outbox.Lane,
                 fired: dict[str, Any], event: event_mod.Event) -> None:
        self._used[lane.id] = lane
        self._events[event.message_id] = event
        self._deliveries.append({
            'id': notification_id, 'lane_id': lane.id,
            'sequence': lane.append(self.lease_until), **fired,
            'message_id': event.message_id,
            'resource_id': event.resource_id,
            'notified_at': event.generated_us,
            'transformed_at': event.transformed_at})

    def remember(self, alarm: candidate.Locked, hit: matching.Match,
                 result: transition.Transition, resource_id: str) -> None:
        """Note a message that did not change the alarm.

        Without it the same message, when it comes again after a later one,
        would be taken for news.
        """
        kind = change.Type.STATE_TRANSITION
        if result.reason in _CONFIRMS:
            if any(alarm.actions[step.current] for step in result.steps):
                return      # what it told is remembered
            kind = change.Type.CONFIRMING_EVENT
        detail = {'state': alarm.state.state,
                  'transition_reason': reason_of(alarm, hit)}
        if result.resource is not None:
            detail |= {'resource_id': resource_id,
                       'resource_state': result.resource.state}
        self._record(alarm, kind, hit.event.message_id, detail)

    def record_stale(self, alarm: candidate.Locked,
                     hit: matching.Match) -> None:
        """Note a message that was too old to change anything."""
        self._record(
            alarm, change.Type.STALE_EVENT, hit.event.message_id,
            {'state': alarm.state.state, 'transition_reason':
                'Event <id=%s> of %s is older than the state of its '
                'resource.' % (hit.event.message_id,
                               event_mod.to_iso(hit.event.generated))})

    def _record(self, alarm: candidate.Locked, kind: change.Type,
                message_id: str, detail: dict[str, str]) -> None:
        self._changes.append(change.row(
            alarm_id=alarm.id, on_behalf_of=alarm.project_id,
            type=change.Type.LEAF if alarm.is_hidden else kind,
            detail=detail, timestamp=self.now, actor=change.SERVICE,
            message_id=message_id))
        if kind is change.Type.STATE_TRANSITION:
            alarm.count(detail['state'])

    def store(self, out: batch.Batch) -> dict[str, Any]:
        """Write all of it.

        :returns: the wake-up for the lanes that were leased
        """
        bodies = {message_id: outbox.body(event)
                  for message_id, event in self._events.items()}
        same = {'created_at': self.now,
                'evaluated_at': int(time.time() * 1e6)}
        outbox.store(
            out, changes=self._changes, deliveries=self._deliveries,
            bodies=bodies, lanes=self._used.values(), same=same)
        fault.link(out, self._events, self._deliveries, self.now)
        return wakeup.make(
            self._used, self.lease_until, self._deliveries, bodies, same)


def _state_of(hit: matching.Match) -> str:
    return (transition.OK if hit.verdict in _LEADS_TO_OK
            else transition.ALARM)


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
