# SPDX-License-Identifier: Apache-2.0
"""Sends captured notifications: onto a bus, or to the API as events."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import json
import os
from typing import Any, Protocol
import urllib.error
import urllib.request
import uuid

from oslo_config import cfg
import oslo_messaging
from oslo_utils import timeutils

from doctor_alarm.agent import endpoint
from doctor_alarm.agent import replay
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import messaging

#: Seconds that the API has for an answer.
TIMEOUT = 60
PUBLISHER_ID = 'replay.localhost'

_CONTEXT = '_context_'


class Sender(Protocol):
    """Where notifications are sent to."""

    def send(self, exchange: str, message: dict[str, Any]) -> bool:
        """Send one; return whether anybody is meant to take it.

        :raises PublishFailed: it did not arrive
        """


class Bus:
    """Sends notifications as the services do: in oslo's form, to their queues.

    :param exchange: for notifications that do not tell theirs
    """

    def __init__(self, conf: cfg.ConfigOpts, exchange: str) -> None:
        self._transport = messaging.get_transport(conf)
        self._exchange = exchange

    def send(self, exchange: str, message: dict[str, Any]) -> bool:
        """Send one notification; return when the broker has it."""
        ctxt = {name.removeprefix(_CONTEXT): value
                for name, value in message.items()
                if name.startswith(_CONTEXT)}
        bare = {name: value for name, value in message.items()
                if not name.startswith('_')}
        priority = str(bare.get('priority') or 'INFO')
        notification = {
            'message_id': str(uuid.uuid4()), 'publisher_id': PUBLISHER_ID,
            'timestamp': str(timeutils.utcnow()), **bare,
            'priority': priority.upper()}
        target = oslo_messaging.Target(
            exchange=exchange or self._exchange,
            topic='%s.%s' % (topic_of(message), priority.lower()))
        try:
            self._transport._send_notification(
                target, ctxt, notification, version=2.0,
                retry=messaging.RETRIES)
        except Exception as exc:
            raise exception.PublishFailed(
                topic=target.topic, reason=messaging.reason_of(exc)) from exc
        return True


class Api:
    """Makes events of notifications and posts them.

    ``OS_TOKEN`` of the environment is the token, if the API wants one.
    """

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        if not url.startswith(('http://', 'https://')):
            raise exception.Invalid('%s is no http or https URL' % url)
        self._url = url.rstrip('/')
        self._transformer = endpoint.Transformer(conf, counts=False)

    def send(self, exchange: str, message: dict[str, Any]) -> bool:
        """Post the event of one notification, if it has one.

        :raises InvalidEvent: it is malformed
        """
        notification = {
            'message_id': str(uuid.uuid4()),
            'timestamp': str(timeutils.utcnow()), **message}
        events = self._transformer.events(notification)
        self.post(events)
        return bool(events)

    def post(self, events: Iterable[event_mod.Event]) -> None:
        """Post events.

        :raises Invalid: the API refuses them
        :raises PublishFailed: it does not answer, or can not take them now
        """
        docs = [replay.as_posted(event) for event in events]
        if not docs:
            return
        headers = {'Content-Type': 'application/json'}
        if os.environ.get('OS_TOKEN'):
            headers['X-Auth-Token'] = os.environ['OS_TOKEN']
        request = urllib.request.Request(  # noqa: S310 (see __init__)
            self._url + '/v1/events', method='POST', headers=headers,
            data=json.dumps({'events': docs}).encode())
        try:
            with urllib.request.urlopen(  # noqa: S310
                    request, timeout=TIMEOUT) as answer:
                answer.read()
        except urllib.error.HTTPError as exc:
            reason = _fault(exc)
            if exc.code < 500:
                raise exception.Invalid(reason) from None
            raise exception.PublishFailed(
                topic=self._url, reason=reason) from None
        except OSError as exc:
            raise exception.PublishFailed(
                topic=self._url, reason=messaging.reason_of(exc)) from exc

    def replay(self, body: Any) -> None:
        """Post what was put aside: events, or a notification.

        :raises Invalid: it is neither
        """
        payload = body.get('payload') if isinstance(body, Mapping) else None
        if isinstance(payload, list):
            now = timeutils.utcnow(with_timezone=True)
            self.post([event_mod.Event.from_wire(doc, received=now)
                       for doc in payload])
        elif isinstance(payload, Mapping):
            self.send('', dict(body))
        else:
            raise exception.Invalid('It is neither events nor a notification')


def topic_of(message: Mapping[str, Any]) -> str:
    """Return the topic that nova sends such a notification to."""
    payload = message.get('payload')
    versioned = (isinstance(payload, Mapping)
                 and 'nova_object.data' in payload)
    return 'versioned_notifications' if versioned else 'notifications'


def _fault(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)['error_message']['faultstring'])
    except (ValueError, KeyError, TypeError):
        return '%d %s' % (error.code, error.reason)
