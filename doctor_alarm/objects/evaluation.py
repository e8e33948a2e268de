# SPDX-License-Identifier: Apache-2.0
"""What evaluations led to, counted over the history that is kept."""
from __future__ import annotations

from collections.abc import Iterable
import dataclasses

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import change
from doctor_alarm import transition

STATES = (transition.UNKNOWN, transition.OK, transition.ALARM)


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
    alarm, history = models.alarm.c, models.change.c
    # The first thing in the detail of a transition is the state.
    state = sa.case(*(
        (history.detail.like('{"state": "%s"%%' % name), name)
        for name in STATES), else_='')
    query = sa.select(
        alarm.id, alarm.project_id,
        *(sa.func.sum(sa.case((state == name, 1), else_=0))
          for name in STATES),
    ).join(models.alarm, alarm.id == history.alarm_id).where(
        history.type == change.Type.STATE_TRANSITION,
        history.message_id.is_not(None),
    ).group_by(alarm.id, alarm.project_id).order_by(alarm.id).limit(limit)
    if project_id is not None:
        query = query.where(history.on_behalf_of == project_id,
                            alarm.project_id == project_id)
    return [Results(row[0], row[1], _counters(row[2:]))
            for row in conn.execute(query)]


def _counters(numbers: Iterable[int]) -> dict[str, int]:
    return {state: int(number)
            for state, number in zip(STATES, numbers, strict=True)}
