# SPDX-License-Identifier: Apache-2.0
"""One thing that nova or neutron is to be told, as an event names it. Pure.

The events of a fault carry what is to be done in their trait ``actions``; so
the queue that holds the events holds the work as well.

What is known later of the same thing ends what is still to be done: the same
action once more, or that the fault is over. Both have a *subject*.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import derive

#: What came of it, an event for administrators.
OUTCOME_EVENT = fault.OUTCOME_EVENT

#: What news may be about: (action, target), or that a fault is over.
Subject = tuple[str, ...]
_OVER = 'over'


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """What to do with a host or a server because of an event."""

    name: str
    event: event_mod.Event

    @property
    def target(self) -> str:
        """The host or the server."""
        return self.event.resource_id

    @property
    def is_over(self) -> bool:
        """Whether it takes back."""
        return _is_over(self.event)

    @property
    def subject(self) -> Subject:
        """What it does to what."""
        return self.name, self.target

    @property
    def ended_by(self) -> tuple[Subject, ...]:
        """News of which nothing older than them is done any more."""
        if self.is_over:
            return (self.subject,)
        return self.subject, _end_of(self.event)

    @property
    def waits_for_fencing(self) -> bool:
        """Whether the host must be known to be cut off, and is not."""
        return (self.name == fault.RESET_STATE
                and self.event.traits.get(derive.FENCING) == derive.MISSING)

    @property
    def repeats_refusals(self) -> bool:
        """Whether a refusal may pass.

        After an evacuation nova takes a service back only when that has
        started anew.
        """
        return self.name == fault.FORCE_DOWN and self.is_over

    def apply(self, to: cloud.Cloud) -> cloud.Outcome:
        """Do it; raises what the libraries raise."""
        return _APPLY[self.name](to, self)

    def outcome(self, outcome: cloud.Outcome, reason: str,
                ended_at: int) -> event_mod.Event:
        """Return the event that tells what came of it.

        :param ended_at: microseconds
        """
        traits = {
            name: self.event.traits[name] for name in (
                'resource_id', 'instance_id', 'host', fault.HOSTNAME,
                fault.OWNER_ID, derive.CORRELATION_ID, fault.STATUS)
            if name in self.event.traits}
        return event_mod.Event(
            message_id=fault.id_of_outcome(
                self.event.message_id, self.name),
            event_type=OUTCOME_EVENT, generated=self.event.generated,
            traits={**traits, 'action': self.name, 'outcome': outcome.value,
                    **({'reason': reason} if reason else {})},
            publisher_id=self.event.publisher_id,
            transformed_at=ended_at)


def of(event: event_mod.Event) -> Iterator[Action]:
    """Give what is to be done because of an event."""
    for name in str(event.traits.get(derive.ACTIONS) or '').split(','):
        if name in _APPLY:
            yield Action(name, event)


def subjects_of(event: event_mod.Event) -> Iterator[Subject]:
    """Give what an event is news of."""
    for action in of(event):
        yield action.subject
    if _is_over(event) and derive.ROOT_CAUSE in event.traits:
        yield _end_of(event)


def carried_out(event: event_mod.Event) -> Subject | None:
    """Return what was done to what, if that is what an event tells."""
    if event.event_type != OUTCOME_EVENT or (
            event.traits.get('outcome') != cloud.Outcome.DONE):
        return None
    return str(event.traits.get('action')), event.resource_id


def _is_over(event: event_mod.Event) -> bool:
    return event.traits.get(fault.STATUS) == fault.UP


def _end_of(event: event_mod.Event) -> Subject:
    return _OVER, event.resource_id, str(event.traits.get(derive.ROOT_CAUSE))


def _force_down(to: cloud.Cloud, action: Action) -> cloud.Outcome:
    return to.force_down(
        action.target, not action.is_over, action.event.message_id)


def _reset_state(to: cloud.Cloud, action: Action) -> cloud.Outcome:
    return to.reset_state(
        action.target, str(action.event.traits.get('host', '')),
        str(action.event.traits.get('state', '')), action.event.message_id)


def _data_plane_status(to: cloud.Cloud, action: Action) -> cloud.Outcome:
    return to.data_plane_status(
        action.target, 'ACTIVE' if action.is_over else 'DOWN')


_APPLY: dict[str, Callable[[cloud.Cloud, Action], cloud.Outcome]] = {
    fault.FORCE_DOWN: _force_down, fault.RESET_STATE: _reset_state,
    'data_plane_status': _data_plane_status}
