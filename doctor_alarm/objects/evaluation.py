# SPDX-License-Identifier: Apache-2.0
"""What evaluations led to, as the evaluator counts it with each alarm."""
from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import definition
from doctor_alarm import transition


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """How often evaluations of an alarm led to each state."""

    alarm_id: str
    project_id: str
    counters: dict[str, int]


def results(conn: sa.Connection, project_id: str | None,
            limit: int) -> list[Results]:
    """Return the counters of alarms that exist and were evaluated.

    :param project_id: ``None``: those of all projects
    :param limit: alarms at most, in the order of their ids
    """
    alarm = models.alarm.c
    query = sa.select(
        alarm.id, alarm.project_id, alarm.led_to_ok, alarm.led_to_alarm,
    ).where(
        definition.VISIBLE,
        sa.or_(alarm.led_to_ok > 0, alarm.led_to_alarm > 0),
    ).order_by(alarm.id).limit(limit)
    if project_id is not None:
        query = query.where(alarm.project_id == project_id)
    return [Results(row[0], row[1], {
        # No event leads there; clients look for it all the same.
        transition.UNKNOWN: 0,
        transition.OK: row[2], transition.ALARM: row[3]})
        for row in conn.execute(query)]
