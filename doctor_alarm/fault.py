# SPDX-License-Identifier: Apache-2.0
"""The words in which a fault is told: by monitors, and by the inspector.

A monitor posts ``{"event": {"time", "type", "details"}}``. It becomes an event
whose type is ``type`` and whose traits are the details, each under its own
name: ``details.hostname`` is the trait ``hostname``, and ``host`` as well.
Source: OPNFV Doctor, "Fault event interface".
"""
from __future__ import annotations

from collections.abc import Callable
import enum
import re

from doctor_alarm import event as event_mod

HOST_DOWN = 'compute.host.down'
HOST_UP = 'compute.host.up'
#: Of one server, with ``instance_id``.
VM_DOWN = 'compute.vm.down'
VM_UP = 'compute.vm.up'
VM_WATCHDOG = 'compute.vm.watchdog'
VM_IO_ERROR = 'compute.vm.io_error'

#: Values of :data:`STATUS`.
DOWN = 'down'
UP = 'up'

HOSTNAME = 'hostname'
#: State of what the event is about.
STATUS = 'status'
SEVERITY = 'severity'
CAUSE = 'cause'
#: Who tells it, as shown; and whose clock the time is.
SOURCE = 'source'
MONITOR_ID = 'monitor_id'
#: The same when the monitor tells the same thing again, else another.
MONITOR_EVENT_ID = 'monitor_event_id'
RELATED_TO = 'related_to'
#: Whether the host is known to be cut off (``True``).
FENCED = 'fenced'
#: Of the resource, where a service hears of several.
REGION = 'region'
#: When the fault began, where the monitor knows that; ``time`` is when it
#: noticed.
OCCURRED_AT = 'occurred_at'

#: Details that, together with type and time, tell a repetition from news.
#: Where one of them is missing nothing is taken for a repetition.
IDENTITY = (MONITOR_ID, MONITOR_EVENT_ID, HOSTNAME)

#: What an inspector tells: the fault itself, each server that it hits, and
#: what came of telling nova and neutron.
FAULT_EVENT = 'doctor_alarm.fault'
SERVER_EVENT = 'compute.instance.update'
OUTCOME_EVENT = 'doctor_alarm.fault.action'

#: The same in all that belongs together: id of the event that told of it.
CORRELATION_ID = 'correlation_id'
ROOT_CAUSE = 'root_cause'
#: Of what nova tells of a change that was made because of an event: its id.
ECHO_OF = 'echo_of'
OWNER_ID = 'owner_id'
#: Of the fault itself: when the service heard of it, and when it knew the
#: servers.
REPORTED_AT = 'reported_at'
FOUND_AT = 'found_at'

#: What nova is told, and the outcomes of that with which it is so.
FORCE_DOWN = 'force_down'
RESET_STATE = 'reset_state'
IN_EFFECT = ('done', 'unchanged')


_COMPUTED = re.compile(
    'req-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}')


class Part(enum.Enum):
    """Which part of a fault an event of an inspector tells."""

    FAULT = 'fault'
    #: A server, for administrators and for its owner.
    SERVER = 'server'
    OWNED = 'owned'
    OUTCOME = 'outcome'


#: Those that say that there is a fault. What came of it is said afterwards.
NOTIFIED = (Part.FAULT, Part.SERVER, Part.OWNED)


def id_of_fault(root_id: str) -> str:
    """Return the id of the event that tells of the fault itself."""
    return event_mod.derived_id(root_id, 'fault')


def id_of_server(root_id: str, server_id: str) -> str:
    """Return that of the event of a server for administrators."""
    return event_mod.derived_id(root_id, '%s full' % server_id)


def id_of_owned(root_id: str, server_id: str) -> str:
    """Return that of the event of a server for its owner."""
    return _owned(id_of_server(root_id, server_id))


def _owned(message_id: str) -> str:
    return event_mod.derived_id(message_id, 'owner')


def id_of_outcome(message_id: str, action: str) -> str:
    """Return that of an outcome.

    :param message_id: of the event that asked for the action
    """
    return event_mod.derived_id(message_id, action, 'outcome')


def request_id(message_id: str) -> str:
    """Return the id of requests that are made because of an event.

    OpenStack hands it on, and tells it with each notification of the change.
    Ids of its own are random (version 4), those of our events are computed
    (version 5): that tells the two apart.
    """
    return 'req-' + message_id


def cause_of(request: object) -> str | None:
    """Return the event because of which a request was made, if it was."""
    if not isinstance(request, str) or not _COMPUTED.fullmatch(request):
        return None
    return request.removeprefix('req-')


def told_before(event: event_mod.Event) -> tuple[str, ...]:
    """Return the ids of the events that told before what an echo tells."""
    cause = event.traits.get(ECHO_OF)
    if not isinstance(cause, str):
        return ()
    return cause, _owned(cause)


def part_of(event: event_mod.Event) -> Part | None:
    """Return which part of a fault an event tells; None: of none.

    Nobody but an inspector makes such events: who posts one can not choose
    its id.
    """
    root_id = event.traits.get(CORRELATION_ID)
    if not isinstance(root_id, str):
        return None
    for part, make in _IDS.get(event.event_type, ()):
        if event.message_id == make(root_id, event) and (
                event.trusted or part is Part.OWNED):
            return part
    return None


def _outcome_id(root_id: str, event: event_mod.Event) -> str:
    server_id = event.traits.get('instance_id')
    return id_of_outcome(
        id_of_fault(root_id) if server_id is None
        else id_of_server(root_id, str(server_id)),
        str(event.traits.get('action')))


def _server_id(event: event_mod.Event) -> str:
    return str(event.traits.get('instance_id'))


_IDS: dict[str, tuple[
        tuple[Part, Callable[[str, event_mod.Event], str]], ...]] = {
    FAULT_EVENT: ((Part.FAULT, lambda root_id, _: id_of_fault(root_id)),),
    SERVER_EVENT: (
        (Part.SERVER, lambda root_id, event: id_of_server(
            root_id, _server_id(event))),
        (Part.OWNED, lambda root_id, event: id_of_owned(
            root_id, _server_id(event)))),
    OUTCOME_EVENT: ((Part.OUTCOME, _outcome_id),),
}
