# SPDX-License-Identifier: Apache-2.0
"""Changes of what was read: ``ETag`` and ``If-Match``."""
from __future__ import annotations

from collections.abc import Callable

import webob

from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj


def tag(alarm: alarm_obj.Alarm) -> str:
    """Return what tells one answer of an alarm from another one.

    The evaluator changes the state without a new version.
    """
    return '%d-%d' % (alarm.version, max(
        alarm.state_timestamp, alarm.evaluate_timestamp))


def of(request: webob.Request) -> Callable[[alarm_obj.Alarm], None]:
    """Return a check of the alarm under its lock.

    It raises ``PreconditionFailed`` if the client means an earlier one, and
    passes everything if the client does not say.
    """
    wanted = request.if_match

    def check(alarm: alarm_obj.Alarm) -> None:
        if tag(alarm) not in wanted:
            raise exception.PreconditionFailed(id=alarm.id)

    return check
