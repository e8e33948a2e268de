# SPDX-License-Identifier: Apache-2.0
"""Reads alarms in the form the API returns, each a text of JSON."""
from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
from typing import Any
import uuid

from doctor_alarm import action
from doctor_alarm.api import body
from doctor_alarm.api.forms import alarm as form
from doctor_alarm.api.forms import composite_rule
from doctor_alarm.api import ownership
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.schemas import alarm as schema
from doctor_alarm.schemas import sentence

#: Bad alarms that are told of before the rest is left unread.
MAX_COMPLAINTS = 20
_TIMES = ('timestamp', 'state_timestamp', 'evaluate_timestamp')
#: Alarms whose ids are remembered: those of the statement that may refuse one,
#: and those read ahead of it.
_WINDOW = 3 * alarm_bulk.CHUNK


class Foreign(exception.Invalid):
    """An alarm that is not wrong, but none of this service."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms alarms are taken.

    ``schemes``: of action URLs that there are plugins for.
    ``vault``: encrypts their credentials, reads encrypted ones.
    ``permits``: whether a receiver may be on a host.
    ``complete``: gets an alarm of which only some fields are known, with
    its id, and returns all of it; may raise ``Foreign``.
    ``partial``: whether those that are wrong are left out, too.
    ``noun``: what there is one of for each alarm.
    """

    schemes: frozenset[str]
    vault: credential.Vault
    permits: Callable[[str], bool] = lambda host: True
    complete: Callable[[dict[str, Any]], Any] | None = None
    partial: bool = False
    noun: str = 'line'


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """How many alarms were stored; a sentence for each that was left out."""

    count: int
    left_out: list[str]


def load(db: db_api.Database, texts: Iterable[str], terms: Terms) -> Loaded:
    """Store alarms: all that this service can have, or none.

    They keep id, owner, state and times.

    :param texts: one for each; read again from the start if the database
        asks for that, unless it is an iterator
    :raises Invalid: tells what is wrong with which
    """
    reader = _Reader(texts, terms, db.now())
    try:
        count = alarm_bulk.import_all(
            db, iter(reader) if isinstance(texts, Iterator) else reader)
    except exception.Duplicate as exc:
        raise exception.Invalid('%s %s: %s' % (
            terms.noun, reader.number_of(str(exc.kwargs['id'])),
            exc)) from exc
    return Loaded(count, reader.left_out)


class _Reader:
    def __init__(self, texts: Iterable[str], terms: Terms, now: int) -> None:
        self._texts = texts
        self._terms = terms
        self._now = now
        self.left_out: list[str] = []
        self._recent: collections.deque[tuple[str, int]] = collections.deque(
            maxlen=_WINDOW)

    def number_of(self, alarm_id: str) -> str:
        """Return the number of the last one that had this id."""
        found = [n for known, n in self._recent if known == alarm_id]
        return str(found[-1]) if found else '?'

    def __iter__(self) -> Iterator[alarm_obj.Alarm]:
        complaints: list[str] = []
        self.left_out.clear()
        for number, text in enumerate(self._texts, 1):
            if not text.strip():
                continue
            try:
                alarm = form.complete(
                    parse(text, self._terms, self._now), self._terms.vault)
            except exception.Invalid as exc:
                said = '%s %d: %s' % (self._terms.noun, number, exc)
                if self._terms.partial or isinstance(exc, Foreign):
                    self.left_out.append(said)
                    continue
                complaints.append(said)
                if len(complaints) >= MAX_COMPLAINTS:
                    complaints.append('and no more were read')
                    break
                continue
            self._recent.append((alarm.id, number))
            if not complaints:
                yield alarm
        if complaints:
            raise exception.Invalid('\n'.join(complaints))


def parse(text: str, terms: Terms, now: int) -> alarm_obj.Alarm:
    """Return the alarm of a text, its actions as they are written.

    :param now: its times, where it has none
    :raises Foreign: it is for another service, or only a part of it
    :raises Invalid: names the field
    """
    doc = _whole(body.parse(text), terms)
    known = _unsealed(doc, terms.vault)
    project_id = _text(doc, 'project_id')
    stored = {name: _time(doc, name) or now for name in _TIMES}
    alarm = form.parse(
        doc, project_id=project_id,
        user_id=_text(doc, 'user_id', optional=True), id=_id(doc),
        state_reason=_text(doc, 'state_reason', optional=True)
        or alarm_obj.REASON_DEFAULT, **stored)
    ownership.check_schemes(alarm, terms.schemes)
    ownership.check_hosts(alarm, terms.permits)
    if not known:
        return alarm
    changed: dict[str, Any] = {
        name: [known.get(url, url) for url in getattr(alarm, name)]
        for name in form.ACTIONS}
    return dataclasses.replace(alarm, **changed)


def _whole(doc: Any, terms: Terms) -> Any:
    """Return an alarm with its rule; lists of the clients show none."""
    if not isinstance(doc, dict):
        return doc      # which has a sentence of its own
    kind = doc.get('type')
    if isinstance(kind, str) and kind in schema.FOREIGN_TYPES:
        raise Foreign('%s (%s): %s' % (
            _shown(doc), kind, schema.FOREIGN_TYPES[kind]))
    # These are in every answer of the API, and in no row of such a list.
    if {'alarm_id', 'name'} <= set(doc) and not {
            '%s_rule' % kind, 'project_id', 'alarm_actions'} & set(doc):
        if terms.complete is None:
            raise Foreign('%s: it has no rule, as in the list of a client; '
                          'say --aodh to have it read there' % _shown(doc))
        doc = terms.complete(doc)
    wrong = composite_rule.foreign(doc.get('composite_rule'))
    if kind == composite_rule.TYPE and wrong:
        raise Foreign('%s (%s): %s' % (_shown(doc), kind, wrong))
    return doc


def _shown(doc: dict[str, Any]) -> str:
    return '%.80s "%.255s"' % (doc.get('alarm_id', '?'), doc.get('name', '?'))


def _unsealed(doc: Any, vault: credential.Vault) -> dict[str, str]:
    """Decrypt the actions of an exported alarm in its document.

    :returns: URL -> action as it was
    """
    known: dict[str, str] = {}
    for name in form.ACTIONS:
        urls: Any = doc.get(name) if isinstance(doc, dict) else None
        for index, url in enumerate(urls if isinstance(urls, list) else ()):
            if not isinstance(url, str) or not action.is_sealed(url):
                continue
            try:
                urls[index] = vault.open(url)
            except exception.Sealed as exc:
                raise exception.Invalid(
                    '%s %.200s: %s' % (name, action.masked(url), exc)
                    ) from None
            known[urls[index]] = url
    return known


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
    """Return the id, of the form that the API gives to new alarms."""
    value = _text(doc, 'alarm_id', optional=True)
    if not value:
        return str(uuid.uuid4())
    try:
        same = str(uuid.UUID(value)) == value
    except ValueError:
        same = False
    if not same:
        raise exception.Invalid(sentence.invalid(
            'alarm_id', value, 'Value must be a UUID in lower case.'))
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
