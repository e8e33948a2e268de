# SPDX-License-Identifier: Apache-2.0
"""Patterns of the operator ``=~``: a part of regular expressions.

Every database has regular expressions of its own, and in all of them some
take for ever. What is left here means the same everywhere, and a match costs
no more than a ``LIKE``.
"""
from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

#: Alternatives of a pattern, and places in one that take any number of
#: characters: each multiplies the cost.
MAX_WAYS = 20
MAX_WILD = 8
#: Characters of a pattern: databases refuse very long ones.
MAX_LENGTH = 1024

_ESCAPE = '!'
_TOKENS = re.compile(r'\\(?P<literal>\W)|(?P<wild>\.[*+]?)|(?P<or>\|)|'
                     r'(?P<first>\^)|(?P<last>\$)|(?P<bad>[\\*+?()\[\]{}])|'
                     r'(?P<plain>.)', re.DOTALL)
_LIKE = {'.': '_', '.*': '%', '.+': '_%'}

_Way = list[re.Match[str]]


def matches(column: sa.ColumnElement[Any],
            pattern: str) -> sa.ColumnElement[bool]:
    """Return the condition that a column has a match of the pattern.

    :raises ValueError: with what the value must be
    """
    if len(pattern) > MAX_LENGTH:
        raise ValueError('a pattern of at most %d characters' % MAX_LENGTH)
    ways: list[_Way] = [[]]
    for token in _TOKENS.finditer(pattern):
        if token['or']:
            ways.append([])
        else:
            ways[-1].append(token)
    if len(ways) > MAX_WAYS:
        raise ValueError('a pattern of at most %d alternatives' % MAX_WAYS)
    return sa.or_(*(
        column.like(_like(way), escape=_ESCAPE) for way in ways))


def _like(way: _Way) -> str:
    head = tail = '%'
    if way and way[0]['first']:
        head, way = '', way[1:]
    if way and way[-1]['last']:
        tail, way = '', way[:-1]
    if sum(len(token['wild'] or '') > 1 for token in way) > MAX_WILD:
        raise ValueError('a pattern with ".*" or ".+" at most %d times'
                         % MAX_WILD)
    return head + ''.join(map(_part, way)) + tail


def _part(token: re.Match[str]) -> str:
    if token['bad'] or token['first'] or token['last']:
        raise ValueError(
            'a pattern of characters, ".", ".*", ".+" and "|", with "^" at '
            'the start and "$" at the end; "\\" makes one of them plain')
    if token['wild']:
        return _LIKE[token['wild']]
    text = token['literal'] or token['plain']
    return _ESCAPE + text if text in '%_' + _ESCAPE else text
