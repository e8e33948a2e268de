# SPDX-License-Identifier: Apache-2.0
"""Composite rules between JSON and the storage."""
from __future__ import annotations

import json
from typing import Any

from doctor_alarm.api.forms import event_rule
from doctor_alarm import composite
from doctor_alarm import exception
from doctor_alarm.objects import definition
from doctor_alarm.schemas import alarm as schema
from doctor_alarm.schemas import sentence

TYPE = 'composite'


def parse(rule: Any, own: str) -> dict[str, Any]:
    """Return a rule as it is stored.

    Whether the alarms are there that it refers to is for the storage to say.

    :param own: how sentences call it
    :raises Invalid: names the field
    """
    found: dict[str, Any] = _node(rule, own, 0)
    count = sum(1 for _ in composite.leaves(found))
    if count > composite.MAX_LEAVES:
        raise exception.Invalid('%s has %d rules, of at most %d.' % (
            own, count, composite.MAX_LEAVES))
    if len(json.dumps(found)) > composite.MAX_SIZE:
        raise exception.Invalid('%s is longer than %d characters.' % (
            own, composite.MAX_SIZE))
    return found


def foreign(rule: Any) -> str | None:
    """Return what is said of the first leaf that is for another service.

    :param rule: whatever somebody sent
    """
    for _path, leaf in composite.leaves(rule):
        kind = leaf.get('type') if isinstance(leaf, dict) else None
        if isinstance(kind, str) and kind in schema.FOREIGN_TYPES:
            return schema.FOREIGN_TYPES[kind]
    return None


def _node(node: Any, path: str, depth: int) -> dict[str, Any]:
    join = composite.join_of(node)
    if join is None:
        return _leaf(node, path, depth)
    if depth >= composite.MAX_DEPTH:
        raise exception.Invalid('%s is nested more than %d levels deep.' % (
            path.partition('.')[0], composite.MAX_DEPTH))
    below = node[join]
    path += '.' + join
    if not isinstance(below, list) or not below:
        raise exception.Invalid(sentence.invalid(
            path, below, 'Value must be a list of at least one rule.'))
    return {join: [_node(part, '%s[%d]' % (path, i), depth + 1)
                   for i, part in enumerate(below)]}


def _leaf(leaf: Any, path: str, depth: int) -> dict[str, Any]:
    if not isinstance(leaf, dict) or not depth:
        raise exception.Invalid(sentence.invalid(
            path, leaf, 'Value must be an object with "and" or "or", whose '
            'value is a list of rules.'))
    kind = leaf.get('type')
    if kind is None:
        raise exception.Invalid(sentence.missing(path + '.type'))
    checker = (schema.LEAF_CHECKERS.get(kind)
               if isinstance(kind, str) else None)
    if checker is None:
        raise exception.Invalid(sentence.invalid(
            path + '.type', kind, schema.FOREIGN_TYPES.get(
                str(kind), 'Value should be one of: %s' % ', '.join(
                    schema.LEAF_CHECKERS))))
    for _field, wrong in checker.errors(leaf, path):
        raise exception.Invalid(wrong)
    if kind == composite.ALARM:
        if not definition.ID.fullmatch(leaf['alarm_id']):
            raise exception.Invalid(sentence.invalid(
                path + '.alarm_id', leaf['alarm_id'],
                'Value must be the id of an alarm.'))
        return {'type': kind, 'alarm_id': leaf['alarm_id']}
    return {'type': kind, **event_rule.parse(leaf, path)}
