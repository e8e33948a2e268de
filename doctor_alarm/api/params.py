# SPDX-License-Identifier: Apache-2.0
"""Query parameters of lists."""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import urllib.parse

import sqlalchemy as sa
import webob

from doctor_alarm import exception
from doctor_alarm.objects import query
from doctor_alarm.schemas import query as schema

_PAGING = frozenset(('sort', 'limit', 'marker'))
_FILTER = frozenset(('q.field', 'q.op', 'q.value', 'q.type'))

_OPERATORS = {'eq': '=', 'ne': '!=', 'lt': '<', 'le': '<=', 'gt': '>',
              'ge': '>='}


def page(request: webob.Request, sort: Sequence[tuple[str, str]],
         max_limit: int, also: Collection[str] = ()) -> query.Page:
    """Return which part of the list is asked for.

    :param sort: where the client does not say
    :param max_limit: items of an answer at most
    :param also: parameters that only this list has
    :raises Invalid: names the parameter
    """
    _refuse_unknown(request, also)
    limit = _limit(request.GET.get('limit'), max_limit)
    asked = [_sort(text) for text in request.GET.getall('sort')]
    # What comes after a marker takes a condition for each pair of them.
    if len(asked) > schema.MAX_ORDER:
        raise exception.Invalid(
            'sort may be given at most %d times' % schema.MAX_ORDER)
    return query.Page(sort=asked or sort, limit=limit,
                      marker=request.GET.get('marker') or None)


def filters(request: webob.Request) -> list[tuple[str, str]]:
    """Return (field, value) of each filter of the list.

    :raises Invalid: names what is wrong with them
    """
    fields = request.GET.getall('q.field')
    values = request.GET.getall('q.value')
    if len(fields) != len(values):
        raise exception.Invalid('Each q.field needs a q.value')
    for op in request.GET.getall('q.op'):
        if op != 'eq':
            raise exception.Invalid(
                'q.op must be eq in this list, not %.80s' % op)
    return list(zip(fields, values, strict=True))


def refuse_filters(request: webob.Request) -> None:
    """Refuse filters of a list that has none: they would change nothing.

    :raises Invalid: there is one
    """
    if any(name in _FILTER for name in request.GET):
        raise exception.Invalid('This list can not be filtered by q.field')


def condition(request: webob.Request,
              fields: query.Fields) -> sa.ColumnElement[bool] | None:
    """Return what the filters of a list with operators ask for.

    :raises Invalid: names what is wrong with them
    """
    names, ops, values = (
        request.GET.getall('q.' + part) for part in ('field', 'op', 'value'))
    if len(names) != len(values) or len(ops) not in (0, len(names)):
        raise exception.Invalid(
            'Each q.field needs a q.value, and each or none a q.op')
    for op in ops:
        if op not in _OPERATORS:
            raise exception.Invalid('q.op must be one of %s, not %.80s' % (
                ', '.join(_OPERATORS), op))
    if not names:
        return None
    return query.condition(fields, {'and': [
        {_OPERATORS[op]: {name: value}} for name, op, value in zip(
            names, ops or ['eq'] * len(names), values, strict=True)]})


def next_link(request: webob.Request, marker: str) -> str:
    """Return the ``Link`` header that leads to the next page."""
    url = request.path_url
    params = [(name, value) for name, value in request.GET.items()
              if name != 'marker'] + [('marker', marker)]
    return '<%s?%s>; rel="next"' % (
        url, urllib.parse.urlencode(params))


def _refuse_unknown(request: webob.Request, also: Collection[str]) -> None:
    for name in request.GET:
        if name not in _PAGING | _FILTER and name not in also:
            raise exception.Invalid('Unknown argument: "%.80s"' % name)


def _limit(text: str | None, most: int) -> int:
    if text is None or text == '':
        return most
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1 or not text.isascii():
        raise exception.Invalid(
            'limit must be a positive whole number, not %.80s' % text)
    return min(limit, most)


def _sort(text: str) -> tuple[str, str]:
    name, _colon, way = text.partition(':')
    return name, way.lower() or query.ASC
