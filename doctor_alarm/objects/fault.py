# SPDX-License-Identifier: Apache-2.0
"""Faults as evaluators write them down: what inspectors tell, and to whom.

Each row is named by the event that told it. So an event which comes twice
makes nothing twice, and the order in which they come does not matter.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import datetime
from typing import Any

from doctor_alarm.db import api as db_api
from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm import event as event_mod
from doctor_alarm import fault as words

#: An event, and which part of a fault it tells.
_Told = tuple[event_mod.Event, words.Part]
_Row = dict[str, Any]


def told(events: Iterable[event_mod.Event]) -> list[_Told]:
    """Return those of some events that are to be written down."""
    return [(event, part) for event in events
            if (part := words.part_of(event)) is not None
            and part in _TABLES]


def record(db: db_api.Database, many: Collection[_Told]) -> None:
    """Write down what inspectors told, in a transaction of its own.

    Safe to repeat.
    """
    now = db.now()
    with db.writer() as conn:
        out = batch.Batch(conn)
        for part, (table, row) in _TABLES.items():
            rows = [row(event) for event, is_ in many if is_ is part]
            out.insert(table, rows, same={'created_at': now},
                       keys=(next(iter(table.primary_key)).name,))
        out.run()


def link(out: batch.Batch, events: Mapping[str, event_mod.Event],
         deliveries: Iterable[Mapping[str, Any]], now: int) -> None:
    """Note which deliveries tell of a fault; of most events none do.

    :param events: that the deliveries are about, by message id
    """
    faults = {
        message_id: event.traits[words.CORRELATION_ID]
        for message_id, event in events.items()
        if words.CORRELATION_ID in event.traits
        and words.part_of(event) in words.NOTIFIED}
    if faults:
        out.insert(models.fault_delivery, [
            {'delivery_id': delivery['id'],
             'fault_id': faults[delivery['message_id']]}
            for delivery in deliveries if delivery['message_id'] in faults],
            same={'created_at': now}, keys=('delivery_id',))


def _fault(event: event_mod.Event) -> _Row:
    return {
        'id': event.traits[words.CORRELATION_ID],
        'status': _text(event, words.STATUS),
        'fault_type': _text(event, 'fault_type'),
        **{name: _text(event, name) for name in (
            words.ROOT_CAUSE, words.CAUSE, words.SOURCE, 'resource_id',
            'host')},
        **{name: _number(event, name) for name in (
            'affected', 'unmonitored')},
        'occurred_at': _time(event, words.OCCURRED_AT),
        'detected_at': event.generated_us,
        'reported_at': _time(event, words.REPORTED_AT),
        'found_at': _time(event, words.FOUND_AT) or event.transformed_at}


def _server(event: event_mod.Event) -> _Row:
    return {
        'message_id': event.message_id,
        'fault_id': event.traits[words.CORRELATION_ID],
        'server_id': _text(event, 'instance_id'),
        'name': _text(event, 'display_name'),
        'project_id': _text(event, words.OWNER_ID),
        'state': _text(event, 'state')}


def _action(event: event_mod.Event) -> _Row:
    return {
        'message_id': event.message_id,
        'fault_id': event.traits[words.CORRELATION_ID],
        'target': event.resource_id,
        'action': _text(event, 'action'),
        'outcome': _text(event, 'outcome'),
        'reason': _text(event, 'reason'),
        'ended_at': event.transformed_at}


_TABLES: dict[words.Part, tuple[
        Any, Callable[[event_mod.Event], _Row]]] = {
    words.Part.FAULT: (models.fault, _fault),
    words.Part.SERVER: (models.fault_server, _server),
    words.Part.OUTCOME: (models.fault_action, _action),
}


def _text(event: event_mod.Event, name: str) -> str:
    return str(event.traits.get(name, ''))


def _number(event: event_mod.Event, name: str) -> int:
    value = event.traits.get(name)
    return value if isinstance(value, int) else 0


def _time(event: event_mod.Event, name: str) -> int | None:
    value = event.traits.get(name)
    return event_mod.to_us(value) if isinstance(
        value, datetime.datetime) else None
