# SPDX-License-Identifier: Apache-2.0
"""Names of many things in one line of the log."""
from __future__ import annotations

from collections.abc import Iterable

#: Names in one line.
NAMED = 5


def several(items: Iterable[object]) -> str:
    """Return the first names, and how many more there are."""
    names = [str(item) for item in items]
    text = '; '.join(names[:NAMED])
    if len(names) > NAMED:
        text += '; and %d more' % (len(names) - NAMED)
    return text


def after(items: Iterable[object]) -> str:
    """Return the same as the end of a line; nothing if there are none."""
    text = several(items)
    return ': ' + text if text else ''
