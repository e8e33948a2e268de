# SPDX-License-Identifier: Apache-2.0
"""Time constraints: when an alarm takes events."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import datetime
import functools
from typing import Any
import zoneinfo

import croniter

_UTC = datetime.UTC
#: Fields of an expression without seconds.
_MINUTES = 5
#: Years that two starts are apart at most: leap days, over 2100.
_YEARS = 9
#: Fields that croniter fills with a number of its choice.
_DRAWN = ('r', 'h')


def complaint(start: str, zone: str) -> tuple[str, str] | None:
    """Return what is wrong with a constraint, and with which field.

    :param start: cron expression of five fields; a sixth one is seconds
    :param zone: IANA name; empty: UTC
    """
    fields = start.split()
    if len(fields) not in (_MINUTES, _MINUTES + 1):
        return 'start', 'Value must be a cron expression of 5 or 6 fields.'
    if any(field.lower().startswith(_DRAWN) for field in fields):
        return 'start', 'Value must say when, not leave it to chance.'
    try:
        _zone(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return 'timezone', 'Timezone %.80s is not valid' % zone
    try:
        _last_start(start, zone, datetime.datetime.now(_UTC))
    except (ValueError, KeyError, AttributeError) as exc:
        return 'start', 'Value is not a cron expression: %.200s.' % exc
    return None


def permits(constraints: Iterable[Mapping[str, Any]],
            moment: datetime.datetime) -> bool:
    """Whether a moment is in one of the spans, or there is none.

    :param constraints: ``start``, ``duration`` in seconds and ``timezone``
    :param moment: aware
    """
    constraints = tuple(constraints)
    # As a number: a duration may be longer than any span of dates.
    return not constraints or any(
        (moment - _last_start(item['start'], item['timezone'], moment)
         ).total_seconds() <= item['duration']
        for item in constraints)


@functools.lru_cache(256)
def _zone(name: str) -> datetime.tzinfo:
    return zoneinfo.ZoneInfo(name) if name else _UTC


def _last_start(start: str, zone: str,
                moment: datetime.datetime) -> datetime.datetime:
    """Return the last beginning of a span, up to and with a moment."""
    # What begins in this very second has begun, or in this minute where none
    # but the first second is meant.
    known = moment.second + 1 if len(start.split()) > _MINUTES else 60
    return _start_before(start, zone, moment.replace(
        second=0, microsecond=0) + datetime.timedelta(seconds=known))


@functools.lru_cache(4096)
def _start_before(start: str, zone: str,
                  moment: datetime.datetime) -> datetime.datetime:
    # Milliseconds that every event would wait for, without the cache.
    found: datetime.datetime = croniter.croniter(
        start, moment.astimezone(_zone(zone)),
        max_years_between_matches=_YEARS,
    ).get_prev(datetime.datetime)
    return found.astimezone(_UTC)
