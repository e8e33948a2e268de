# SPDX-License-Identifier: Apache-2.0
"""What follows from a fault: the events of the servers that it hits. Pure.

Each affected server yields two: one for its owner, who need not know what the
cloud is made of, and one for alarms with the scope cloud, with everything.
One more tells of the fault itself. What belongs together has the same
``correlation_id``: the message id of the event that told of the fault.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import datetime

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.inspector import failure_policy
from doctor_alarm.inspector import resource_map

#: What alarms on the state of a server are about: nova tells it so.
SERVER_EVENT = fault.SERVER_EVENT
#: The fault itself, with ``status``.
FAULT_EVENT = fault.FAULT_EVENT
#: A state that nobody knows.
UNKNOWN = 'unknown'

CORRELATION_ID = fault.CORRELATION_ID
IS_ROOT_CAUSE = 'is_root_cause'
ROOT_CAUSE = fault.ROOT_CAUSE
ACTIONS = 'actions'
FENCING = 'fencing'
MISSING = 'missing'

#: What a monitor says of a fault that only administrators hear: it may name
#: hosts.
_FULL = (fault.CAUSE, fault.SOURCE, fault.MONITOR_ID, fault.REGION)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A fault, or its end, and the servers that the map finds for it.

    ``skipped``: how many more there are, which nobody monitors.
    ``found_at``: when they were found, and are told of; microseconds.
    """

    root: event_mod.Event
    entry: failure_policy.Entry
    servers: Sequence[resource_map.Server]
    skipped: int = 0
    found_at: int = 0

    @property
    def named(self) -> str:
        """The host, server or port that failed."""
        return self.entry.affected.value(self.root)

    @property
    def status(self) -> str:
        """Whether it is over."""
        return fault.UP if self.entry.is_over else fault.DOWN

    @property
    def full_cause(self) -> str:
        """The root cause for administrators."""
        return '%s: %s' % (self.entry.root_cause, self.named)


def inspect(root: event_mod.Event, policy: failure_policy.Policy,
            known: resource_map.ResourceMap) -> Fault | None:
    """Return what an event means, ``None``: it is no fault.

    What nova says of what it was told because of a fault is no other fault.

    What a tenant made up concerns the servers of that tenant alone, and those
    by their own names: else hosts could be guessed.
    """
    if fault.ECHO_OF in root.traits:
        return None
    entry = policy.find(root)
    if entry is None or not entry.affected.value(root):
        return None
    servers = entry.affected.servers(root, known)
    if not root.trusted:
        if entry.affected.whole_host:
            return None
        servers = [server for server in servers
                   if server.project_id == root.project_id]
        if not servers:
            return None
    wanted = [server for server in servers
              if server.monitored or entry.unmonitored]
    return Fault(root, entry, wanted, len(servers) - len(wanted))


def events_of(found: Fault) -> Iterator[event_mod.Event]:
    """Give the events that follow from a fault, the fault itself first.

    The same fault always gives the same ids.
    """
    if found.root.trusted:
        yield _of_fault(found)
    for server in found.servers:
        if found.root.trusted:
            yield _for_administrators(found, server)
        if found.entry.tell_owners:
            yield _for_owner(found, server)


def _of_fault(found: Fault) -> event_mod.Event:
    message_id = fault.id_of_fault(found.root.message_id)
    return _event(found, FAULT_EVENT, message_id, {
        **_full(found), **_times(found), 'resource_id': found.named,
        fault.STATUS: found.status, IS_ROOT_CAUSE: True,
        'fault_type': found.root.event_type,
        'affected': len(found.servers), 'unmonitored': found.skipped,
        **_actions(found, of_host=True),
        **({fault.HOSTNAME: found.named, 'host': found.named}
           if found.entry.affected.whole_host else {})})


def _for_administrators(found: Fault,
                        server: resource_map.Server) -> event_mod.Event:
    # Nobody's: were it the owner's, the owner would see it as well.
    message_id = fault.id_of_server(found.root.message_id, server.id)
    return _event(found, SERVER_EVENT, message_id, {
        **_of_server(found, server), **_full(found), **_host(server),
        fault.OWNER_ID: server.project_id, fault.STATUS: found.status,
        **_actions(found, of_host=False)})


def _for_owner(found: Fault, server: resource_map.Server) -> event_mod.Event:
    cause = found.entry.root_cause
    traits = _of_server(found, server)
    if found.entry.show_host:
        cause = found.full_cause
        traits |= _host(server)
    message_id = fault.id_of_owned(found.root.message_id, server.id)
    derived = _event(found, SERVER_EVENT, message_id, {
        **traits, ROOT_CAUSE: cause, 'tenant_id': server.project_id,
        'project_id': server.project_id})
    # It concerns the alarms of the owner alone: the others have their own.
    return dataclasses.replace(
        derived, project_id=server.project_id, trusted=False)


def _of_server(found: Fault, server: resource_map.Server,
               ) -> dict[str, event_mod.TraitValue]:
    state = found.entry.state
    if state == failure_policy.ACTUAL:
        state = server.state or UNKNOWN
    traits: dict[str, event_mod.TraitValue] = {
        'resource_id': server.id, 'instance_id': server.id,
        'display_name': server.name, 'state': state, IS_ROOT_CAUSE: False}
    port = found.root.traits.get('port_id')
    if port and found.entry.affected.trait == 'port_id':
        traits['port_id'] = port
    return traits


def _host(server: resource_map.Server) -> dict[str, event_mod.TraitValue]:
    return {'host': server.host, fault.HOSTNAME: server.host}


def _full(found: Fault) -> dict[str, event_mod.TraitValue]:
    told = found.root.traits
    return {ROOT_CAUSE: found.full_cause,
            **{name: told[name] for name in _FULL if name in told}}


def _times(found: Fault) -> dict[str, event_mod.TraitValue]:
    """Return when the fault passed the stages before this one."""
    times: dict[str, event_mod.TraitValue] = {}
    if found.found_at:
        times[fault.REPORTED_AT] = event_mod.from_us(
            found.root.transformed_at)
        times[fault.FOUND_AT] = event_mod.from_us(found.found_at)
    occurred_at = occurrence(found.root)
    if occurred_at is not None:
        times[fault.OCCURRED_AT] = occurred_at
    return times


def occurrence(root: event_mod.Event) -> datetime.datetime | None:
    """Return when a fault began, if its monitor told a time for that."""
    try:
        began = event_mod.parse_time(
            root.traits.get(fault.OCCURRED_AT), fault.OCCURRED_AT)
    except exception.InvalidEvent:
        return None
    return began if began <= root.generated else None


def _actions(found: Fault, of_host: bool,
             ) -> dict[str, event_mod.TraitValue]:
    """Return what nova and neutron are to be told, for those who do it."""
    names = [name for name in found.entry.actions
             if (name == failure_policy.FORCE_DOWN) == of_host]
    if not names:
        return {}
    traits: dict[str, event_mod.TraitValue] = {ACTIONS: ','.join(names)}
    if not of_host and found.entry.fencing and str(
            found.root.traits.get(fault.FENCED)).lower() != 'true':
        traits[FENCING] = MISSING
    return traits


def _event(found: Fault, event_type: str, message_id: str,
           traits: dict[str, event_mod.TraitValue]) -> event_mod.Event:
    root = found.root
    traits[CORRELATION_ID] = root.message_id
    if fault.SEVERITY in root.traits:
        traits[fault.SEVERITY] = root.traits[fault.SEVERITY]
    return event_mod.Event(
        message_id=message_id,
        event_type=event_type, generated=root.generated,
        traits={name: event_mod.coerce_trait(name, value)
                for name, value in traits.items()},
        # The time is by the clock of whoever told of the fault.
        publisher_id=root.publisher_id,
        transformed_at=found.found_at or root.transformed_at)
