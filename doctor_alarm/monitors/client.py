# SPDX-License-Identifier: Apache-2.0
"""One request to the event API, and what its answer means."""
from __future__ import annotations

import dataclasses
import datetime
import email.utils
import enum
from typing import Any

from keystoneauth1 import exceptions
from oslo_config import cfg
import requests

from doctor_alarm.conf import monitor
from doctor_alarm.monitors import base
from doctor_alarm import session

#: Where a standalone service listens.
DEFAULT_ENDPOINT = 'http://127.0.0.1:8042'
PATH = '/v1/events'
#: The body itself is wrong or too large, now and for ever.
_REFUSALS = frozenset((400, 413, 415, 422))


class Result(enum.Enum):
    """What became of a request."""

    DELIVERED = 'delivered'
    REFUSED = 'refused'
    RETRY = 'retry'


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A result, and seconds that the event API asked to wait for."""

    result: Result
    reason: str = ''
    retry_after: float = 0.0


class Client:
    """Posts events."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf[monitor.GROUP]
        self._session = session.load(conf, monitor.GROUP, default='none')
        endpoint = options.endpoint
        section = conf[options.auth_section or monitor.GROUP]
        if not endpoint and section.auth_type in (None, 'none', 'http_basic'):
            endpoint = DEFAULT_ENDPOINT
        self._where: dict[str, Any] = (
            {'endpoint_override': endpoint.rstrip('/')} if endpoint else {})
        self._where['endpoint_filter'] = {
            'service_type': options.service_type,
            'interface': options.interface,
            'region_name': options.region_name}

    def post(self, bodies: list[dict[str, Any]]) -> Outcome:
        """Post events, one or a bulk; never raises for what the net does."""
        body = bodies[0] if len(bodies) == 1 else {'events': bodies}
        try:
            answer = self._session.request(
                PATH, 'POST', json=body, raise_exc=False, redirect=False,
                log=False, **self._where)
        except (exceptions.ClientException,
                requests.RequestException, OSError) as exc:
            # Whether it arrived is not known, so it is posted again.
            return Outcome(Result.RETRY, _line(exc))
        return judge(answer)


def judge(answer: requests.Response) -> Outcome:
    """Return what an answer means."""
    if 200 <= answer.status_code < 300:
        return Outcome(Result.DELIVERED)
    reason = 'HTTP %d %s' % (answer.status_code, _fault(answer))
    if answer.status_code in _REFUSALS:
        return Outcome(Result.REFUSED, reason)
    return Outcome(Result.RETRY, reason, retry_after(
        answer.headers.get('Retry-After'), base.utcnow()))


def retry_after(value: str | None, now: datetime.datetime) -> float:
    """Return the seconds of a header Retry-After, 0 if there are none."""
    text = (value or '').strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, (when - now).total_seconds())


def _fault(answer: requests.Response) -> str:
    """Return the message of an error, short, in one line."""
    try:
        text = answer.json()['error_message']['faultstring']
    except (ValueError, KeyError, TypeError):
        return ''
    return ' '.join(str(text).split())[:300]


def _line(exc: BaseException) -> str:
    return ('%s: %s' % (type(exc).__name__, ' '.join(
        str(exc).split())))[:300]
