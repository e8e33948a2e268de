# SPDX-License-Identifier: Apache-2.0
"""Changes of alarms as notifications on the bus, in Aodh's form."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import json
from typing import Any

from oslo_config import cfg

from doctor_alarm import event
from doctor_alarm.messaging import announcer

#: Takes a row of the history, after its commit, and the severity of the alarm.
Tell = Callable[[Mapping[str, Any], str], None]


def nobody(change: Mapping[str, Any], severity: str) -> None:
    """Tell nobody."""


def teller(conf: cfg.ConfigOpts, publisher_id: str) -> Tell:
    """Return what tells those who are configured; it never blocks."""
    if not conf.announcement.topics:
        return nobody
    bus = announcer.Announcer(conf, publisher_id)

    def tell(change: Mapping[str, Any], severity: str) -> None:
        bus.submit(*notification(change, severity))

    return tell


def notification(change: Mapping[str, Any], severity: str,
                 ) -> tuple[str, dict[str, Any]]:
    """Return event type and payload for a row of the history."""
    payload = {name: change[name] for name in (
        'event_id', 'alarm_id', 'type', 'user_id', 'project_id',
        'on_behalf_of')}
    payload.update(
        # The row has it as text, and without credentials.
        detail=json.loads(change['detail']), severity=severity,
        timestamp=event.to_iso(event.from_us(change['timestamp'])))
    return 'alarm.%s' % change['type'].replace(' ', '_'), payload
