# SPDX-License-Identifier: Apache-2.0
"""Writes alarms in the form that can be imported again."""
from __future__ import annotations

from collections.abc import Iterator
import json
from typing import Any

import sqlalchemy as sa

from doctor_alarm.api.forms import alarm as form
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm.db import models
from doctor_alarm.objects import alarm as alarm_obj

#: Alarms that are read together.
CHUNK = 1000


def lines(db: db_api.Database, project_id: str | None = None,
          vault: credential.Vault | None = None) -> Iterator[str]:
    """Give each alarm as a line of JSON, in the order of their ids.

    :param project_id: ``None``: those of all projects
    :param vault: decrypts the credentials of actions; ``None``: they stay
        encrypted, for a service with the same keys
    :raises Sealed: there is no key for some
    """
    last = ''
    while True:
        with db.reader() as conn:
            found = _read(conn, project_id, last)
        if not found:
            return
        for alarm in found:
            yield json.dumps(_document(alarm, vault))
        last = found[-1].id


def _read(conn: sa.Connection, project_id: str | None,
          after: str) -> list[alarm_obj.Alarm]:
    alarm = models.alarm.c
    query = sa.select(*alarm_obj.COLUMNS).where(
        alarm_obj.VISIBLE, alarm.id > after).order_by(alarm.id).limit(CHUNK)
    if project_id is not None:
        query = query.where(alarm.project_id == project_id)
    return [alarm_obj.from_row(row) for row in conn.execute(query).mappings()]


def _document(alarm: alarm_obj.Alarm,
              vault: credential.Vault | None) -> dict[str, Any]:
    doc = form.serialize(alarm)
    for name in form.ACTIONS:
        doc[name] = [vault.open(stored) if vault else stored
                     for stored in getattr(alarm, name)]
    return doc
