# SPDX-License-Identifier: Apache-2.0
"""What nova and neutron are to be told, in a service without a broker."""
from __future__ import annotations

from collections.abc import Collection
import dataclasses
import json
import time
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """Events in wire form, which say what is to be done."""

    id: int
    docs: list[dict[str, Any]]


def add(db: db_api.Database, docs: list[dict[str, Any]]) -> Work:
    """Store some; it is durable then."""
    with db.writer() as conn:
        made = conn.execute(sa.insert(models.work).values(
            body=json.dumps(docs), created_at=int(time.time() * 1e6)))
    key = made.inserted_primary_key
    assert key is not None      # noqa: S101
    return Work(key[0], docs)


def read(db: db_api.Database) -> list[Work]:
    """Return all that is left, in the order of its arrival."""
    with db.reader() as conn:
        rows = conn.execute(
            sa.select(models.work).order_by(models.work.c.id)).all()
    return [Work(row.id, json.loads(row.body)) for row in rows]


def remove(db: db_api.Database, ids: Collection[int]) -> None:
    """Forget what is done."""
    with db.writer() as conn:
        conn.execute(sa.delete(models.work).where(
            models.work.c.id.in_(ids)))
