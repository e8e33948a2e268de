# SPDX-License-Identifier: Apache-2.0
"""Event rules between JSON and the storage."""
from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.schemas import sentence


def parse(rule: Mapping[str, Any], own: str) -> dict[str, Any]:
    """Return a rule as it is stored.

    :param rule: of the shape that the schema has; beside it ``resource_id``
    :param own: how sentences call it
    :raises Invalid: names the field
    """
    found = {**_pattern(rule, own), **_beside(rule, own)}
    if rule.get('scope') == match.CLOUD:
        found['scope'] = match.CLOUD
    if rule.get('resource_id'):
        found['resource_id'] = rule['resource_id']
    match.compile_rule(found)
    return found


def _beside(rule: Mapping[str, Any], own: str) -> dict[str, Any]:
    """Return the other patterns of a rule, and what it says of time.

    :raises Invalid: they have no meaning together
    """
    found: dict[str, Any] = {}
    for name in ('clear', 'after'):
        beside = rule.get(name)
        if beside is not None:
            if not (beside.get('event_type') or beside.get('query')):
                raise exception.Invalid(sentence.invalid(
                    '%s.%s' % (own, name), beside,
                    'Value must have event_type or query, or be omitted.'))
            found[name] = _pattern(beside, '%s.%s' % (own, name))
    if rule.get('timeout') is not None:
        found['timeout'] = int(rule['timeout'])
    if 'clear' in found and 'timeout' in found:
        raise exception.Invalid(
            '%s.clear and %s.timeout cannot be set at the same time: the '
            'expected event clears.' % (own, own))
    if 'after' in found and 'timeout' not in found:
        raise exception.Invalid(
            '%s.after needs %s.timeout beside it.' % (own, own))
    return found


def _pattern(rule: Mapping[str, Any], path: str) -> dict[str, Any]:
    query = [{
        'field': item['field'], 'op': item.get('op') or 'eq',
        'value': _text(item['value']), 'type': item.get('type') or '',
    } for item in rule.get('query') or ()]
    for index, item in enumerate(query):
        _check_condition(item, '%s.query[%d].' % (path, index))
    return {'event_type': rule.get('event_type') or '*', 'query': query}


def _check_condition(item: Mapping[str, str], path: str) -> None:
    if item['field'] == 'traits.':
        raise exception.Invalid(sentence.invalid(
            path + 'field', item['field'], 'Value must name a trait.'))
    if item['type'] == 'float' and not _may_be_finite(item['value']):
        raise exception.Invalid(sentence.invalid(
            path + 'value', item['value'], 'Value must be a finite number.'))


def _may_be_finite(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return True     # which it is not has a sentence of its own


def _text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else str(value)
