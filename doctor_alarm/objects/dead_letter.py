# SPDX-License-Identifier: Apache-2.0
"""Dead letters as a table, for a service without a broker."""
from __future__ import annotations

import json
import time
from typing import Any
import uuid

import sqlalchemy as sa

from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm import dead_letter


class TableDeadLetters:
    """Dead letters as a table."""

    def __init__(self, db: db_api.Database) -> None:
        self._db = db

    def put(self, reason: str, message_id: str, source: str,
            body: Any) -> None:
        """Store one letter."""
        with self._db.writer() as conn:
            conn.execute(sa.insert(models.dead_letter).values(
                id=str(uuid.uuid4()), message_id=message_id[:255],
                source=source[:255], reason=reason,
                body=json.dumps(body, default=str),
                created_at=int(time.time() * 1e6)))

    def list(self) -> list[dead_letter.Letter]:
        """Return all letters, oldest first."""
        with self._db.reader() as conn:
            rows = conn.execute(sa.select(models.dead_letter).order_by(
                models.dead_letter.c.created_at)).all()
        return [dead_letter.Letter(
            id=row.id, message_id=row.message_id, source=row.source,
            reason=row.reason, body=json.loads(row.body),
            created_at=row.created_at) for row in rows]

    def show(self, letter_id: str) -> dead_letter.Letter:
        """Return one letter.

        :raises NotFound: there is none with this id
        """
        return dead_letter.find(self.list(), letter_id)

    def remove(self, letter_id: str) -> None:
        """Forget a letter that was played again."""
        with self._db.writer() as conn:
            conn.execute(sa.delete(models.dead_letter).where(
                models.dead_letter.c.id == letter_id))
