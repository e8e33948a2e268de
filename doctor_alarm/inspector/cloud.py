# SPDX-License-Identifier: Apache-2.0
"""What nova and neutron are told of a fault. Each call may be repeated."""
from __future__ import annotations

import copy
import enum
import functools
from typing import Any

from doctor_alarm import fault
from doctor_alarm.inspector import connected

BINARY = 'nova-compute'
#: Answers that will not be others later.
_FINAL = (400, 403, 404, 405, 413, 415, 422)


class Outcome(enum.StrEnum):
    """What came of it; shown in events, in the log and in metrics."""

    DONE = 'done'
    #: It was so already.
    UNCHANGED = 'unchanged'
    #: There is no such server any more.
    GONE = 'gone'
    #: The server is on another host by now: it is not that one's fault.
    MOVED = 'moved'
    #: Nova knows no such host.
    UNKNOWN = 'unknown'
    #: Something newer is known of the host or server.
    SUPERSEDED = 'superseded'
    #: The host is not known to be cut off.
    NOT_FENCED = 'not fenced'
    FAILED = 'failed'


class Cloud(connected.Connected):
    """Calls nova and neutron, from any thread.

    What nova is told because of an event has the id of that in the id of its
    request, so that what nova says of it later is known for an echo.

    :raises ConfigurationError: the options do not fit together
    """

    def force_down(self, host: str, down: bool, cause: str = '') -> Outcome:
        """Force the compute service of a host down, or take that back."""
        compute = _because(self._connected().compute, cause)
        service = next((found for found in compute.services(
            host=host, binary=BINARY) if found.host == host), None)
        if service is None:
            return Outcome.UNKNOWN
        if bool(service.is_forced_down) == down:
            return Outcome.UNCHANGED
        compute.update_service_forced_down(service, host, BINARY, down)
        return Outcome.DONE

    def reset_state(self, server_id: str, host: str, state: str,
                    cause: str = '') -> Outcome:
        """Set the state of a server that is still on a host."""
        from openstack import exceptions

        compute = _because(self._connected().compute, cause)
        try:
            server = compute.get_server(server_id)
            if server.compute_host != host:
                return Outcome.MOVED
            if server.vm_state == state or (
                    state == 'active' and server.vm_state != 'error'):
                # A server that was stopped is not made to run.
                return Outcome.UNCHANGED
            compute.reset_server_state(server_id, state)
        except exceptions.NotFoundException:
            return Outcome.GONE
        return Outcome.DONE

    def data_plane_status(self, server_id: str, status: str) -> Outcome:
        """Set the data plane status of all ports of a server."""
        network = self._connected().network
        outcome = Outcome.UNCHANGED
        for port in network.ports(device_id=server_id):
            if port.data_plane_status != status:
                network.update_port(port.id, data_plane_status=status)
                outcome = Outcome.DONE
        return outcome


def _because(client: Any, cause: str) -> Any:
    """Return a client whose requests tell the event that is their cause."""
    if not cause:
        return client
    marked = copy.copy(client)
    marked.request = functools.partial(
        type(client).request, marked,
        global_request_id=fault.request_id(cause))
    return marked


def is_final(exc: BaseException) -> bool:
    """Whether another attempt makes no sense."""
    from openstack import exceptions

    return (isinstance(exc, exceptions.HttpException)
            and exc.status_code in _FINAL)
