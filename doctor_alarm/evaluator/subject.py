# SPDX-License-Identifier: Apache-2.0
"""What a line of the log is about: messages, and the alarms they hit."""
from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import itertools

#: Ids that a line names; a batch may have hundreds.
NAMED = 5

_ALARMS = 'doctor_alarm_alarm_ids'


@contextlib.contextmanager
def alarms(ids: Collection[str]) -> Iterator[None]:
    """Let what is raised in this block know the alarms it was about."""
    try:
        yield
    except Exception as exc:
        setattr(exc, _ALARMS, ids)
        raise


def of(message_ids: Collection[str], exc: BaseException | None = None) -> str:
    """Return messages, and the alarms where an error knows them."""
    text = 'message %s' % _some(message_ids)
    ids = getattr(exc, _ALARMS, ())
    return '%s (alarm %s)' % (text, _some(ids)) if ids else text


def _some(ids: Collection[str]) -> str:
    shown = ', '.join(_first(ids))
    more = len(ids) - NAMED
    return '%s and %d more' % (shown, more) if more > 0 else shown


def _first(ids: Iterable[str]) -> Iterator[str]:
    return itertools.islice(ids, NAMED)
