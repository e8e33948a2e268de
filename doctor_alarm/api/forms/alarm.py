# SPDX-License-Identifier: Apache-2.0
"""Alarms between JSON and the storage."""
from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
from typing import Any

from doctor_alarm import action
from doctor_alarm.api.forms import composite_rule as composite
from doctor_alarm.api.forms import event_rule
from doctor_alarm import constraint
from doctor_alarm import credential
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.schemas import alarm as schema
from doctor_alarm.schemas import sentence
from doctor_alarm import transition

ACTIONS = ('ok_actions', 'alarm_actions', 'insufficient_data_actions')


def parse(doc: Any, *, project_id: str, user_id: str,
          **stored: Any) -> alarm_obj.Alarm:
    """Return the alarm that a client describes; what it omits by default.

    :param project_id: the owner, whatever the document says
    :param stored: what clients do not set: id, times
    :raises Invalid: names the field
    """
    wrong = schema.CHECKER.first(doc)
    if wrong:
        raise exception.Invalid(wrong)
    _check_size(doc)
    rule = _rule(doc)
    return alarm_obj.Alarm(
        name=doc['name'], type=doc['type'], rule=rule,
        project_id=project_id, user_id=user_id,
        description=doc.get('description') or _description(doc['type'], rule),
        enabled=doc.get('enabled', True),
        severity=doc.get('severity', 'low'),
        repeat_actions=doc.get('repeat_actions', False),
        state=doc.get('state', transition.UNKNOWN),
        time_constraints=[
            _time_constraint(i, item)
            for i, item in enumerate(_constraints(doc))],
        delivery=_delivery(doc),
        ok_actions=_actions(doc, 'ok_actions'),
        alarm_actions=_actions(doc, 'alarm_actions'),
        insufficient_data_actions=_actions(
            doc, 'insufficient_data_actions'), **stored)


def _check_size(doc: Mapping[str, Any]) -> None:
    size = sum(len(json.dumps(value, ensure_ascii=False))
               for name, value in doc.items()
               if name not in schema.READ_ONLY)
    if size > schema.MAX_SIZE:
        raise exception.TooLarge(
            'An alarm must not be larger than %d characters'
            % schema.MAX_SIZE)


def replace(old: alarm_obj.Alarm, new: alarm_obj.Alarm,
            doc: Mapping[str, Any], vault: credential.Vault,
            ) -> alarm_obj.Alarm:
    """Return an alarm as a ``PUT`` changes it.

    :param new: what :func:`parse` made of the document
    :raises Invalid: as :func:`complete`
    """
    state, reason = old.state, old.state_reason
    if new.state != old.state and not _state_is_echo(old, doc):
        state, reason = new.state, alarm_obj.REASON_API
    known = [url for name in ACTIONS for url in getattr(old, name)]
    restored: dict[str, Any] = {
        name: action.restored(
            getattr(new, name), getattr(old, name), known)
        for name in ACTIONS}
    return complete(dataclasses.replace(
        new, state=state, state_reason=reason, **restored), vault, known)


def complete(alarm: alarm_obj.Alarm, vault: credential.Vault,
             known: Sequence[str] = ()) -> alarm_obj.Alarm:
    """Return the alarm with each action once, as it is stored.

    :param known: the actions that the alarm had
    :raises Invalid: one was copied from where its credentials are not shown
    :raises NoKey: its credentials can not be encrypted
    """
    sealed: dict[str, str] = {}
    if known and any(
            action.has_credentials(url) and not action.is_sealed(url)
            for name in ACTIONS for url in getattr(alarm, name)):
        # What is sent again stays what it is: a way of its own.
        sealed = vault.opened(known)
    changed: dict[str, Any] = {}
    for name in ACTIONS:
        urls = getattr(alarm, name)
        for url in urls:
            if action.is_masked(url):
                raise exception.Invalid(sentence.invalid(
                    name, url, 'The credentials in it are masked.'))
            if url not in sealed:
                # Once for all lists: they are one way to one receiver.
                sealed[url] = vault.seal(url)
        if any(sealed[url] != url for url in urls) or len(urls) > 1:
            changed[name] = list(dict.fromkeys(sealed[url] for url in urls))
    return dataclasses.replace(alarm, **changed) if changed else alarm


def serialize(alarm: alarm_obj.Alarm) -> dict[str, Any]:
    """Return an alarm in the form of Aodh's API."""
    return {
        'alarm_id': alarm.id,
        'name': alarm.name,
        'description': alarm.description,
        'enabled': alarm.enabled,
        'type': alarm.type,
        '%s_rule' % alarm.type: {
            name: value for name, value in alarm.rule.items()
            if name != 'resource_id'},
        'resource_id': alarm.rule.get('resource_id'),
        **{name: [action.masked(url) for url in getattr(alarm, name)]
           for name in ACTIONS},
        'repeat_actions': alarm.repeat_actions,
        'time_constraints': list(alarm.time_constraints),
        'delivery': dict(alarm.delivery),
        'severity': alarm.severity,
        'project_id': alarm.project_id,
        'user_id': alarm.user_id,
        'timestamp': iso(alarm.timestamp),
        'state': alarm.state,
        'state_timestamp': iso(alarm.state_timestamp),
        'state_reason': alarm.state_reason,
        'evaluate_timestamp': iso(alarm.evaluate_timestamp),
    }


def iso(microseconds: int) -> str:
    """Return a time as OpenStack writes it: naive, UTC."""
    return event.to_iso(event.from_us(microseconds))


def _state_is_echo(old: alarm_obj.Alarm, doc: Mapping[str, Any]) -> bool:
    """Whether the document does not mean to set the state.

    Clients read an alarm, change it and send it back whole. If its state
    changed in between, that was after what they saw: it stays.
    """
    if 'state' not in doc:
        return True
    seen = doc.get('state_timestamp')
    return isinstance(seen, str) and seen != iso(old.state_timestamp)


def _rule(doc: Mapping[str, Any]) -> dict[str, Any]:
    kind = doc['type']
    if kind not in schema.TYPES:
        raise exception.Invalid(sentence.invalid(
            'type', kind, schema.FOREIGN_TYPES[kind]))
    own = '%s_rule' % kind
    rule = doc.get(own)
    if rule is None:
        raise exception.Invalid(
            '%s must be set for %s type alarm' % (own, kind))
    for other in (*schema.TYPES, *schema.FOREIGN_TYPES):
        if other != kind and doc.get('%s_rule' % other) is not None:
            raise exception.Invalid(
                '%s and %s_rule cannot be set at the same time'
                % (own, other))
    if kind == composite.TYPE:
        if doc.get('resource_id'):
            raise exception.Invalid(sentence.invalid(
                'resource_id', doc['resource_id'],
                'Each rule of a composite alarm may have one.'))
        return composite.parse(rule, own)
    return event_rule.parse(
        {**rule, 'resource_id': doc.get('resource_id')}, own)


def _actions(doc: Mapping[str, Any], name: str) -> list[str]:
    return list(doc.get(name) or ())


def _description(kind: str, rule: Mapping[str, Any]) -> str:
    if kind != 'event':
        return '%s alarm rule' % kind
    if 'timeout' in rule:
        return 'Alarm when no %s event occurred for %d seconds.' % (
            rule['event_type'], rule['timeout'])
    return 'Alarm when %s event occurred.' % rule['event_type']


def _delivery(doc: Mapping[str, Any]) -> dict[str, int | bool | None]:
    """Return what a client says of it; the rest is the operator's."""
    found = dict(doc.get('delivery') or {})
    if found.get('max_age') is not None:
        # 60.0 is a whole number, too.
        found['max_age'] = int(found['max_age'])
    return found


def _constraints(doc: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = doc.get('time_constraints') or ()
    if len({item['name'] for item in found}) < len(found):
        raise exception.Invalid(
            'Time constraint names must be unique for a given alarm.')
    return found


def _time_constraint(index: int, item: Mapping[str, Any]) -> dict[str, Any]:
    field = 'time_constraints[%d].' % index
    duration = item['duration']
    if isinstance(duration, str):
        if not (duration.isascii() and duration.isdigit()):
            raise exception.Invalid(sentence.invalid(
                field + 'duration', duration,
                'Value must be a whole number.'))
        duration = int(duration)
    zone = item.get('timezone') or ''
    wrong = constraint.complaint(item['start'], zone)
    if wrong:
        name, words = wrong
        raise exception.Invalid(sentence.invalid(
            field + name, item.get(name), words))
    return {
        'name': item['name'],
        'description': item.get('description') or (
            'Time constraint at %s lasting for %s seconds'
            % (item['start'], duration)),
        'start': item['start'], 'duration': duration, 'timezone': zone,
    }
