# SPDX-License-Identifier: Apache-2.0
"""Alarms by project, and their end together with it."""
from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import quota

#: Ids that are read together.
CHUNK = 500

_C = models.alarm.c


def projects(db: db_api.Database) -> dict[str, int]:
    """Return how many alarms each project has that has some."""
    with db.reader() as conn:
        found = conn.execute(
            sa.select(_C.project_id, sa.func.count())
            .where(alarm_obj.VISIBLE).group_by(_C.project_id).order_by(_C.project_id)).all()
    return {row[0]: row[1] for row in found}


def purge(db: db_api.Database, project_id: str) -> int:
    """Delete the alarms of a project, and its quotas; return how many.

    Each as the API deletes it, in a short transaction of its own: what has
    fired is still delivered, and the history tells of the deletion.
    """
    def check(alarm: alarm_obj.Alarm) -> None:
        if alarm.project_id != project_id:      # it was given to another one
            raise exception.AlarmNotFound(id=alarm.id)

    count = 0
    for alarm_id in _ids(db, project_id):
        try:
            alarm_obj.delete(db, alarm_id, check=check)
        except exception.AlarmNotFound:
            continue
        count += 1
    quota.delete_project(db, project_id)
    return count


def _ids(db: db_api.Database, project_id: str) -> Iterator[str]:
    last = ''
    while True:
        with db.reader() as conn:
            found = conn.execute(sa.select(_C.id).where(
                _C.project_id == project_id, _C.id > last,
                alarm_obj.VISIBLE,
            ).order_by(_C.id).limit(CHUNK)).scalars().all()
        if not found:
            return
        yield from found
        last = found[-1]
