# SPDX-License-Identifier: Apache-2.0
"""Composite rules: alarms and event conditions joined by and/or. Pure.

A rule is ``{"and": [node, ...]}`` or ``{"or": [node, ...]}``, a node another
one or a leaf. Leaves are numbered in the order in which they are written:
``rule1``, ``rule2``, ..., as Aodh names them.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
from typing import Any

from doctor_alarm import exception
from doctor_alarm import transition

JOINS = ('and', 'or')
#: Leaves: the conditions of an event rule, or the state of another alarm.
EVENT = 'event'
ALARM = 'alarm'
#: Bounds of a rule: levels, leaves, and characters of its JSON.
MAX_DEPTH = 10
MAX_LEAVES = 100
MAX_SIZE = 65535
#: Trees that are kept; see ``candidate.COMPILED``.
COMPILED = 512

_REASON = 'Composite rule alarm with composition form: '

#: The position of a leaf, or (how it joins, what it joins).
_Node = int | tuple[str, list[Any]]


def join_of(node: Any) -> str | None:
    """Return how a node of a rule joins others; ``None``: it is a leaf."""
    if isinstance(node, Mapping) and len(node) == 1:
        for join in JOINS:
            if join in node:
                return join
    return None


def leaves(rule: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Give (path, leaf) in the order of their numbers, at any depth."""
    waiting = [(path, rule)]
    while waiting:
        path, node = waiting.pop()
        join = join_of(node)
        if join is None or not isinstance(node[join], list):
            yield path, node
            continue
        waiting += [('%s.%s[%d]' % (path, join, i), below)
                    for i, below in enumerate(node[join])][::-1]


def references(rule: Any) -> dict[str, str]:
    """Return the ids of the alarms that a rule refers to, with their paths.
    """
    return {leaf['alarm_id']: path for path, leaf in leaves(rule)
            if isinstance(leaf, Mapping) and leaf.get('type') == ALARM
            and isinstance(leaf.get('alarm_id'), str)}


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """A rule that is ready to be evaluated.

    ``form``: how receivers see it, "(rule1 and rule2)".
    """

    form: str
    leaves: tuple[Any, ...]
    root: _Node

    def holds(self, states: Sequence[bool]) -> bool:
        """Whether the rule holds.

        :param states: of each leaf, whether it is in alarm
        """
        return _holds(self.root, states)


@functools.lru_cache(maxsize=COMPILED)
def compiled(text: str) -> Tree:
    """Compile a stored rule.

    :raises InvalidRule: somebody stored what the API would refuse
    """
    try:
        rule = json.loads(text)
    except ValueError:
        raise exception.InvalidRule(reason='it is not JSON') from None
    found: list[Any] = []
    form, root = _compile(rule, found, 0)
    return Tree(form, tuple(found), root)


def _compile(node: Any, found: list[Any], depth: int) -> tuple[str, _Node]:
    join = join_of(node)
    if join is None:
        if not isinstance(node, Mapping) or not depth:
            raise exception.InvalidRule(reason='it joins nothing')
        found.append(node)
        return 'rule%d' % len(found), len(found) - 1
    if not isinstance(node[join], list) or depth > 2 * MAX_DEPTH:
        raise exception.InvalidRule(
            reason='"%s" takes a list, of %d levels at most' % (
                join, MAX_DEPTH))
    parts = [_compile(below, found, depth + 1) for below in node[join]]
    return '(%s)' % (' %s ' % join).join(form for form, _ in parts), (
        join, [below for _, below in parts])


def _holds(node: _Node, states: Sequence[bool]) -> bool:
    if isinstance(node, int):
        return states[node]
    join, below = node
    return (all if join == 'and' else any)(
        _holds(part, states) for part in below)


def causes(tree: Tree, states: Sequence[bool], state: str) -> dict[str, Any]:
    """Return the leaves that account for a state of the alarm, by name."""
    wanted = state == transition.ALARM
    return {'rule%d' % (i + 1): leaf for i, leaf in enumerate(tree.leaves)
            if states[i] == wanted}


def reason(tree: Tree, previous: str, current: str,
           rules: Mapping[str, Any]) -> str:
    """Return the sentence that history and receivers show, as Aodh's.

    :param rules: see :func:`causes`
    """
    return '%s%s %s %s, due to rules: %s' % (
        _REASON, tree.form,
        'remaining as' if previous == current else 'transition to', current,
        ', '.join(rules))


def reason_data(tree: Tree, rules: Mapping[str, Any]) -> str:
    """Return what receivers get beside the event, as JSON."""
    return json.dumps({'type': 'composite', 'composition_form': tree.form,
                       'causative_rules': rules})
