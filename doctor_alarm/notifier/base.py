# SPDX-License-Identifier: Apache-2.0
"""The contract of notifier plugins (entry points ``doctor_alarm.notifier``).

The name of the entry point is the scheme of the action URLs that it serves.
"""
from __future__ import annotations

import abc
from collections.abc import Mapping
import dataclasses
import enum
import json
from typing import Any
import urllib.parse

from oslo_config import cfg


class Status(enum.StrEnum):
    """How an attempt ended."""

    DELIVERED = 'delivered'
    RETRY = 'retry'
    REJECTED = 'rejected'


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, and why.

    ``reason`` is stored and shown: one line without credentials.
    ``retry_after``: seconds that the receiver asked for.
    ``answered``: whether the receiver was reached; those that are not get
    one call at a time until they are. ``None``: it was not called.
    """

    status: Status
    reason: str = ''
    retry_after: float | None = None
    answered: bool | None = True

    @classmethod
    def delivered(cls) -> Outcome:
        """The receiver has it."""
        return _DELIVERED

    @classmethod
    def retry(cls, reason: str, retry_after: float | None = None,
              answered: bool | None = True) -> Outcome:
        """It may succeed later."""
        return cls(Status.RETRY, reason, retry_after, answered)

    @classmethod
    def rejected(cls, reason: str) -> Outcome:
        """It will never succeed: a dead letter."""
        return cls(Status.REJECTED, reason)


_DELIVERED = Outcome(Status.DELIVERED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notification to one action, with the alarm as it was when it fired.

    ``id`` is the notification_id: the same in every attempt. ``action`` may
    carry credentials. ``event_json``: the event in Aodh's form.
    ``notified_at``: when the event was generated, ``created_at``: when it
    fired the alarm; microseconds. ``replayed``: given up before, and sent
    again because somebody asked for it. ``reason_data``: JSON of what there
    is beside the event, ``None``: nothing.
    """

    id: str
    lane_id: str
    sequence: int
    action: urllib.parse.SplitResult
    project_id: str
    alarm_id: str
    alarm_name: str
    severity: str
    previous: str
    current: str
    reason: str
    resource_id: str
    message_id: str
    event_json: str
    attempts: int
    created_at: int
    notified_at: int
    transformed_at: int
    evaluated_at: int
    replayed: bool = False
    reason_data: str | None = None

    @property
    def event(self) -> Mapping[str, Any]:
        """The event that fired the alarm."""
        event: dict[str, Any] = json.loads(self.event_json)
        return event


class Notifier(abc.ABC):
    """Delivers to one kind of receivers.

    All calls of a plugin run in one event loop, many at a time: what blocks
    belongs into a thread. The caller cancels a delivery that exceeds
    ``[notifier] timeout`` and takes an exception for a failed attempt.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    async def start(self) -> None:  # noqa: B027 - most have nothing to do
        """Get ready.

        :raises ConfigurationError: stops the service
        """

    async def stop(self) -> None:  # noqa: B027
        """Let go of connections; nothing is under way any more."""

    @abc.abstractmethod
    async def deliver(self, delivery: Delivery) -> Outcome:
        """Attempt one delivery."""
