# SPDX-License-Identifier: Apache-2.0
"""Which alarms a batch of events hits."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import itertools
import logging
import operator

import sqlalchemy as sa

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm import match
from doctor_alarm import metrics
from doctor_alarm.objects import candidate

LOG = logging.getLogger(__name__)

#: Those that composites depend on are together, the last ones of an event.
_place = operator.attrgetter('composed')


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """An event that hits an alarm.

    ``composed``: composites depended on it at the look-up.
    """

    alarm_id: str
    version: int
    verdict: str
    event: event_mod.Event
    composed: bool = False

    @property
    def message_ids(self) -> tuple[str, ...]:
        """By which it is known: what it echoes has told the same before."""
        if self.verdict not in (match.RAISE, match.CLEAR):
            return (self.event.message_id,)
        return self.event.message_id, *fault.told_before(self.event)


def look_up(conn: sa.Connection,
            events: list[event_mod.Event]) -> Iterator[Match]:
    """Return what the events hit, in their order; locks nothing."""
    found = candidate.of_events(conn, events)
    return itertools.chain.from_iterable(
        _hits(event, alarms)
        for event, alarms in zip(events, found, strict=True))


def verdict(alarm: candidate.Candidate | candidate.Locked,
            event: event_mod.Event) -> str | None:
    """Return what an event is to an alarm, see ``match.Rule.verdict``.

    Nothing is raised outside the alarm's time. A clear counts always: what
    was raised ends when it is over.
    """
    # What the API refuses may stand in the table all the same; it must hurt
    # nobody but its own alarm.
    try:
        rule = candidate.compiled(alarm.rule_text).rule
        if not rule.concerns(alarm.project_id, event):
            return None
        found = rule.verdict(event)
        if found == match.RAISE and not candidate.in_time(
                alarm.constraints, event.generated):
            return None
        return found
    except exception.InvalidRule as exc:
        _broken(alarm, event, exc)
        return None


def in_time(alarm: candidate.Locked, event: event_mod.Event) -> bool:
    """Whether an alarm may be raised at the time of an event."""
    try:
        return candidate.in_time(alarm.constraints, event.generated)
    except exception.InvalidRule as exc:
        _broken(alarm, event, exc)
        return False


def _broken(alarm: candidate.Candidate | candidate.Locked,
            event: event_mod.Event, exc: exception.InvalidRule) -> None:
    LOG.debug('Event %s, alarm %s: broken rule: %s',
              event.message_id, alarm.id, exc)
    metrics.BROKEN_RULES.inc()


def current(hit: Match, alarm: candidate.Locked | None) -> Match | None:
    """Match again where the API changed the alarm since the look-up."""
    if alarm is None:
        return None
    if alarm.version == hit.version:
        return hit
    again = verdict(alarm, hit.event)
    if again is None:
        return None
    return dataclasses.replace(hit, verdict=again)


def chunks(matches: Iterable[Match], most: int) -> Iterator[list[Match]]:
    """Divide matches into what is done in one transaction each.

    What composites depend on is not divided within an event: between two
    parts of it they would be in a state that there never was.
    """
    some: list[Match] = []
    for hit in matches:
        if len(some) >= most and not (
                hit.composed and hit.event is some[-1].event):
            yield some
            some = []
        some.append(hit)
    if some:
        yield some


def _hits(event: event_mod.Event,
          alarms: list[candidate.Candidate]) -> Iterator[Match]:
    for alarm in sorted(alarms, key=_place):
        found = verdict(alarm, event)
        if found is not None:
            yield Match(alarm.id, alarm.version, found, event,
                        bool(alarm.composed))
