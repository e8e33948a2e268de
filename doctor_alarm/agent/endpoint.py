# SPDX-License-Identifier: Apache-2.0
"""Notification -> events. No I/O but counting."""
from __future__ import annotations

from collections.abc import Mapping
import datetime
import time
from typing import Any

from oslo_config import cfg

from doctor_alarm.agent import definitions
from doctor_alarm.agent import metrics
from doctor_alarm.agent import normalise
from doctor_alarm.agent import nova_format
from doctor_alarm import event
from doctor_alarm import fault

#: Publishers of this service; what they tell is no news to it.
OWN = 'doctor_alarm'


class Transformer:
    """Makes events of notifications.

    :param counts: whether it counts what it meets; several transformers that
        see the same notifications would count them twice
    """

    def __init__(self, conf: cfg.ConfigOpts, counts: bool = True) -> None:
        self._definitions = definitions.load(conf)
        self._choice = nova_format.Choice(conf.agent.nova_format)
        self._raw_priorities = frozenset(
            priority.lower() for priority in conf.event.store_raw)
        self._counts = counts

    def events(self, message: Mapping[str, Any],
               ctxt: Mapping[str, Any] | None = None,
               received: datetime.datetime | None = None,
               ) -> list[event.Event]:
        """Return the events of a notification: one, or none.

        :param message: as oslo.messaging hands it over
        :param received: aware, UTC; default: now
        :raises InvalidEvent: says what is malformed
        """
        if _is_own(message):
            return self._drop('own')
        found = normalise.normalise(message, ctxt)
        if not self._choice.takes(found):
            return self._drop('other_format')
        definition = self._definitions.find(found.event_type)
        if definition is None:
            return self._drop('unmatched')
        traits = definition.traits_of(found.body)
        cause = fault.cause_of(found.body['ctxt'].get('global_request_id'))
        if cause is not None:
            traits[fault.ECHO_OF] = cause
        if self._counts:
            self._count_unknown(found)
        return [event.build(event.Parts(
            message_id=found.message_id, event_type=found.event_type,
            generated=found.timestamp, traits=traits,
            project_id=owner_of(found, traits),
            publisher_id=found.publisher_id, raw=self._raw(found),
            transformed_at=time.time_ns() // 1000),
            received=received or datetime.datetime.now(datetime.UTC))]

    def _drop(self, reason: str) -> list[event.Event]:
        if self._counts:
            metrics.DROPPED.labels(reason).inc()
        return []

    def _raw(self, found: normalise.Notification) -> dict[str, Any] | None:
        if found.priority not in self._raw_priorities:
            return None
        return {key: value for key, value in found.body.items()
                if key != 'ctxt'}

    @staticmethod
    def _count_unknown(found: normalise.Notification) -> None:
        for name in found.unknown_objects:
            # Names come from outside: those nobody knows share one label.
            known = name in normalise.KNOWN_OBJECTS
            metrics.UNKNOWN_OBJECTS.labels(name if known else 'other').inc()


def owner_of(found: normalise.Notification, traits: Mapping[str, Any],
             ) -> str | None:
    """Return the project of the resource.

    What the definition says; else the project of the object that the event
    type is named after (neutron's ``port.update.end`` has ``payload.port``),
    which definitions written for Ceilometer leave to the requester.
    """
    owner = traits.get('project_id') or traits.get('tenant_id')
    if not owner:
        thing = found.payload.get(found.event_type.partition('.')[0])
        if isinstance(thing, Mapping):
            owner = thing.get('project_id') or thing.get('tenant_id')
    return owner if isinstance(owner, str) else None


def _is_own(message: Any) -> bool:
    if not isinstance(message, Mapping):
        return False
    publisher_id = message.get('publisher_id')
    return isinstance(publisher_id, str) and publisher_id.startswith(OWN)
