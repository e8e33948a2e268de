# SPDX-License-Identifier: Apache-2.0
"""Reads alarms in the form the API returns, one as JSON per line."""
from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
import uuid

from doctor_alarm.api import body
from doctor_alarm.api.forms import alarm as form
from doctor_alarm.api import ownership
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.schemas import sentence

#: Bad lines that are told of before the rest is left unread.
MAX_COMPLAINTS = 20
_TIMES = ('timestamp', 'state_timestamp', 'evaluate_timestamp')
#: Lines whose ids are remembered: those of the statement that may refuse one,
#: and those read ahead of it.
_WINDOW = 3 * alarm_bulk.CHUNK


def load(db: db_api.Database, lines: Iterable[str],
         schemes: frozenset[str], vault: credential.Vault) -> int:
    """Store the alarms of all lines, or none; return how many.

    They keep id, owner, state and times.

    :param schemes: those of action URLs that there are plugins for
    :param vault: encrypts their credentials
    :raises Invalid: tells the bad lines with their numbers
    """
    reader = _Reader(lines, schemes, vault, db.now())
    try:
        return alarm_bulk.import_all(db, reader)
    except exception.Duplicate as exc:
        raise exception.Invalid('line %s: %s' % (
            reader.line_of(str(exc.kwargs['id'])), exc)) from exc


class _Reader:
    def __init__(self, lines: Iterable[str], schemes: frozenset[str],
                 vault: credential.Vault, now: int) -> None:
        self._lines = lines
        self._vault = vault
        self._schemes = schemes
        self._now = now
        self._recent: collections.deque[tuple[str, int]] = collections.deque(
            maxlen=_WINDOW)

    def line_of(self, alarm_id: str) -> str:
        """Return the last line that had this id."""
        found = [n for known, n in self._recent if known == alarm_id]
        return str(found[-1]) if found else '?'

    def __iter__(self) -> Iterator[alarm_obj.Alarm]:
        complaints: list[str] = []
        for number, line in enumerate(self._lines, 1):
            if not line.strip():
                continue
            try:
                alarm = form.complete(
                    parse(line, self._schemes, self._now), self._vault)
            except exception.Invalid as exc:
                complaints.append('line %d: %s' % (number, exc))
                if len(complaints) >= MAX_COMPLAINTS:
                    complaints.append('and no more lines were read')
                    break
                continue
            self._recent.append((alarm.id, number))
            if not complaints:
                yield alarm
        if complaints:
            raise exception.Invalid('\n'.join(complaints))


def parse(line: str, schemes: frozenset[str],
          now: int) -> alarm_obj.Alarm:
    """Return the alarm of one line, its actions as they are written.

    :param now: its times, where it has none
    :raises Invalid: names the field
    """
    doc = body.parse(line)
    project_id = _text(doc, 'project_id')
    stored = {name: _time(doc, name) or now for name in _TIMES}
    alarm = form.parse(
        doc, project_id=project_id,
        user_id=_text(doc, 'user_id', optional=True), id=_id(doc),
        state_reason=_text(doc, 'state_reason', optional=True)
        or alarm_obj.REASON_DEFAULT, **stored)
    ownership.check_schemes(alarm, schemes)
    return alarm


def _text(doc: Any, name: str, optional: bool = False) -> str:
    if not isinstance(doc, dict):
        return ''   # which has a sentence of its own
    value = doc.get(name)
    if value is None or value == '':
        if optional:
            return ''
        raise exception.Invalid(sentence.missing(name))
    if not isinstance(value, str):
        raise exception.Invalid(
            sentence.invalid(name, value, 'Value must be a text.'))
    return value


def _id(doc: Any) -> str:
    value = _text(doc, 'alarm_id', optional=True)
    if not value:
        return str(uuid.uuid4())
    if not alarm_obj.ID.fullmatch(value):
        raise exception.Invalid(sentence.invalid(
            'alarm_id', value, 'Value must be a UUID.'))
    return value


def _time(doc: Any, name: str) -> int:
    value = doc.get(name) if isinstance(doc, dict) else None
    if value is None:
        return 0
    try:
        return event.to_us(event.parse_time(value, name))
    except exception.InvalidEvent:
        raise exception.Invalid(sentence.invalid(
            name, value, 'Value must be an ISO 8601 time.')) from None
