# SPDX-License-Identifier: Apache-2.0
"""Faults as JSON."""
from __future__ import annotations

import collections
from typing import Any

import sqlalchemy as sa

from doctor_alarm.api.forms import alarm
from doctor_alarm import fault as words
from doctor_alarm.objects import fault_list

#: Stages of OPNFV Doctor's profiler, under its names.
STAGES = {
    'T00': 'occurred',
    'T01': 'raw failure',
    'T02': 'found affected',
    'T03': 'set server error',
    'T04': 'marked host down',
    'T05': 'notified server error',
    'T06': 'transformed event',
    'T07': 'evaluated event',
    'T08': 'fired alarm',
    'T09': 'received alarm',
}
#: Stage of a notification -> its column.
_NOTIFICATION = {
    'T06': 'transformed_at', 'T07': 'evaluated_at', 'T08': 'fired_at',
    'T09': 'received_at'}


def listed(fault: fault_list.Listed) -> dict[str, Any]:
    """Return a fault without what belongs to it."""
    return {
        'id': fault.id,
        'status': fault.status,
        'type': fault.fault_type,
        'root_cause': fault.root_cause,
        'cause': fault.cause,
        'source': fault.source,
        'resource_id': fault.resource_id,
        'host': fault.host or None,
        'affected': fault.affected,
        'unmonitored': fault.unmonitored,
        'detected_at': alarm.iso(fault.detected_at),
        'reported_at': _iso(fault.reported_at),
    }


def serialize(shown: fault_list.Shown) -> dict[str, Any]:
    """Return a fault with its servers, notifications and time line."""
    actions = collections.defaultdict(list)
    for row in shown.actions:
        actions[row.target].append(_action(row))
    spans = _spans(shown)
    return {
        **listed(shown.fault),
        'timeline': {
            stage: {'name': name, 'first': _iso(spans[stage][0]),
                    'last': _iso(spans[stage][1])}
            for stage, name in STAGES.items()},
        'duration': _duration(spans),
        'actions': actions[shown.fault.resource_id] if (
            shown.fault.host) else [],
        'servers': [
            {'server_id': row.server_id, 'name': row.name,
             'project_id': row.project_id, 'state': row.state,
             'actions': actions[row.server_id]} for row in shown.servers],
        'notified': shown.notified,
        'delivered': shown.delivered,
        'notifications': [_notification(row, shown.fault)
                          for row in shown.notifications],
    }


def _spans(shown: fault_list.Shown) -> dict[str, fault_list.Span]:
    """Return first and last time of each stage."""
    fault, spans = shown.fault, shown.spans
    nobody: fault_list.Span = (None, None)
    return {
        'T00': (fault.occurred_at, fault.occurred_at),
        'T01': (fault.detected_at, fault.detected_at),
        'T02': (fault.found_at, fault.found_at),
        'T03': spans.get(words.RESET_STATE, nobody),
        'T04': spans.get(words.FORCE_DOWN, nobody),
        'T05': (fault.found_at, fault.found_at),
        **{stage: spans.get(column, nobody)
           for stage, column in _NOTIFICATION.items()}}


def _duration(spans: dict[str, fault_list.Span]) -> float | None:
    """Return the seconds from the fault to the last who received it."""
    began, ended = spans['T00'][0] or spans['T01'][0], spans['T09'][1]
    return None if began is None or ended is None else (ended - began) / 1e6


def _action(row: sa.Row[Any]) -> dict[str, Any]:
    return {'action': row.action, 'outcome': row.outcome,
            'reason': row.reason or None, 'ended_at': alarm.iso(row.ended_at)}


def _notification(row: sa.Row[Any],
                  fault: fault_list.Listed) -> dict[str, Any]:
    times = {stage: getattr(row, column)
             for stage, column in _NOTIFICATION.items()}
    return {
        'id': row.id,
        'alarm_id': row.alarm_id,
        'alarm_name': row.alarm_name,
        'project_id': row.project_id,
        'resource_id': row.resource_id,
        'current': row.current,
        'status': row.status,
        'timeline': {stage: _iso(time) for stage, time in {
            'T05': fault.found_at, **times}.items()},
    }


def _iso(microseconds: int | None) -> str | None:
    return None if microseconds is None else alarm.iso(microseconds)
