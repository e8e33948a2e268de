# SPDX-License-Identifier: Apache-2.0
"""Events that were posted lately: a repetition gets the id of the first.

Then it is what a message that comes again is to everybody behind, and needs no
further care: it is sent all the same, so that nothing is lost where the first
was noted and never sent.
"""
from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import json

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.db import rows
from doctor_alarm import event as event_mod
from doctor_alarm import fault


def share_ids(conn: sa.Connection, dialect: str,
              events: Iterable[event_mod.Event], now: int,
              window: int) -> list[event_mod.Event]:
    """Return the events, repetitions with the id of the first.

    The same are those of one owner with the same type, hostname and status;
    where one of them is missing, none is. Another status of the host is news
    and makes news of what follows.

    :param now: time of the database, microseconds
    :param window: microseconds from the first on
    """
    found = list(events)
    hosts = {number: host for number, event in enumerate(found)
             if (host := _host(event))}
    # In one order, or two workers would wait for each other.
    for number in sorted(hosts, key=hosts.__getitem__):
        first = _first_id(conn, dialect, found[number], hosts[number], now,
                          window)
        found[number] = dataclasses.replace(found[number], message_id=first)
    return found


def _host(event: event_mod.Event) -> str | None:
    """Return what stands for owner and host, if event can be a repetition."""
    hostname = event.traits.get(fault.HOSTNAME)
    if not hostname or not event.traits.get(fault.STATUS):
        return None
    return event_mod.derived_id('posted host', json.dumps(
        [event.trusted, event.project_id, str(hostname)]))


def _first_id(conn: sa.Connection, dialect: str, event: event_mod.Event,
              host_id: str, now: int, window: int) -> str:
    posted = models.posted_event
    status = str(event.traits[fault.STATUS])
    status_id = event_mod.derived_id('posted status', status)
    same = event_mod.derived_id(
        'posted event', host_id, event.event_type, status)
    conn.execute(sa.delete(posted).where(
        posted.c.host_id == host_id, posted.c.status_id != status_id))
    look = sa.select(posted.c.message_id, posted.c.posted_at).where(
        posted.c.id == same).with_for_update()
    first = conn.execute(look).one_or_none()
    if first is None:
        # Of two at the same time one inserts, and the other waits for it.
        conn.execute(rows.upsert(dialect, posted, ['id'], ()), {
            'id': same, 'host_id': host_id, 'status_id': status_id,
            'message_id': event.message_id, 'posted_at': now})
        first = conn.execute(look).one_or_none()
    if first is not None and first.posted_at > now - window:
        return str(first.message_id)
    conn.execute(sa.update(posted).where(posted.c.id == same).values(
        message_id=event.message_id, posted_at=now))
    return event.message_id
