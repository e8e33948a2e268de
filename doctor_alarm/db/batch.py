# SPDX-License-Identifier: Apache-2.0
"""Changes of one transaction in as few round trips as the database allows.

SQLAlchemy takes rows as dictionaries and reads each value of each one several
times; the statements of the evaluator are few and their rows many. So the
rows are tuples here and the statement is text, all values are parameters.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import copy
import dataclasses
import functools
import itertools
import re
from typing import Any

import sqlalchemy as sa

from doctor_alarm.db import pool
from doctor_alarm.db import rows

#: Rows that are updated one by one: a table made of JSON costs MariaDB more.
FEW = 3
#: Characters in one round trip: a server takes 16 MiB by default, and one
#: character may have four bytes and an escape.
SIZE = 1024 * 1024
#: What a row has besides its texts.
ROW = 600

_Statement = tuple[str, tuple[Any, ...]]
_Form = tuple[str, str, str]
_WORDS = re.compile('[a-z ]*')


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Update:
    """An UPDATE of rows by new values of each.

    ``columns``: of the new values, name -> kind, see ``rows.table``.
    ``make``: returns it for a dialect and ``rows.table`` or ``rows.One``.
    """

    columns: Mapping[str, str]
    make: Callable[[str, Any], sa.Update]


class Batch:
    """INSERTs and UPDATEs that depend on nothing but what was read before.

    They are executed by :meth:`run`; the first ones earlier when there is
    too much for one round trip.
    """

    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn
        self._dialect = conn.dialect
        self._statements: list[_Statement] = []
        self._size = 0

    def update(self, form: Update, many: Sequence[tuple[Any, ...]]) -> None:
        """Add UPDATEs of rows.

        :param many: values of the columns of the form, in their order
        """
        if len(many) > FEW:
            values = rows.values(many)
            self._make_room(len(values))
            text, _ = _texts(form, self._dialect, False)
            self._statements.append((text, (values,)))
            return
        for row in many:
            self._make_room(
                ROW + sum([len(v) for v in row if isinstance(v, str)]))
            text, names = _texts(form, self._dialect, True)
            value = dict(zip(form.columns, row, strict=True))
            self._statements.append(
                (text, tuple([value[name] for name in names])))

    def insert(self, table: sa.Table, many: Collection[Mapping[str, Any]], *,
               same: Mapping[str, str | int], keys: tuple[str, ...] = (),
               changes: tuple[str, ...] = ()) -> None:
        """Add an INSERT of rows that have the same columns in one order.

        :param same: columns that no row has: a value of ours, for all
        :param keys: where one is there with the same values of these,
        :param changes: only these columns of it are changed
        """
        if not many:
            return
        columns = tuple(next(iter(many)))
        form = _form(self._dialect, table, columns, (
            (name, value) for name, value in same.items()
            if name not in columns), keys, changes)
        texts = [name for name in columns
                 if isinstance(table.c[name].type, sa.Text)]
        ready: list[Mapping[str, Any]] = []
        for row in many:
            weight = ROW + sum([len(row[name] or '') for name in texts])
            if self._size and self._size + weight > SIZE:
                self._add(form, ready)
                self.run()
                ready = []
            self._size += weight
            ready.append(row)
        self._add(form, ready)

    def _add(self, form: _Form, many: list[Mapping[str, Any]]) -> None:
        values = [tuple(row.values()) for row in many]
        if not values:
            return      # the first row had no room any more
        if self._dialect.name == 'sqlite':
            # It is in this process, and has a limit of parameters.
            self._conn.exec_driver_sql(_text(form, 1), values)
        else:
            self._statements.append((
                _text(form, len(values)),
                tuple(itertools.chain.from_iterable(values))))

    def _make_room(self, size: int) -> None:
        if self._size and self._size + size > SIZE:
            self.run()
        self._size += size

    def run(self, *, last: bool = False) -> None:
        """Execute what was added, in one round trip where that is possible.

        :param last: the transaction has nothing more to do: it ends in the
            same round trip where that is possible
        """
        statements, self._statements, self._size = self._statements, [], 0
        mariadb = getattr(self._dialect, 'is_mariadb', False)
        commits = bool(mariadb and last and statements)
        if commits:
            statements.append(('COMMIT', ()))
        if len(statements) > 1:
            if self._dialect.name == 'postgresql':
                statements = [_with(statements)]
            elif mariadb:
                statements = [_block(statements)]
        for text, parameters in statements:
            self._conn.exec_driver_sql(text, parameters)
        if commits:
            pool.note_commit(self._conn)


def _with(statements: list[_Statement]) -> _Statement:
    """Return the statements as one of PostgreSQL."""
    *first, (last, _) = statements
    parts = ['s%d AS (%s)' % (i, text) for i, (text, _) in enumerate(first)]
    return 'WITH %s %s' % (', '.join(parts), last), _parameters(statements)


def _block(statements: list[_Statement]) -> _Statement:
    """Return the statements as one of MariaDB; the first error ends it."""
    parts = ''.join('%s;\n' % text for text, _ in statements)
    return 'BEGIN NOT ATOMIC\n%sEND' % parts, _parameters(statements)


def _parameters(statements: list[_Statement]) -> tuple[Any, ...]:
    return tuple(itertools.chain.from_iterable(
        parameters for _, parameters in statements))


def _text(form: _Form, count: int) -> str:
    head, row, tail = form
    return head + ','.join([row] * count) + tail


def _form(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...],
          same: Iterable[tuple[str, str | int]], keys: tuple[str, ...],
          changes: tuple[str, ...]) -> _Form:
    """Return head, row and tail of the text of an INSERT."""
    mark = '?' if dialect.paramstyle == 'qmark' else '%s'
    constants = dict(same)
    row = ','.join([mark] * len(columns) + [
        _literal(value) for value in constants.values()])
    head, tail = _frame(
        dialect.name, table, columns + tuple(constants), keys, changes)
    return head, '(%s)' % row, tail


def _literal(value: str | int) -> str:
    if isinstance(value, str):
        if not _WORDS.fullmatch(value):
            raise ValueError(value)
        return "'%s'" % value
    return '%d' % value


@functools.cache
def _frame(dialect: str, table: sa.Table, columns: tuple[str, ...],
           keys: tuple[str, ...], changes: tuple[str, ...],
           ) -> tuple[str, str]:
    """Return what stands before and behind the rows of an INSERT."""
    quote = '`%s`' if dialect in ('mysql', 'mariadb') else '"%s"'
    head = 'INSERT INTO %s (%s) VALUES ' % (    # noqa: S608 (our own names)
        quote % table.name, ', '.join(quote % name for name in columns))
    if not keys:
        return head, ''
    if dialect in ('mysql', 'mariadb'):
        # Nothing to change: as it was. IGNORE would let other errors pass.
        change = '{0} = VALUES({0})' if changes else '{0} = {0}'
        return head, ' ON DUPLICATE KEY UPDATE ' + ', '.join(
            change.format(quote % name) for name in changes or keys)
    return head, ' ON CONFLICT (%s) DO %s' % (
        ', '.join(quote % name for name in keys),
        'UPDATE SET ' + ', '.join(
            '{0} = excluded.{0}'.format(quote % name) for name in changes)
        if changes else 'NOTHING')


@functools.cache
def _texts(form: Update, dialect: sa.Dialect, one: bool,
           ) -> tuple[str, list[str]]:
    """Return the text of an UPDATE, and whose values it takes in turn."""
    name = rows.name_of(dialect)
    statement = form.make(name, rows.One(form.columns) if one
                          else rows.table(name, form.columns))
    return positional(statement, dialect)


def positional(statement: sa.Update | sa.Select[Any] | sa.CompoundSelect[Any],
               dialect: sa.Dialect) -> tuple[str, list[str]]:
    """Return a statement as its driver takes it, and names of parameters."""
    by_position = copy.copy(dialect)
    by_position.positional = True
    if by_position.paramstyle != 'qmark':
        by_position.paramstyle = 'format'
    compiled: Any = statement.compile(dialect=by_position)
    return str(compiled), [
        name.removeprefix(rows.PREFIX) for name in compiled.positiontup]
