# SPDX-License-Identifier: Apache-2.0
"""Updates and locks by rows of values that lock no other rows."""
from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import selectable

from doctor_alarm.db import rows


def joined(dialect: str, table: sa.Table, new: sa.Subquery | rows.One,
           *on: sa.ColumnElement[bool]) -> sa.Update:
    """Return an UPDATE of those rows of a table that match new values.

    MariaDB may choose to read a small table first, and then locks and waits
    for every row of it: a deadlock with any other transaction. So it is told
    where to begin. Keys of ``values()`` are columns of the table.

    :param new: from ``rows.table``; its rows in the order of the locks.
        Or one row
    :param on: the primary key is that of a new row; further conditions
    """
    if dialect == 'mysql' and isinstance(new, sa.Subquery):
        return sa.update(_StraightJoin(new, table, sa.and_(*on)))
    return sa.update(table).where(*on)


def straight(dialect: str, wanted: sa.Subquery, table: sa.Table,
             on: sa.ColumnElement[bool]) -> sa.FromClause:
    """Return wanted rows joined with those of a table, read in their order.

    So MariaDB takes the locks of a SELECT in this order, and no others.

    :param on: the primary key is that of a wanted row
    """
    if dialect == 'mysql':
        return _StraightJoin(wanted, table, on)
    return wanted.join(table, on)


def by_primary_key(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    """Have MariaDB read a table by its primary key, however small it is."""
    for name in ('mysql', 'mariadb'):
        query = query.with_hint(table, 'FORCE INDEX (PRIMARY)', name)
    return query


class _StraightJoin(selectable.Join):
    """A join that is read from left to right, by the primary key."""

    inherit_cache = True


@compiler.compiles(_StraightJoin)
def _compile(join: Any, compiler: Any, **kwargs: Any) -> str:
    kwargs['asfrom'] = True
    kwargs.pop('from_linter', None)
    return '%s STRAIGHT_JOIN %s FORCE INDEX (PRIMARY) ON %s' % (
        compiler.process(join.left, **kwargs),
        compiler.process(join.right, **kwargs),
        compiler.process(join.onclause))
