# SPDX-License-Identifier: Apache-2.0
"""``alarm://``: our own durable hop to the evaluators."""
from __future__ import annotations

from oslo_config import cfg

from doctor_alarm.agent.publishers import base
from doctor_alarm import event
from doctor_alarm import messaging

#: Events in a message: more cost latency and win nothing.
EVENTS = 100


class AlarmPublisher(base.Publisher):
    """Sends events to the evaluators over a quorum queue."""

    feeds_alarms = True

    def __init__(self, conf: cfg.ConfigOpts, url: str) -> None:
        super().__init__(conf, url)
        base.options(url, ())
        self._publisher = messaging.Publisher(
            messaging.get_own_transport(conf), conf.evaluator.event_topic,
            'doctor_alarm.agent')

    def publish(self, events: list[event.Event]) -> None:
        """Send events; on a failure all of them have to be sent again.

        :raises PublishFailed: the broker did not confirm a message
        """
        docs = (found.to_wire() for found in events)
        for group in messaging.chunks(docs, count=EVENTS):
            self._publisher.publish('event', group)
