# SPDX-License-Identifier: Apache-2.0
"""The words in which a fault is told: by monitors, to whoever acts on it.

A monitor posts ``{"event": {"time", "type", "details"}}``. It becomes an event
whose type is ``type`` and whose traits are the details, each under its own
name: ``details.hostname`` is the trait ``hostname``, and ``host`` as well.
Source: OPNFV Doctor, "Fault event interface".
"""
from __future__ import annotations

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

#: Details that, together with type and time, tell a repetition from news.
#: Where one of them is missing nothing is taken for a repetition.
IDENTITY = (MONITOR_ID, MONITOR_EVENT_ID, HOSTNAME)
