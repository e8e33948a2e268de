# SPDX-License-Identifier: Apache-2.0
"""Alarms that an absence raises: what events and the time do. Pure.

A resource waits while its state has a time at which that ends (``due``). A
start begins the wait, the expected event ends it, or else the time does. An
alarm without ``after`` has one wait for all resources, which its creation
begins, and each expected event anew.

Waits are counted by the *arrival* of events at the service, so that what is
told does not depend on when an evaluator gets to it.
"""
from __future__ import annotations

import dataclasses

from doctor_alarm import event as event_mod
from doctor_alarm import match
from doctor_alarm import transition
from doctor_alarm.transition import AlarmState
from doctor_alarm.transition import Reason
from doctor_alarm.transition import ResourceState
from doctor_alarm.transition import Step
from doctor_alarm.transition import Transition

#: Type of the event that receivers get where none came.
EVENT_TYPE = 'doctor_alarm.timeout'
PUBLISHER_ID = 'doctor_alarm.evaluator'

#: Microseconds by which an event may be late: what arrived in time needs some
#: until it is evaluated, and an evaluator that is behind until it has said so.
GRACE = 400_000

_REASON = 'No event <event_type='


def reason(event_type: str, query: str, timeout: int) -> str:
    """Return the sentence that history and receivers show.

    :param timeout: microseconds
    """
    return '%s%s> hit the query <query=%s> for %d seconds.' % (
        _REASON, event_type, query, timeout // 1_000_000)


def is_reason(text: str) -> bool:
    """Whether it was a time-out that fired.

    No event can pretend so: the sentence for events begins otherwise.
    """
    return text.startswith(_REASON)


def event_of(alarm_id: str, project_id: str, resource_id: str, due: int,
             timeout: int, now: int) -> event_mod.Event:
    """Return what takes the place of the event that did not come.

    The same wait yields the same message ID, whoever notices its end.

    :param due: when it was expected at the latest; all times in microseconds
    """
    traits: dict[str, event_mod.TraitValue] = {
        'timeout': timeout // 1_000_000,
        'since': event_mod.from_us(due - timeout)}
    if resource_id:
        traits['resource_id'] = resource_id
    return event_mod.Event(
        message_id=event_mod.derived_id(
            'timeout', alarm_id, resource_id, str(due)),
        event_type=EVENT_TYPE, generated=event_mod.from_us(due),
        traits=traits, project_id=project_id, publisher_id=PUBLISHER_ID,
        transformed_at=now)


def is_over(resource: ResourceState | None, now: int) -> bool:
    """Whether the wait for an event of a resource has ended."""
    return (resource is not None and resource.due is not None
            and resource.due <= now - GRACE)


def new(due: int) -> ResourceState:
    """Return the state of an alarm that has just begun to wait."""
    return ResourceState(transition.OK, 0, '', False, due=due)


def decide(verdict: str, event: event_mod.Event, alarm: AlarmState,
           resource: ResourceState | None, arrival: int) -> Transition:
    """Return what a matched event, or the end of a wait, does.

    :param verdict: ``START``, ``CLEAR``, ``RESTART`` or ``TIMEOUT``
    :param resource: state of the event's resource, or of the whole alarm;
        ``None``: never seen
    :param arrival: of the event at the service, microseconds
    """
    due = arrival + alarm.timeout
    if verdict == match.TIMEOUT:
        return _ended(event, alarm, resource)
    if verdict == match.START:
        return _started(event, alarm, resource, due)
    if alarm.whole:
        return _renewed(event, alarm, resource or new(due), due)
    return _arrived(event, alarm, resource,
                    due if verdict == match.RESTART else None, arrival)


def _ended(event: event_mod.Event, alarm: AlarmState,
           resource: ResourceState | None) -> Transition:
    """The wait is over: the resource goes into alarm, unless it is there."""
    resource = dataclasses.replace(resource or new(0), due=None)
    if resource.state != transition.ALARM:
        steps = (Step(alarm.state, transition.ALARM, event.message_id),)
        return Transition(
            Reason.TIMED_OUT, dataclasses.replace(
                alarm, state=transition.ALARM,
                active_count=alarm.active_count + 1),
            dataclasses.replace(
                resource, state=transition.ALARM, unpaired=False),
            steps, forgotten=transition.changes_nothing(steps))
    if alarm.repeat_actions:
        return Transition(Reason.REPEATED, alarm, resource, (
            Step(alarm.state, transition.ALARM, event.message_id),))
    return Transition(Reason.UNCHANGED, alarm, resource)


def _started(event: event_mod.Event, alarm: AlarmState,
             resource: ResourceState | None, due: int) -> Transition:
    """A wait begins; the first of several starts counts."""
    if resource is None:
        return Transition(Reason.STARTED, alarm, _remembering(
            event, transition.applied_to(
                event, None, transition.OK, unpaired=False), due)[0])
    if resource.knows(event.message_id):
        return Transition(Reason.UNCHANGED, alarm, resource)
    if event.generated_us < resource.event_time:
        # Told by the time alone: most that come in another order than they
        # were sent are answered already, and would be waited for in vain.
        return Transition(Reason.STALE, alarm, resource)
    if resource.due is not None:
        return Transition(Reason.UNCHANGED, alarm, _remembering(
            event, resource, resource.due)[0])
    if resource.state == transition.OK:
        resource = transition.applied_to(
            event, resource, transition.OK, unpaired=False)
    started, full = _remembering(event, resource, due)
    return Transition(Reason.STARTED, alarm, started, forgotten=full)


def _arrived(event: event_mod.Event, alarm: AlarmState,
             resource: ResourceState | None, due: int | None,
             arrival: int) -> Transition:
    """The expected event of one resource came.

    :param due: end of the next wait, if one begins
    """
    result = transition.decide(match.CLEAR, event, alarm, resource)
    if result.resource is None or result.resource is resource:
        return result       # stale, or known
    newest = resource is None or event.generated_us >= resource.event_time
    if due is None or not newest:
        due = (resource.due if resource and not _answers(
            event, resource, arrival, alarm.timeout) else None)
    return dataclasses.replace(
        result, resource=dataclasses.replace(result.resource, due=due))


def _answers(event: event_mod.Event, resource: ResourceState, arrival: int,
             timeout: int) -> bool:
    """Whether an expected event is one for the present wait."""
    if resource.due is None or resource.state == transition.ALARM:
        # What is remembered in alarm are starts.
        return not any(time > event.generated_us
                       for time, _ in resource.confirmed)
    earlier = resource.event_time - event.generated_us
    if event.publisher_id == resource.publisher_id or abs(
            earlier) > transition.SKEW:
        return earlier <= 0
    # Their clocks may differ by as much: which one arrived first?
    return arrival >= resource.due - timeout


def _renewed(event: event_mod.Event, alarm: AlarmState,
             resource: ResourceState, due: int) -> Transition:
    """The event that the whole alarm waits for came.

    Of those that change nothing the last one is remembered, for there may be
    very many; an older one that comes again moves no time.
    """
    if resource.knows(event.message_id):
        return Transition(Reason.UNCHANGED, alarm, resource)
    if resource.state == transition.ALARM:
        if transition.is_older(event, resource):
            return Transition(Reason.STALE, alarm, resource)
        result = transition.change(event, alarm, resource, transition.OK)
    elif alarm.state != transition.OK:
        result = Transition(
            Reason.CLEARED, dataclasses.replace(alarm, state=transition.OK),
            None, (Step(alarm.state, transition.OK, event.message_id),))
    elif alarm.repeat_actions:
        result = Transition(Reason.REPEATED, alarm, None, (
            Step(transition.OK, transition.OK, event.message_id),))
    else:
        result = Transition(Reason.UNCHANGED, alarm, None)
    last = transition.applied_to(
        event, resource, transition.OK, unpaired=False)
    if event.generated_us >= resource.event_time:
        last = dataclasses.replace(
            last, confirmed=((event.generated_us, event.message_id),))
    return dataclasses.replace(result, resource=dataclasses.replace(
        last, due=max(due, resource.due or due)))


def _remembering(event: event_mod.Event, resource: ResourceState, due: int,
                 ) -> tuple[ResourceState, bool]:
    """Return the state with a start, and whether there was no room for it."""
    full = len(resource.confirmed) >= transition.REMEMBERED
    if not full:
        resource = dataclasses.replace(resource, confirmed=(
            *resource.confirmed, (event.generated_us, event.message_id)))
    return dataclasses.replace(resource, due=due), full
