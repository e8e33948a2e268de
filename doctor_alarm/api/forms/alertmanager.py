# SPDX-License-Identifier: Apache-2.0
"""Alerts as Prometheus Alertmanager sends them -> events.

It sends an alert again and again while it fires, and each of its instances
does: an event has the id of the alert, of its beginning or its end, so that
the alarms see it once.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import itertools
import json
from typing import Any

from doctor_alarm.api import alertmanager
from doctor_alarm.api.forms import event as form
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.schemas import alertmanager as schema
from doctor_alarm.schemas import sentence

#: Whose clock the times are, and who monitors.
SOURCE = 'alertmanager'
#: What Alertmanager says where it has no time.
_NO_TIME = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)


@dataclasses.dataclass(frozen=True, slots=True)
class Reader:
    """Makes events of alerts.

    :param max_age: seconds after which an event would be put aside
    """

    rules: alertmanager.Rules
    max_age: int

    def parse(self, doc: Any, post: form.Post) -> list[form.Posted]:
        """Return the events of a body: all of them or none.

        :raises Invalid: names index and field of what is wrong
        """
        wrong = schema.CHECKER.first(doc)
        if wrong:
            raise exception.Invalid(wrong)
        # An alert may have begun long ago. Later than so it did not.
        oldest = post.received - datetime.timedelta(seconds=self.max_age / 2)
        told: list[form.Told] = []
        complaints: list[str] = []
        for index, alert in enumerate(doc['alerts']):
            path = 'alerts[%d]' % index
            if len(complaints) > form.COMPLAINTS:
                break
            complaints_here = list(itertools.islice(
                _wrong(alert, path), form.COMPLAINTS + 1))
            complaints += complaints_here
            if complaints_here:
                continue
            rule = self.rules.find(alert['labels'])
            if rule is not None:
                told.append(form.Told(
                    path, _doc(doc, alert, rule, oldest, post.received),
                    _cause(alert)))
        return form.build(told, post, complaints)


def _wrong(alert: Any, path: str) -> Iterator[str]:
    shape = False
    for _field, text in schema.ALERT_CHECKER.errors(alert, path):
        shape = True
        yield text
    if shape:
        return
    for name in ('startsAt', 'endsAt'):
        try:
            if alert.get(name):
                event.parse_time(alert[name], name)
        except exception.InvalidEvent:
            yield sentence.invalid(form.join(path, name), alert[name],
                                   'Value must be an ISO 8601 time.')


def _doc(body: Mapping[str, Any], alert: Mapping[str, Any],
         rule: alertmanager.Rule, oldest: datetime.datetime,
         received: datetime.datetime) -> dict[str, Any]:
    """Return an alert as the event that a monitor would have posted."""
    resolved = alert['status'] == alertmanager.RESOLVED
    says = rule.resolved if resolved else rule.firing
    ended = event.parse_time(alert.get('endsAt') or _NO_TIME, 'endsAt')
    when = event.parse_time(alert['startsAt'], 'startsAt')
    if resolved:
        when = received if ended == _NO_TIME else ended
    flat = _flat(body, alert)
    details: dict[str, Any] = {
        name: value for name, value in flat.items()
        if name.startswith(('labels.', 'annotations.'))}
    details |= {
        fault.SOURCE: SOURCE, fault.MONITOR_ID: SOURCE,
        fault.MONITOR_EVENT_ID: alert.get('fingerprint'),
        fault.STATUS: says.status, 'starts_at': alert['startsAt'],
        'ends_at': None if ended == _NO_TIME else alert['endsAt']}
    for detail in rule.details:
        value = detail.find(flat)
        if value is not None:
            details[detail.name] = value
    return {'time': max(when, oldest).isoformat(),
            'type': says.type_of(alert['labels']), 'details': details}


def _flat(body: Mapping[str, Any],
          alert: Mapping[str, Any]) -> dict[str, str]:
    flat = {'%s.%s' % (kind, name): value
            for kind in ('labels', 'annotations')
            for name, value in (alert.get(kind) or {}).items()}
    for place in ('fingerprint', 'generatorURL'):
        flat[place] = alert.get(place) or ''
    for place in ('receiver', 'externalURL'):
        flat[place] = body.get(place) or ''
    return flat


def _cause(alert: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells the beginning or the end of an alert from others."""
    return (SOURCE, alert['status'], alert['startsAt'],
            alert.get('fingerprint') or json.dumps(
                alert['labels'], sort_keys=True))
