# SPDX-License-Identifier: Apache-2.0
"""What was given up is sent again, because somebody asks for it.

They go through their lane, with the number that they had: the lane is set
back to the first of them. Whoever has its lease finds them at its next
commit, which never moves a lane over what waits; else the sweep does.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import functools
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm.db import update
from doctor_alarm import exception
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import lane as lane_obj


def replay(db: db_api.Database, ids: Iterable[str],
           project_id: str | None = None) -> None:
    """Let deliveries that were given up wait again, all or none.

    Their attempts are counted anew.

    :param project_id: only those of this project are found
    :raises NotFound: one of them does not exist
    :raises NotGivenUp: one of them waits, or was delivered
    """
    wanted = list(dict.fromkeys(ids))
    dialect = db.dialect
    with db.writer() as conn:
        found = _read(conn, dialect, wanted)
        lanes = lane_obj.lock(
            conn, dialect, {row.lane_id for row in found.values()})
        # As they are now: others change them under the lock of the lane.
        found = _read(conn, dialect, wanted)
        for id_ in wanted:
            row = found.get(id_)
            if row is None or project_id not in (None, row.project_id):
                raise exception.NotFound(what='Delivery', id=id_)
            if row.status not in delivery_obj.GIVEN_UP:
                raise exception.NotGivenUp(id=id_, status=row.status)
        now = db.now()
        conn.execute(_replay(dialect), {
            'v': rows.values((i,) for i in wanted), 'now': now})
        out = batch.Batch(conn)
        lane_obj.store(out, _set_back(lanes, list(found.values()), now))
        out.run()


def _read(conn: sa.Connection, dialect: str, ids: Sequence[str],
          ) -> dict[str, sa.Row[Any]]:
    # NOTE: names from outside; ids are ASCII, on every database.
    known = [i for i in ids if i.isascii() and '\0' not in i and len(i) <= 64]
    return {row.id: row for row in conn.execute(
        _wanted(dialect), {'v': rows.values((i,) for i in known)})}


def _set_back(lanes: dict[str, sa.Row[Any]], found: Sequence[sa.Row[Any]],
              now: int) -> list[lane_obj.State]:
    first: dict[str, int] = {}
    for row in found:
        first[row.lane_id] = min(
            row.sequence, first.get(row.lane_id, row.sequence))
    states = []
    for id_, lane in lanes.items():
        head = min(lane.head, first[id_])
        if lane.token is None:
            states.append(lane_obj.State(id_, head, now, None, 0))
        else:
            states.append(lane_obj.State(
                id_, head, lane.due, lane.token, lane.attempts))
    return states


@functools.cache
def _wanted(dialect: str) -> sa.Select[Any]:
    delivery = models.delivery
    wanted = rows.table(dialect, {'id': 'id'})
    return sa.select(
        delivery.c.id, delivery.c.lane_id, delivery.c.sequence,
        delivery.c.status, delivery.c.project_id,
    ).select_from(wanted.join(
        delivery, delivery.c.id == wanted.c.id)).prefix_with(
            'STRAIGHT_JOIN', dialect='mysql').prefix_with(
                'STRAIGHT_JOIN', dialect='mariadb')


@functools.cache
def _replay(dialect: str) -> sa.Update:
    delivery = models.delivery
    wanted = rows.table(dialect, {'id': 'id'})
    return update.joined(
        dialect, delivery, wanted, delivery.c.id == wanted.c.id,
        delivery.c.status.in_(delivery_obj.GIVEN_UP),
    ).values({
        delivery.c.status: delivery_obj.PENDING, delivery.c.attempts: 0,
        delivery.c.replayed_at: sa.bindparam('now', type_=sa.BigInteger())})
