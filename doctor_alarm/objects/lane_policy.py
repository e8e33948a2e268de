# SPDX-License-Identifier: Apache-2.0
"""What alarms say of how their deliveries age, on their lanes.

It is the text of the alarm's ``delivery``. A new lane has that of its alarm;
when the alarm changes, so do its lanes.
"""
from __future__ import annotations

import functools

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm.objects import lane as lane_obj


def change(conn: sa.Connection, dialect: str, alarm_id: str,
           delivery: str) -> None:
    """Change it on all lanes of an alarm.

    The alarm is locked already, so there are no new lanes meanwhile.
    """
    lane = models.lane
    ids = conn.execute(
        sa.select(lane.c.id).where(lane.c.alarm_id == alarm_id)
    ).scalars().all()
    if ids:
        # In their order, as everybody does.
        lane_obj.lock(conn, dialect, ids)
        conn.execute(_change(dialect), {
            'v': rows.values((i, delivery) for i in sorted(ids))})


@functools.cache
def _change(dialect: str) -> sa.Update:
    lane = models.lane
    new = rows.table(dialect, {'id': 'id', 'delivery': 'id'})
    return update.joined(
        dialect, lane, new, lane.c.id == new.c.id,
    ).values({lane.c.delivery: new.c.delivery})
