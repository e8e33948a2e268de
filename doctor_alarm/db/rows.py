# SPDX-License-Identifier: Apache-2.0
"""Rows of values as a table in a statement.

A set-based update joins the table with the new values of each row. They
travel as one JSON parameter, so that the text of the statement, and with it
the compiled form and the plan, does not depend on how many there are.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
import types
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

#: Of the parameters of :class:`One`: SQLAlchemy wants the names of the columns
#: for itself.
PREFIX = 'new_'

#: kind -> (type in SQLAlchemy, in MariaDB's JSON_TABLE, in PostgreSQL)
_KINDS: dict[str, tuple[Any, str, str]] = {
    'id': (sa.String, 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin',
           'varchar'),
    'int': (sa.BigInteger, 'BIGINT', 'bigint'),
    'text': (sa.Text, 'MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
             'text'),
}
def table(dialect: str, columns: Mapping[str, str], name: str = 'v',
          ) -> sa.Subquery:
    """Return the rows as a subquery; their values go in as ``name``.

    :param columns: name -> ``id``, ``int`` or ``text``
    """
    items = list(enumerate(columns.items()))
    if dialect == 'mysql':
        chosen = ', '.join(columns)
        source = "JSON_TABLE(:%s, '$[*]' COLUMNS (%s)) AS j" % (
            name, ', '.join("%s %s PATH '$[%d]'" % (
                column, _KINDS[kind][1], i) for i, (column, kind) in items))
    elif dialect == 'postgresql':
        chosen = ', '.join('(j.value->>%d)::%s AS %s' % (
            i, _KINDS[kind][2], column) for i, (column, kind) in items)
        source = 'json_array_elements(CAST(:%s AS json)) AS j(value)' % name
    else:
        chosen = ', '.join("json_extract(j.value, '$[%d]') AS %s" % (
            i, column) for i, (column, _kind) in items)
        source = 'json_each(:%s) AS j' % name
    # Names of columns are ours; what comes from outside is in the parameter.
    text = 'SELECT %s FROM %s' % (chosen, source)  # noqa: S608
    return sa.text(text).columns(*(
        sa.Column(column, _KINDS[kind][0]) for column, kind in columns.items()
    )).subquery(name + '_rows')


class One:
    """One row as parameters, for where a statement asks for a table."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.c = types.SimpleNamespace(**{
            name: sa.bindparam(PREFIX + name, type_=_KINDS[kind][0]())
            for name, kind in columns.items()})


def values(rows: Iterable[Sequence[Any]]) -> str:
    """Return the parameter for :func:`table`."""
    return json.dumps([list(row) for row in rows])


def dialect_of(conn: sa.Connection) -> str:
    """Return ``sqlite``, ``mysql`` (MariaDB too) or ``postgresql``."""
    return name_of(conn.dialect)


def name_of(dialect: sa.Dialect) -> str:
    """Return the same of a dialect."""
    return 'mysql' if dialect.name == 'mariadb' else dialect.name


def upsert(dialect: str, table: sa.Table, keys: list[str],
           changes: Iterable[str]) -> sa.Insert:
    """Return an INSERT that updates some columns where the row is there.

    With no columns to change it leaves such a row alone.
    """
    changes = list(changes)
    if dialect == 'mysql':
        maria = mysql.insert(table)
        if not changes:
            return maria.prefix_with('IGNORE')
        return maria.on_duplicate_key_update(
            {name: maria.inserted[name] for name in changes})
    make = postgresql.insert if dialect == 'postgresql' else sqlite.insert
    plain = make(table)
    if not changes:
        return plain.on_conflict_do_nothing(index_elements=keys)
    return plain.on_conflict_do_update(
        index_elements=keys,
        set_={name: plain.excluded[name] for name in changes})
