# SPDX-License-Identifier: Apache-2.0
"""Stores many alarms at once, all of them or none."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import dataclasses
import itertools
import uuid

from oslo_db import api as oslo_db_api
import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import alarm_key
from doctor_alarm.objects import alarm_rows
from doctor_alarm.objects import change
from doctor_alarm.objects import composite

#: Alarms that are prepared while the database works on others.
CHUNK = 1000
#: Times that a deadlock with others is overcome.
RETRIES = 5


def import_all(db: db_api.Database,
               alarms: Iterable[alarm_obj.Alarm]) -> int:
    """Store alarms in one transaction; return how many.

    They keep their id, state and times where they have some. An error that
    the iterable raises undoes everything.

    :param alarms: read again after a deadlock, unless it is an iterator,
        which can not be
    :raises Duplicate: there is already an alarm with such an id
    """
    if isinstance(alarms, Iterator):
        return _import(db, alarms)
    retried = oslo_db_api.wrap_db_retry(
        max_retries=RETRIES, retry_on_deadlock=True)(_import)
    return int(retried(db, alarms))


def _import(db: db_api.Database, alarms: Iterable[alarm_obj.Alarm]) -> int:
    now = db.now()
    count = 0
    with db.writer() as conn:
        for rows in _ahead(_prepared(alarms, now)):
            _refuse_existing(conn, [row['id'] for row in rows.alarms])
            _insert(conn, rows)
            count += len(rows.changes)
        composite.note_all(conn)
    return count


def _insert(conn: sa.Connection, rows: alarm_rows.Rows) -> None:
    out = batch.Batch(conn)
    out.insert(models.alarm, rows.alarms, same={})
    out.insert(models.change, rows.changes, same={})
    out.insert(models.active_alarm, rows.waiting, same={})
    out.insert(models.composite_member, rows.members, same={})
    alarm_key.insert(conn, rows.keys)
    out.run()


def _prepared(alarms: Iterable[alarm_obj.Alarm],
              now: int) -> Iterator[alarm_rows.Rows]:
    iterator = iter(alarms)
    while many := list(itertools.islice(iterator, CHUNK)):
        yield alarm_rows.rows_of(
            [_complete(alarm, now) for alarm in many], change.SERVICE, now)


def _complete(alarm: alarm_obj.Alarm, now: int) -> alarm_obj.Alarm:
    if all((alarm.id, alarm.timestamp, alarm.state_timestamp,
            alarm.evaluate_timestamp)) and (
                alarm.version, alarm.active_count) == (1, 0):
        return alarm
    return dataclasses.replace(
        alarm, id=alarm.id or str(uuid.uuid4()), version=1, active_count=0,
        timestamp=alarm.timestamp or now,
        state_timestamp=alarm.state_timestamp or now,
        evaluate_timestamp=alarm.evaluate_timestamp or now)


def _ahead(items: Iterator[alarm_rows.Rows]) -> Iterator[alarm_rows.Rows]:
    """Prepare the next rows while the database works on the last ones."""
    with futures.ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (rows := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield rows


def _refuse_existing(conn: sa.Connection, ids: list[str]) -> None:
    seen: set[str] = set()
    for alarm_id in ids:
        if alarm_id in seen:
            raise exception.Duplicate(what='Alarm', id=alarm_id)
        seen.add(alarm_id)
    found = conn.execute(
        sa.select(models.alarm.c.id).where(models.alarm.c.id.in_(ids))
    ).scalar()
    if found is not None:
        raise exception.Duplicate(what='Alarm', id=found)
