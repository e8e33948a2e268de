# SPDX-License-Identifier: Apache-2.0
"""Filters, order and pages of lists, in the terms of the API.

A filter is Aodh's: ``{"=": {"name": "x"}}``, ``{"and": [...]}``; it and the
rest come from outside, so everything that is wrong with it has a sentence.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import operator
from typing import Any

from oslo_utils import strutils
import sqlalchemy as sa

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.objects import query_pattern

ASC = 'asc'
DESC = 'desc'

#: Bounds of a filter: what a person or a client writes is far below.
MAX_DEPTH = 20
MAX_VALUES = 900

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    '=': operator.eq, '!=': operator.ne, '<': operator.lt, '>': operator.gt,
    '<=': operator.le, '=<': operator.le, '>=': operator.ge,
    '=>': operator.ge}
MATCHES = '=~'
_JOIN: dict[str, Callable[..., sa.ColumnElement[bool]]] = {
    'and': sa.and_, 'or': sa.or_}


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of the API: its column and how a value of it is read.

    ``read`` raises ``ValueError`` with what the value must be.
    """

    column: sa.ColumnElement[Any]
    read: Callable[[Any], Any]


Fields = Mapping[str, Field]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list, in which order.

    ``sort``: (field, ``asc`` or ``desc``). ``marker``: id of the last one
    seen. ``limit`` ``None``: all.
    """

    sort: Sequence[tuple[str, str]] = ()
    limit: int | None = None
    marker: str | None = None


def text(value: Any) -> str:
    """Read a text that every database takes."""
    if not isinstance(value, str):
        raise ValueError('a text')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError('a text of valid Unicode') from None
    if '\0' in value:
        raise ValueError('a text without NUL')
    return value


def token(value: Any) -> str:
    """Read a text of ASCII, for columns that take no other."""
    if not text(value).isascii():
        raise ValueError('ASCII')
    return str(value)


def boolean(value: Any) -> bool:
    """Read a boolean, from JSON or from a URL."""
    try:
        return bool(strutils.bool_from_string(value, strict=True))
    except ValueError:
        raise ValueError('true or false') from None


def time(value: Any) -> int:
    """Read an ISO 8601 time as microseconds."""
    try:
        return event.to_us(event.parse_time(value, 'time'))
    except exception.InvalidEvent:
        raise ValueError('an ISO 8601 time') from None


def condition(fields: Fields, expression: Any,
              depth: int = 0) -> sa.ColumnElement[bool]:
    """Compile a filter.

    :raises Invalid: names the part that is wrong
    """
    if depth > MAX_DEPTH:
        raise exception.Invalid('Filter is nested too deeply')
    if not depth and _size(expression, 0) > MAX_VALUES:
        raise exception.Invalid(
            'Filter has more than %d parts and values' % MAX_VALUES)
    if not isinstance(expression, dict) or len(expression) != 1:
        raise exception.Invalid(
            'Filter must be an object of one operator, not %.80r'
            % (expression,))
    (written, operand), = expression.items()
    op = written.lower()
    below = functools.partial(condition, fields, depth=depth + 1)
    if op == 'not':
        return sa.not_(below(operand))
    if op in _JOIN:
        if not isinstance(operand, list) or not operand:
            raise exception.Invalid(
                'Operator "%s" of the filter takes a list' % op)
        return _JOIN[op](*(below(part) for part in operand))
    if op in _COMPARE or op in ('in', MATCHES):
        return _compare(fields, op, operand)
    raise exception.Invalid(
        'Operator "%.80s" of the filter is not one of %s' % (
            written, ', '.join([*_COMPARE, MATCHES, 'in', *_JOIN, 'not'])))


def values_of(expression: Any, names: Collection[str]) -> Iterator[Any]:
    """Give each value that a compiled filter compares these fields with."""
    if isinstance(expression, list):
        for part in expression:
            yield from values_of(part, names)
    elif isinstance(expression, dict):
        for name, operand in expression.items():
            if name not in names:
                yield from values_of(operand, names)
            elif isinstance(operand, list):
                yield from operand
            else:
                yield operand


def _size(part: Any, depth: int, pattern: bool = False) -> int:
    """Return how many values a filter compares with.

    :param pattern: whether it is one, of which each alternative is a value
    """
    if depth > 2 * MAX_DEPTH:
        return 1
    if isinstance(part, dict):
        return sum(_size(item, depth + 1, pattern or name == MATCHES)
                   for name, item in part.items())
    if isinstance(part, list):
        return sum(_size(item, depth + 1, pattern) for item in part)
    return 1 + part.count('|') if pattern and isinstance(part, str) else 1


def _compare(fields: Fields, op: str,
             operand: Any) -> sa.ColumnElement[bool]:
    if not isinstance(operand, dict) or len(operand) != 1:
        raise exception.Invalid(
            'Operator "%s" of the filter takes an object of one field' % op)
    (name, value), = operand.items()
    field = get_field(fields, name)
    if op == MATCHES:
        return _matches(field, name, value)
    if op not in ('=', '!=', 'in') and field.read is boolean:
        raise exception.Invalid(
            'Operator "%s" of the filter is not for true and false, which '
            'field "%s" is' % (op, name))
    if op != 'in':
        found: sa.ColumnElement[bool] = _COMPARE[op](
            field.column, read(field, name, value))
        return found
    if not isinstance(value, list) or not 0 < len(value) <= MAX_VALUES:
        raise exception.Invalid(
            'Operator "in" of the filter takes a list of 1 to %d values'
            % MAX_VALUES)
    return field.column.in_([read(field, name, item) for item in value])


def _matches(field: Field, name: str,
             value: Any) -> sa.ColumnElement[bool]:
    if field.read not in (text, token):
        raise exception.Invalid(
            'Operator "%s" of the filter is for texts, which field "%s" is '
            'not' % (MATCHES, name))
    try:
        return query_pattern.matches(field.column, field.read(value))
    except ValueError as exc:
        raise exception.Invalid(
            'Value of field "%s" must be %s' % (name, exc)) from None


def get_field(fields: Fields, name: Any) -> Field:
    """Return a field by its name in the API.

    :raises Invalid: there is none
    """
    if name not in fields:
        raise exception.Invalid(
            'Field "%.80s" is not one of %s' % (name, ', '.join(fields)))
    return fields[name]


def read(field: Field, name: str, value: Any) -> Any:
    """Read a value to compare a field with.

    :raises Invalid: it is none of this field
    """
    try:
        return field.read(value)
    except ValueError as exc:
        raise exception.Invalid(
            'Value of field "%s" must be %s' % (name, exc)) from None


def paged(conn: sa.Connection, select: sa.Select[Any], fields: Fields,
          identity: sa.ColumnElement[Any], page: Page,
          tie: sa.ColumnElement[Any] | None = None) -> sa.Select[Any]:
    """Return the query of one page.

    :param select: with the condition of the list; a marker must fulfil it
    :param identity: column of the ids that markers are
    :param tie: unique column that decides where the order does not
    :raises Invalid: names the marker, the field or the direction
    """
    order = [(_sortable(fields, name, way).column, way)
             for name, way in page.sort]
    last_way = page.sort[-1][1] if page.sort else DESC
    order.append((identity if tie is None else tie, last_way))
    if page.marker is not None:
        columns = [column for column, _way in order]
        row = None
        if page.marker.isascii() and '\0' not in page.marker:
            row = conn.execute(select.with_only_columns(*columns).where(
                identity == page.marker)).first()
        if row is None:
            raise exception.Invalid('Marker %.80s not found' % page.marker)
        select = select.where(_after(order, row))
    for column, way in order:
        select = select.order_by(
            column.desc() if way == DESC else column.asc())
    return select if page.limit is None else select.limit(page.limit)


def _sortable(fields: Fields, name: str, way: str) -> Field:
    if way not in (ASC, DESC):
        raise exception.Invalid(
            'Sort direction of "%.80s" must be asc or desc' % name)
    return get_field(fields, name)


def _after(order: Sequence[tuple[Any, str]],
           row: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a row comes after the marker's, for keys of any direction."""
    # Constants that are true or false have no order for SQLAlchemy.
    values = [sa.literal(value, column.type)
              for (column, _way), value in zip(order, row, strict=True)]
    ways = []
    for i, (column, way) in enumerate(order):
        equal = [c == v for (c, _), v in zip(order[:i], values, strict=False)]
        ways.append(sa.and_(*equal, (
            column < values[i] if way == DESC else column > values[i])))
    first, way = order[0]
    # Implied by the rest; the database finds its way in the index by it.
    bound = first <= values[0] if way == DESC else first >= values[0]
    return sa.and_(bound, sa.or_(*ways))
