# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many alarms a project and a user may have.

A new alarm is counted in the transaction that inserts it. Where there is a
limit, that transaction locks a row of the project, then one of the user: of
two that would take the last place the second one waits, and then counts the
alarm of the first. Without a limit nothing is locked.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

from oslo_db import api as oslo_db_api
import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm import exception
from doctor_alarm.objects import definition

#: The only resource that is limited.
ALARMS = 'alarms'
UNLIMITED = -1

_PROJECT, _USER = 'project', 'user'
_C = models.quota.c


@dataclasses.dataclass(frozen=True, slots=True)
class Defaults:
    """Limits of whom no other is set for."""

    project: int = UNLIMITED
    user: int = UNLIMITED


def of_project(conn: sa.Connection, project_id: str) -> dict[str, int]:
    """Return the limits that are set for a project, by resource."""
    found = conn.execute(_of(_PROJECT, project_id)).scalar()
    return {} if found is None else {ALARMS: found}


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)
def set_project(db: db_api.Database, project_id: str,
                limits: Mapping[str, int]) -> None:
    """Set limits of a project; alarms beyond them stay."""
    with db.writer() as conn:
        for resource, limit in limits.items():
            conn.execute(
                rows.upsert(rows.dialect_of(conn), models.quota,
                            ['kind', 'owner', 'resource'], ['hard_limit']),
                {'kind': _PROJECT, 'owner': project_id,
                 'resource': resource, 'hard_limit': limit})


def delete_project(db: db_api.Database, project_id: str) -> None:
    """Let the defaults hold for a project."""
    with db.writer() as conn:
        conn.execute(sa.update(models.quota).where(
            _C.kind == _PROJECT, _C.owner == project_id
        ).values(hard_limit=None))


def prepare(db: db_api.Database, project_id: str, user_id: str,
            defaults: Defaults) -> None:
    """Make the rows that :func:`check` locks, if there is a limit.

    Beforehand, and for good: a row that a transaction both makes and waits
    for is what deadlocks are made of.
    """
    with db.reader() as conn:
        missing = [kind for kind, owner, default in _limited(
            project_id, user_id, defaults)
            if default >= 0 and conn.execute(
                _of(kind, owner)).first() is None]
    if missing:
        owners = {_PROJECT: project_id, _USER: user_id}
        with db.writer() as conn:
            conn.execute(
                rows.upsert(db.dialect, models.quota,
                            ['kind', 'owner', 'resource'], ()),
                [{'kind': kind, 'owner': owners[kind], 'resource': ALARMS,
                  'hard_limit': None} for kind in missing])


def check(conn: sa.Connection, project_id: str, user_id: str,
          defaults: Defaults) -> None:
    """Make sure that there is room for one more alarm until the commit.

    :raises OverQuota: there is none
    """
    alarm = models.alarm.c
    columns = {_PROJECT: alarm.project_id, _USER: alarm.user_id}
    for kind, owner, default in _limited(project_id, user_id, defaults):
        limit = _limit(conn, _of(kind, owner), default)
        if limit >= 0:
            limit = _limit(conn, _of(kind, owner).with_for_update(), default)
        if 0 <= limit <= _count(conn, columns[kind] == owner, limit):
            raise exception.OverQuota(user=user_id, project=project_id)


def _limited(project_id: str, user_id: str, defaults: Defaults,
             ) -> Iterator[tuple[str, str, int]]:
    """Give (kind, owner, default) in the order of the locks."""
    yield _PROJECT, project_id, defaults.project
    if user_id:
        yield _USER, user_id, defaults.user


def _of(kind: str, owner: str) -> sa.Select[Any]:
    return sa.select(_C.hard_limit).where(
        _C.kind == kind, _C.owner == owner, _C.resource == ALARMS)


def _limit(conn: sa.Connection, query: sa.Select[Any],
           default: int) -> int:
    found = conn.execute(query).scalar()
    return default if found is None else found


def _count(conn: sa.Connection, condition: sa.ColumnElement[bool],
           limit: int) -> int:
    """Return how many alarms there are, up to the limit: no need to go on."""
    some = sa.select(models.alarm.c.id).where(
        condition, definition.VISIBLE).limit(limit).subquery()
    return conn.execute(
        sa.select(sa.func.count()).select_from(some)).scalar_one()
