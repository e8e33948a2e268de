# SPDX-License-Identifier: Apache-2.0
"""Reads a page of a list, as much of it as fits into the memory."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import TypeVar

import sqlalchemy as sa

from doctor_alarm.objects import query

#: Characters of a page. An item may be ten thousand times as long as a usual
#: one: an answer of the largest number of those would take all memory.
MAX_SIZE = 16 * 1024 * 1024
#: Rows that come from the database at a time, where they may be many.
_AT_ONCE = 250

_T = TypeVar('_T')


class Found(list[_T]):
    """Items of a page; ``is_cut``: there may be more behind them."""

    is_cut = False


def read(conn: sa.Connection, statement: sa.Select[Any], page: query.Page,
         build: Callable[[sa.RowMapping], _T]) -> Found[_T]:
    """Return the items of a page, or the first of them if they are huge.

    :param statement: of ``query.paged``, with the same page
    """
    found: Found[_T] = Found()
    if page.limit is None or page.limit > _AT_ONCE:
        statement = statement.execution_options(yield_per=_AT_ONCE)
    size = 0
    with conn.execute(statement) as result:
        for row in result.mappings():
            found.append(build(row))
            size += sum(len(value) for value in row.values()
                        if isinstance(value, str))
            if size > MAX_SIZE:
                found.is_cut = True
                if conn.dialect.name in ('mysql', 'mariadb'):
                    # Or the driver would read the rest all the same.
                    conn.invalidate()
                break
    found.is_cut |= len(found) == page.limit
    return found
