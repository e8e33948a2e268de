# SPDX-License-Identifier: Apache-2.0
"""Composites of alarms that events hit: they follow in the transaction.

When all that an event does to alarms is done, the composites that depend on
them are evaluated, each after those that it depends on. They are locked, and
whoever changes one of their alarms has locked them too; so the states that
are read are those that there are until the commit.
"""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import graphlib
import logging

import sqlalchemy as sa

from doctor_alarm import composite
from doctor_alarm.evaluator import matching
from doctor_alarm.evaluator import outgoing
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm import metrics
from doctor_alarm.objects import candidate
from doctor_alarm.objects import definition
from doctor_alarm.objects import membership
from doctor_alarm import transition
from doctor_alarm.transition import Reason

LOG = logging.getLogger(__name__)

#: What raises an alarm, if it is not too old for that.
_RAISES = (match.RAISE, match.TIMEOUT)


class Incomplete(Exception):
    """Composites that depend on locked alarms are not locked with them."""

    def __init__(self, ids: Iterable[str]) -> None:
        super().__init__('Composites were made meanwhile')
        self.ids = frozenset(ids)


def read(conn: sa.Connection, alarms: Mapping[str, candidate.Locked],
         asked: Collection[str], out: outgoing.Outgoing,
         reasons: dict[Reason, int]) -> Composites | None:
    """Return the composites of locked alarms, ``None``: there are none.

    :param asked: the alarms that were to be locked
    :param reasons: counts what was done to composites
    :raises Incomplete: composites that should have been among them
    """
    composed = [alarm.id for alarm in alarms.values() if alarm.composed]
    if not composed:
        return None
    members = membership.read(conn, composed, [
        alarm.id for alarm in alarms.values()
        if alarm.kind == definition.COMPOSITE])
    missing = {one for some in members.above.values() for one in some}
    missing.difference_update(asked)
    if missing:
        raise Incomplete(missing)
    return Composites(alarms, members, out, reasons)


class Composites:
    """Those that depend on locked alarms; ``known``: changes made before."""

    def __init__(self, alarms: Mapping[str, candidate.Locked],
                 members: membership.Members, out: outgoing.Outgoing,
                 reasons: dict[Reason, int]) -> None:
        self._alarms = alarms
        self._members = members
        self._out = out
        self._reasons = reasons
        self.known: frozenset[tuple[str, str]] = frozenset()
        #: What was done to composites here: (composite, message) -> times.
        self._done: dict[tuple[str, str], int] = {}
        # What the present event has reached, and what of it it raises.
        self._event: event_mod.Event | None = None
        self._reached: set[str] = set()
        self._raised: set[str] = set()

    def expect(self, hits: Iterable[matching.Match]) -> set[tuple[str, str]]:
        """Note what matches may have to tell; return what may be known."""
        above: dict[str, list[candidate.Locked]] = {}
        found = set()
        for hit in hits:
            if hit.alarm_id not in above:
                above[hit.alarm_id] = self._order({hit.alarm_id})
            for alarm in above[hit.alarm_id]:
                pair = alarm.id, hit.event.message_id
                if pair not in found:
                    found.add(pair)
                    self._out.expect_all(alarm, pair[1])
        return found

    def reach(self, hit: matching.Match, reason: Reason) -> None:
        """Note that a match is about to change an alarm.

        What earlier events have reached is settled first.
        """
        if hit.event is not self._event:
            self.settle()
            self._event = hit.event
        self._reached.add(hit.alarm_id)
        if hit.verdict in _RAISES and reason is not Reason.STALE:
            self._raised.add(hit.alarm_id)

    def settle(self) -> None:
        """Evaluate what the present event has reached."""
        event, self._event = self._event, None
        if event is None:
            return
        for alarm in self._order(self._reached):
            members = self._members.of.get(alarm.id, [])
            raised = any(member.alarm_id in self._raised
                         for member in members)
            if raised:
                self._raised.add(alarm.id)
            try:
                self._evaluate(alarm, members, event, raised)
            except exception.InvalidRule as exc:
                LOG.debug('Event %s, alarm %s: broken rule: %s',
                          event.message_id, alarm.id, exc)
                metrics.BROKEN_RULES.inc()
        self._reached.clear()
        self._raised.clear()

    def _order(self, ids: Iterable[str]) -> list[candidate.Locked]:
        """Return the composites above alarms, those at the bottom first."""
        graph: dict[str, set[str]] = {}
        waiting = list(ids)
        while waiting:
            one = waiting.pop()
            for above in self._members.above.get(one, ()):
                if above not in self._alarms:
                    continue    # disabled
                if above not in graph:
                    waiting.append(above)
                graph.setdefault(above, set()).add(one)
        try:
            order = list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError:
            # The API refuses what it sees of them.
            order = sorted(graph)
        return [self._alarms[one] for one in order if one in graph]

    def _evaluate(self, alarm: candidate.Locked,
                  members: list[membership.Member], event: event_mod.Event,
                  raised: bool) -> None:
        pair = alarm.id, event.message_id
        done = self._done.get(pair, 0)
        if not done and (pair in self.known
                         or self._out.has_told(alarm, pair[1])):
            return      # it came before
        tree = composite.compiled(alarm.rule_text)
        states = [self._in_alarm(alarm, member) for member in members]
        if len(states) != len(tree.leaves):
            raise exception.InvalidRule(reason='it has other leaves')
        current = (transition.ALARM if tree.holds(states)
                   else transition.OK)
        if current == transition.ALARM and not candidate.in_time(
                alarm.constraints, event.generated):
            return
        reason = _reason(alarm.state, current, raised)
        if reason is None:
            return
        LOG.debug('Event %s, alarm %s: %s', event.message_id, alarm.id,
                  reason.value)
        self._done[pair] = done + 1
        if done:
            pair = alarm.id, event_mod.derived_id(*pair, str(done))
        self._out.expect_all(alarm, pair[1])
        self._tell(alarm, transition.Step(
            alarm.state.state, current, pair[1]), event,
            composite.causes(tree, states, current))
        alarm.state = dataclasses.replace(alarm.state, state=current)
        self._reasons[reason] = self._reasons.get(reason, 0) + 1

    def _tell(self, alarm: candidate.Locked, step: transition.Step,
              event: event_mod.Event, rules: Mapping[str, object]) -> None:
        tree = composite.compiled(alarm.rule_text)
        self._out.tell(
            alarm, matching.Match(
                alarm.id, alarm.version, match.RAISE, event), step,
            composite.reason(tree, step.previous, step.current, rules),
            composite.reason_data(tree, rules))

    def _in_alarm(self, alarm: candidate.Locked,
                  member: membership.Member) -> bool:
        """Whether a member is in alarm; that of another project is not."""
        locked = self._alarms.get(member.alarm_id)
        if locked is None:
            return (member.in_alarm
                    and member.project_id == alarm.project_id)
        return (locked.state.state == transition.ALARM
                and locked.project_id == alarm.project_id)


def _reason(state: transition.AlarmState, current: str,
            raised: bool) -> Reason | None:
    """Return what a value of the rule does, ``None``: nothing to tell."""
    if current != state.state:
        return (Reason.RAISED if current == transition.ALARM
                else Reason.CLEARED)
    if current == transition.ALARM and raised and state.repeat_actions:
        return Reason.REPEATED
    return None
