# SPDX-License-Identifier: Apache-2.0
"""What a matched event does to an alarm. Pure: no I/O, time comes in."""
from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import enum

from doctor_alarm import event as event_mod
from doctor_alarm import match

OK = 'ok'
ALARM = 'alarm'
UNKNOWN = 'insufficient data'
STATES = (OK, ALARM, UNKNOWN)

#: Microseconds by which the clocks of two publishers may differ.
SKEW = 2_000_000
#: Messages that a resource remembers; those beyond go to the history.
REMEMBERED = 16


class Reason(enum.StrEnum):
    """Why a matched event did what it did; shown in history and metrics."""

    RAISED = 'raised'
    CLEARED = 'cleared'
    REPEATED = 'repeated'
    UNCHANGED = 'unchanged'
    STALE = 'stale'
    #: A raise that came after its own, newer clear: both are told.
    LATE = 'late'
    #: Of alarms with a time-out: the expected event did not come.
    TIMED_OUT = 'timed out'
    #: It is waited for from now on.
    STARTED = 'started'


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmState:
    """What of an alarm a transition depends on.

    ``active_count``: resources in alarm, kept for alarms with ``clear``.
    ``timeout``: microseconds after which the absence of an event raises it;
    ``whole``: of any resource, else of each. All with a time-out have what
    clears, and it is :mod:`doctor_alarm.timeout` that decides.
    """

    state: str
    active_count: int
    has_clear: bool
    repeat_actions: bool
    timeout: int = 0
    whole: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceState:
    """State of one resource of an alarm with ``clear``.

    ``event_time``: of the last applied event, microseconds.
    ``unpaired``: it was a clear that had no raise before it.
    ``confirmed``: (time, message) that changed nothing, and that are not so
    old that they are told from news by their time.
    ``due``: when the wait for an event of it ends, microseconds.
    """

    state: str
    event_time: int
    publisher_id: str
    unpaired: bool
    confirmed: tuple[tuple[int, str], ...] = ()
    due: int | None = None

    def knows(self, message_id: str) -> bool:
        """Whether it remembers a message."""
        return any(known == message_id for _, known in self.confirmed)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A change to tell: its actions are those of the state ``current``."""

    previous: str
    current: str
    message_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
    """What to store and what to tell.

    ``forgotten``: nothing but the history can tell the message from news when
    it comes again.
    """

    reason: Reason
    alarm: AlarmState
    resource: ResourceState | None
    steps: tuple[Step, ...] = ()
    forgotten: bool = False


def decide(verdict: str, event: event_mod.Event, alarm: AlarmState,
           resource: ResourceState | None) -> Transition:
    """Return what a matched event does.

    :param verdict: ``match.RAISE`` or ``match.CLEAR``
    :param resource: state of the event's resource, ``None``: never seen;
        of no meaning where the alarm has no ``clear``
    """
    if not alarm.has_clear:
        return _without_clear(event, alarm)
    if resource is not None and resource.knows(event.message_id):
        return Transition(Reason.UNCHANGED, alarm, resource)
    target = ALARM if verdict == match.RAISE else OK
    present = resource.state if resource else OK
    if present == target:
        return _confirm(event, alarm, resource, target)
    if resource is not None and is_older(event, resource):
        return _stale(event, alarm, resource, verdict)
    return change(event, alarm, resource, target)


def expected(verdict: str, event: event_mod.Event,
             alarm: AlarmState) -> list[tuple[str, str]]:
    """Return whatever :func:`decide` may tell: (current, message ID).

    It depends on what does not change until then.
    """
    if verdict in (match.CLEAR, match.RESTART):
        return [(OK, event.message_id)]
    if alarm.timeout:
        return ([(ALARM, event.message_id)] if verdict == match.TIMEOUT
                else [])
    if alarm.has_clear:
        return [(ALARM, event.message_id),
                (OK, _of_late_clear(event.message_id))]
    if alarm.state == ALARM and not alarm.repeat_actions:
        return []
    return [(ALARM, event.message_id)]


def _of_late_clear(message_id: str) -> str:
    return event_mod.derived_id(message_id, 'clear')


def _without_clear(event: event_mod.Event, alarm: AlarmState) -> Transition:
    """One state for all resources; nothing but the API leads back to ok."""
    if alarm.state != ALARM:
        return Transition(
            Reason.RAISED, dataclasses.replace(alarm, state=ALARM), None,
            (Step(alarm.state, ALARM, event.message_id),))
    if alarm.repeat_actions:
        return Transition(
            Reason.REPEATED, alarm, None,
            (Step(ALARM, ALARM, event.message_id),))
    return Transition(Reason.UNCHANGED, alarm, None)


def is_older(event: event_mod.Event, resource: ResourceState) -> bool:
    """Whether an event is from before the last one that was applied."""
    allowed = 0 if event.publisher_id == resource.publisher_id else SKEW
    return event.generated_us < resource.event_time - allowed


def _stale(event: event_mod.Event, alarm: AlarmState,
           resource: ResourceState, verdict: str) -> Transition:
    if verdict == match.CLEAR or not resource.unpaired:
        return Transition(Reason.STALE, alarm, resource)
    steps = [Step(alarm.state, ALARM, event.message_id)]
    after = ALARM
    if not alarm.active_count:
        after = OK
        steps.append(Step(ALARM, OK, _of_late_clear(event.message_id)))
    return Transition(
        Reason.LATE, dataclasses.replace(alarm, state=after),
        dataclasses.replace(resource, unpaired=False), tuple(steps),
        forgotten=changes_nothing(steps))


def changes_nothing(steps: Iterable[Step]) -> bool:
    """Whether the history will have none of the steps."""
    return not any(step.previous != step.current for step in steps)


def change(event: event_mod.Event, alarm: AlarmState,
           resource: ResourceState | None, target: str) -> Transition:
    """The resource goes into alarm or leaves it."""
    active = alarm.active_count + (1 if target == ALARM else -1)
    state = ALARM if active > 0 else OK
    steps: tuple[Step, ...] = (
        Step(alarm.state, state, event.message_id),)
    if target == OK and state == ALARM:
        # Others are still in alarm: there is nothing ok to tell yet.
        steps = ()
    return Transition(
        Reason.RAISED if target == ALARM else Reason.CLEARED,
        dataclasses.replace(alarm, state=state, active_count=max(active, 0)),
        applied_to(event, resource, target, unpaired=False), steps,
        forgotten=changes_nothing(steps))


def _confirm(event: event_mod.Event, alarm: AlarmState,
             resource: ResourceState | None, target: str) -> Transition:
    """The resource is where the event puts it; its time advances."""
    unpaired = target == OK and (resource is None or resource.unpaired)
    applied = applied_to(event, resource, target, unpaired=unpaired)
    if target == OK and alarm.state != OK and not alarm.active_count:
        return Transition(
            Reason.CLEARED, dataclasses.replace(alarm, state=OK), applied,
            (Step(alarm.state, OK, event.message_id),))
    full = False
    if event.generated_us >= applied.event_time - SKEW:
        full = len(applied.confirmed) >= REMEMBERED
        if not full:
            applied = dataclasses.replace(applied, confirmed=(
                *applied.confirmed, (event.generated_us, event.message_id)))
    if alarm.repeat_actions and alarm.state == target:
        return Transition(
            Reason.REPEATED, alarm, applied,
            (Step(target, target, event.message_id),), forgotten=full)
    return Transition(Reason.UNCHANGED, alarm, applied, forgotten=full)


def applied_to(event: event_mod.Event, resource: ResourceState | None,
               state: str, *, unpaired: bool) -> ResourceState:
    """Return the state after an event: its time only advances."""
    if resource is None:
        return ResourceState(
            state, event.generated_us, event.publisher_id, unpaired)
    last, publisher_id = event.generated_us, event.publisher_id
    if resource.event_time > last:
        last, publisher_id = resource.event_time, resource.publisher_id
    return ResourceState(
        state, last, publisher_id, unpaired, tuple(
            known for known in resource.confirmed if known[0] >= last - SKEW))
