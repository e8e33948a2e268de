# SPDX-License-Identifier: Apache-2.0
"""What libvirt's events say about the servers of a host; pure.

The numbers are libvirt's (virDomainEventType and so on); they never change.
"""
from __future__ import annotations

from collections.abc import Collection
import dataclasses

from doctor_alarm import fault
from doctor_alarm.monitors import base
from doctor_alarm.monitors import debounce

#: virDomainEventType
UNDEFINED, STARTED, RESUMED, STOPPED, CRASHED = 1, 2, 4, 5, 8
#: Details of STOPPED, and of CRASHED.
_STOPPED = {0: 'shutdown', 1: 'destroyed', 2: 'crashed', 5: 'failed'}
_CRASHED = {0: 'panicked', 1: 'crashloaded'}
#: virDomainState, and virDomainShutoffReason
RUNNING, SHUTOFF, STATE_CRASHED = 1, 5, 6
_SHUTOFF = {1: 'shutdown', 2: 'destroyed', 3: 'crashed', 6: 'failed'}
#: virDomainEventWatchdogAction, virDomainEventIOErrorAction
_WATCHDOG = ('none', 'pause', 'reset', 'poweroff', 'shutdown', 'debug',
             'inject-nmi')
_IO_ERROR = ('none', 'pause', 'report')

#: Status of a server that has a fault and may run all the same.
ERROR = 'error'


@dataclasses.dataclass(slots=True)
class _Guest:
    """A server that had a fault."""

    state: debounce.Debouncer
    runs: bool = False
    #: Whether a fault that it survived was reported, not yet its end.
    troubled: bool = False
    reported: dict[str, float] = dataclasses.field(default_factory=dict)


class Guests:
    """Makes findings of events; keeps those servers that had a fault.

    :param host: name of the host, in every event
    :param faults: names of the ends of a server that are faults
    :param hold_down: seconds
    """

    def __init__(self, reporter: base.Reporter, host: str,
                 faults: Collection[str], hold_down: float) -> None:
        self._reporter = reporter
        self._host = host
        self._faults = frozenset(faults)
        self._hold_down = hold_down
        self._guests: dict[str, _Guest] = {}

    def lifecycle(self, uuid: str, event: int, detail: int,
                  now: float) -> None:
        """Take an event of a server's life."""
        if event == STOPPED:
            how = _STOPPED.get(detail, 'stopped')
            if how in self._faults:
                self._down(uuid, how, now)
            elif uuid in self._guests:
                # Somebody stopped it: it is not up, and that is no fault.
                self._guests[uuid].runs = False
        elif event == CRASHED:
            self._down(uuid, _CRASHED.get(detail, 'crashed'), now)
        elif event in (STARTED, RESUMED):
            self._up(uuid, now)
        elif event == UNDEFINED:
            self._forget(uuid)

    def watchdog(self, uuid: str, action: int, now: float) -> None:
        """Take note that the watchdog of a server fired."""
        self._trouble(uuid, fault.VM_WATCHDOG, now, {
            'action': _name(_WATCHDOG, action)},
            'the watchdog fired, action %s' % _name(_WATCHDOG, action))

    def io_error(self, uuid: str, device: str, action: int, reason: str,
                 now: float) -> None:
        """Take note that a disk of a server failed."""
        self._trouble(uuid, fault.VM_IO_ERROR, now, {
            'device': device, 'action': _name(_IO_ERROR, action),
            'reason': reason},
            'I/O error of %s%s' % (device, reason and ': ' + reason))

    def found(self, uuid: str, state: int, reason: int, now: float) -> None:
        """Take the state of a server that is there on a new connection."""
        if state == RUNNING:
            self._up(uuid, now)
        elif state == STATE_CRASHED:
            self._down(uuid, 'crashed', now)
        elif state == SHUTOFF and _SHUTOFF.get(reason) in self._faults:
            self._down(uuid, _SHUTOFF[reason], now)

    def only(self, uuids: Collection[str]) -> None:
        """Forget servers that are not there any more."""
        for uuid in set(self._guests) - set(uuids):
            self._forget(uuid)

    def tick(self, now: float) -> None:
        """Report those up that have held out; call it every second or so."""
        for uuid, guest in list(self._guests.items()):
            if guest.runs and guest.state.down:
                self._observe(uuid, guest, now)

    def _down(self, uuid: str, how: str, now: float) -> None:
        guest = self._guest(uuid)
        guest.runs = False
        if guest.state.observe(False, now):
            self._report(uuid, fault.VM_DOWN, base.DOWN, 'the server %s' % how,
                         {'reason': how})

    def _up(self, uuid: str, now: float) -> None:
        if uuid in self._guests or self._reporter.known_down('vm/' + uuid):
            guest = self._guest(uuid)
            guest.runs = True
            self._observe(uuid, guest, now)

    def _observe(self, uuid: str, guest: _Guest, now: float) -> None:
        returned = guest.state.observe(True, now)
        if returned or (guest.troubled and not guest.state.down):
            guest.troubled = False
            self._report(uuid, fault.VM_UP, base.UP, 'the server runs', {})

    def _trouble(self, uuid: str, kind: str, now: float,
                 details: dict[str, str], cause: str) -> None:
        guest = self._guest(uuid)
        former = guest.reported.get(cause)
        if former is not None and now - former < self._hold_down:
            return
        # Causes are few: of a server's disks and their errors.
        guest.reported = {
            text: when for text, when in guest.reported.items()
            if now - when < self._hold_down}
        guest.reported[cause] = now
        guest.troubled = True
        self._report(uuid, kind, ERROR, cause, details)

    def _guest(self, uuid: str) -> _Guest:
        if uuid not in self._guests:
            self._guests[uuid] = _Guest(debounce.Debouncer(
                1, 1, self._hold_down,
                self._reporter.known_down('vm/' + uuid)))
        return self._guests[uuid]

    def _forget(self, uuid: str) -> None:
        if self._guests.pop(uuid, None):
            self._reporter.forget('vm/' + uuid)

    def _report(self, uuid: str, kind: str, status: str, cause: str,
                details: dict[str, str]) -> None:
        self._reporter.report(base.Finding(
            subject='vm/' + uuid, type=kind, status=status, cause=cause,
            severity=base.NORMAL if status == base.UP else base.CRITICAL,
            details={**details, fault.HOSTNAME: self._host,
                     'instance_id': uuid}))


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)
