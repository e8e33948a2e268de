# SPDX-License-Identifier: Apache-2.0
"""The trial of a rule with an event: what holds, value by value."""
from __future__ import annotations

from collections.abc import Mapping
import datetime
import fnmatch
import json
from typing import Any
import uuid

from doctor_alarm.api.forms import alarm as alarm_form
from doctor_alarm.api.forms import composite_rule
from doctor_alarm.api.forms import event as event_form
from doctor_alarm import composite
from doctor_alarm import constraint
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.schemas import sentence
from doctor_alarm.schemas import trial as schema

_TYPES = {event_mod.TraitType.TEXT: 'string',
          event_mod.TraitType.INTEGER: 'integer',
          event_mod.TraitType.FLOAT: 'float',
          event_mod.TraitType.DATETIME: 'datetime'}


def parse(doc: Any, project_id: str | None) -> alarm_obj.Alarm:
    """Return the alarm whose rule is tried.

    :param project_id: of the alarm
    :raises Invalid: names the field
    """
    wrong = schema.CHECKER.first(doc)
    if isinstance(doc, dict) and not {'event_rule', 'composite_rule'} & set(
            doc):
        wrong = sentence.missing('event_rule')
    if wrong:
        raise exception.Invalid(wrong)
    kind = 'composite' if doc.get('composite_rule') else 'event'
    return alarm_form.parse(
        {'name': 'trial', 'type': kind,
         'event_rule': doc.get('event_rule'),
         'composite_rule': doc.get('composite_rule'),
         'resource_id': doc.get('resource_id'),
         'time_constraints': doc.get('time_constraints')},
        project_id=project_id or '', user_id='')


def run(alarm: alarm_obj.Alarm, event_doc: Mapping[str, Any],
        received: datetime.datetime) -> dict[str, Any]:
    """Return what the rule of an alarm makes of an event.

    :param event_doc: its project is that of the alarm if it names none
    :raises Invalid: names the field
    """
    event = _event(event_doc, alarm.project_id or None, received)
    in_time = constraint.permits(alarm.time_constraints, event.generated)
    if alarm.type == composite_rule.TYPE:
        return _run_composite(alarm, event, in_time)
    return _run_rule(alarm.rule, alarm.project_id, event, in_time)


def _run_composite(alarm: alarm_obj.Alarm, event: event_mod.Event,
                   in_time: bool) -> dict[str, Any]:
    """Return what each leaf makes of an event, and all of them together.

    Alarms that the rule refers to are taken for not in alarm.
    """
    tree = composite.compiled(json.dumps(alarm.rule))
    leaves = [dict(leaf) if leaf['type'] == composite.ALARM else _run_rule(
        leaf, alarm.project_id, event, True) for leaf in tree.leaves]
    holds = tree.holds([
        leaf.get('verdict') == match.RAISE for leaf in leaves])
    return {
        'verdict': match.RAISE if holds and in_time else None,
        'in_time': in_time,
        'composition_form': tree.form,
        'rules': {'rule%d' % (i + 1): leaf for i, leaf in enumerate(leaves)},
    }


def _run_rule(text: Mapping[str, Any], project_id: str,
              event: event_mod.Event, in_time: bool) -> dict[str, Any]:
    rule = match.compile_rule(text)
    verdict = rule.verdict(event)
    own = rule.concerns(project_id, event)
    return {
        'verdict': verdict if own and (
            in_time or verdict != match.RAISE) else None,
        'event_of_the_project': own,
        'in_time': in_time,
        'raise': _explain(rule.raises, event) if rule.raises else None,
        'clear': _explain(rule.clears, event) if rule.clears else None,
        'start': _explain(rule.starts, event) if rule.starts else None,
    }


def _event(doc: Mapping[str, Any], project_id: str | None,
           received: datetime.datetime) -> event_mod.Event:
    """Read an event as detectors post it, or as receivers and buses have it.

    :raises Invalid: names the field
    """
    if 'event_type' not in doc:
        return event_form.parse(
            {'event': doc}, event_form.Post(project_id, received))[0].event
    try:
        return event_mod.Event.from_wire({
            'message_id': str(uuid.uuid4()), 'project_id': project_id,
            'generated': received, **doc}, received=received)
    except exception.InvalidEvent as exc:
        raise exception.Invalid('event: %s' % exc) from exc


def _explain(pattern: match.Pattern,
             event: event_mod.Event) -> dict[str, Any]:
    return {
        'holds': pattern.hits(event),
        'resource_id': pattern.resource and {
            'holds': pattern.resource in event.identities,
            'value': pattern.resource, 'found': sorted(event.identities)},
        'event_type': {
            'holds': fnmatch.fnmatchcase(
                event.event_type, pattern.event_type),
            'value': pattern.event_type, 'found': event.event_type},
        'query': [{
            'holds': condition.holds(event),
            'field': condition.field, 'op': condition.op,
            'value': condition.value, 'type': condition.type,
            **_found(condition.value_in(event)),
        } for condition in pattern.conditions],
    }


def _found(value: Any) -> dict[str, Any]:
    if value is None:
        return {'found': None, 'found_type': None}
    shown = (event_mod.to_iso(value)
             if isinstance(value, datetime.datetime) else value)
    return {'found': shown,
            'found_type': _TYPES[event_mod.trait_type(value)]}
