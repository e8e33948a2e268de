# SPDX-License-Identifier: Apache-2.0
"""``notifier://``: events in Ceilometer's form, for Aodh and others.

Options of the URL: ``topic`` (``alarm.all`` for Aodh), ``exchange`` (on
RabbitMQ the name of the queue is what counts), ``per_message`` (most events in
a message), ``driver`` (with a host: scheme of that transport). A host names
another broker than that of ``[DEFAULT] transport_url``:
``notifier://user:password@broker:5672/vhost?topic=alarm.all``.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any
import urllib.parse

from oslo_config import cfg

from doctor_alarm.agent.publishers import base
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm import signature

#: What Ceilometer sends of an event, and nothing else.
KEYS = ('message_id', 'event_type', 'generated', 'traits', 'raw')
#: Never our own exchange: that one is durable, the queues of others may not
#: be, and the broker refuses both at once.
EXCHANGE = 'ceilometer'
_OPTIONS = ('topic', 'exchange', 'per_message', 'driver')
# Understood by Ceilometer's publisher only: here delivery is always certain.
_IGNORED = ('policy', 'max_queue_length', 'max_retry', 'per_meter_topic')


class NotifierPublisher(base.Publisher):
    """Sends events as Ceilometer's publisher of the same name does."""

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        super().__init__(conf, url)
        chosen = base.options(url, _OPTIONS + _IGNORED)
        self._per_message = _count(chosen.get('per_message', '100'))
        transport = messaging.get_transport(conf, _transport_url(url, chosen))
        self._publisher = messaging.Publisher(
            transport,
            chosen.get('topic') or conf.publisher_notifier.event_topic,
            'doctor_alarm.agent',
            exchange=chosen.get('exchange') or EXCHANGE)

    def publish(self, events: list[event.Event]) -> None:
        """Send events; on a failure all of them have to be sent again.

        :raises PublishFailed: the broker did not confirm a message
        """
        secret = self.conf.publisher.telemetry_secret
        docs = (to_ceilometer(found, secret) for found in events)
        for group in messaging.chunks(docs, count=self._per_message):
            self._publisher.publish('event', group)


def to_ceilometer(found: event.Event, secret: str = '') -> dict[str, Any]:
    """Return an event with exactly the keys that Ceilometer sends."""
    wire = found.to_wire()
    doc = {key: wire[key] for key in KEYS}
    doc['message_signature'] = signature.of(doc, secret)
    return doc


def _count(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 1000:
        return int(text)
    raise exception.ConfigurationError(
        where='publisher', reason='per_message must be 1 to 1000')


def _transport_url(url: str, chosen: Mapping[str, str]) -> str | None:
    parsed = urllib.parse.urlsplit(url)
    if not parsed.netloc:
        return None
    return urllib.parse.urlunsplit((
        chosen.get('driver') or 'rabbit', parsed.netloc, parsed.path, '', ''))
