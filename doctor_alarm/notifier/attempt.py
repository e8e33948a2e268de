# SPDX-License-Identifier: Apache-2.0
"""One attempt: a row becomes a delivery, a plugin's call an outcome."""
from __future__ import annotations

import dataclasses
import functools
import json
import logging
import time
import traceback
from typing import Any
import urllib.parse

from oslo_config import cfg
import prometheus_client as prom

from doctor_alarm import action as action_mod
from doctor_alarm import credential
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm import metrics
from doctor_alarm.notifier import base
from doctor_alarm.notifier import registry
from doctor_alarm.notifier import retry
from doctor_alarm.notifier import timeout
from doctor_alarm.objects import delivery as delivery_obj

LOG = logging.getLogger(__name__)

#: Characters of a reason that are kept.
REASON = 500
#: Characters of a part of an action that no traceback shows.
SECRET = 4
#: Alarms that are named in the log because they can not be decrypted.
SEALED = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is loaded; ``committed_at``: from its wake-up.

    ``action``: as it is shown; None if the stored one is not a URL.
    """

    row: delivery_obj.AnyRow
    action: urllib.parse.SplitResult | None
    committed_at: int | None = None

    @property
    def sequence(self) -> int:
        """Its number in the lane."""
        return int(self.row.sequence)

    @property
    def message_id(self) -> str:
        """The event that it is about."""
        return str(self.row.message_id)

    @property
    def since(self) -> int:
        """When it was due for the first time, or again by hand."""
        return int(self.row.replayed_at or self.row.created_at)

    def __str__(self) -> str:
        """As it is named in the log."""
        return 'delivery %s of alarm %s, message %s' % (
            self.row.id, self.row.alarm_id, self.row.message_id)


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """An attempt that was made; times in microseconds."""

    waiting: Waiting
    scheme: str
    outcome: base.Outcome
    fired_at: int
    ended_at: int

    @property
    def age(self) -> int:
        """Microseconds since the alarm fired, or since it was replayed."""
        return self.ended_at - self.waiting.since

    def record(self, decision: retry.Decision) -> delivery_obj.Attempt:
        """Return what of the delivery is to be stored."""
        return delivery_obj.Attempt(
            id=self.waiting.row.id, status=decision.status,
            attempts=self.waiting.row.attempts + 1,
            last_error=decision.error,
            committed_at=self.waiting.committed_at, fired_at=self.fired_at,
            received_at=self.ended_at if self.outcome.answered else None)


class Attempts:
    """Calls plugins; whatever they do, there is an outcome in time."""

    def __init__(self, conf: cfg.ConfigOpts,
                 plugins: registry.Registry) -> None:
        self._timeout = conf.notifier.timeout
        self._limit = timeout.Timeout(self._timeout)
        self._plugins = plugins
        self._vault = credential.make(conf)
        self._sealed: set[str] = set()
        self._told: set[tuple[str, type]] = set()

    async def make(self, waiting: Waiting, body: str | None) -> Done:
        """Attempt a delivery once.

        :param body: of its event; None if that was purged
        """
        fired_at = _now()
        scheme, outcome = await self._outcome(waiting, body)
        done = Done(waiting, scheme, outcome, fired_at, _now())
        if body and _OF_A_FAULT in body:
            _note_fault(done, body)
        return done

    async def _outcome(self, waiting: Waiting, body: str | None,
                       ) -> tuple[str, base.Outcome]:
        action = waiting.action
        if action is None:
            return '', base.Outcome.rejected('the action is not a URL')
        plugin = self._plugins.get(action.scheme)
        if plugin is None:
            return '', base.Outcome.rejected(
                'no notifier plugin for scheme %.20r' % action.scheme)
        stored = waiting.row.action
        try:
            url = self._vault.open(stored)
        except exception.Sealed as exc:
            self._tell_sealed(waiting, exc)
            return action.scheme, base.Outcome.retry(
                str(exc), answered=None)
        if url is not stored:
            action = urllib.parse.urlsplit(url)
        self._sealed.discard(waiting.row.alarm_id)
        return action.scheme, await self._call(
            plugin, waiting, _delivery(waiting.row, action, body))

    def _tell_sealed(self, waiting: Waiting, exc: exception.Sealed) -> None:
        # Once for each alarm, until there is a key again.
        alarm_id = waiting.row.alarm_id
        if len(self._sealed) < SEALED and alarm_id not in self._sealed:
            self._sealed.add(alarm_id)
            LOG.error('It waits: %s: %s', waiting, exc)

    async def _call(self, plugin: base.Notifier, waiting: Waiting,
                    delivery: base.Delivery) -> base.Outcome:
        try:
            outcome = await self._limit.run(plugin.deliver(delivery))
        except TimeoutError:
            return base.Outcome.retry(
                'no answer within %g s' % self._timeout, answered=False)
        except Exception as exc:
            self._tell(waiting, delivery.action, exc)
            return base.Outcome.retry(
                'the notifier plugin failed: %s' % type(exc).__name__)
        if len(outcome.reason) > REASON or not outcome.reason.isprintable():
            outcome = dataclasses.replace(
                outcome, reason=_one_line(outcome.reason))
        return outcome

    def _tell(self, waiting: Waiting, action: urllib.parse.SplitResult,
              exc: Exception) -> None:
        # With the traceback once: it may be so for every delivery.
        scheme = action.scheme
        if (scheme, type(exc)) not in self._told:
            self._told.add((scheme, type(exc)))
            LOG.error('Notifier plugin %s failed: %s\n%s', scheme, waiting,
                      _traceback(exc, action))

    def note(self, done: Done, decision: retry.Decision) -> None:
        """Count an attempt and its stages."""
        row = done.waiting.row
        _counter(done.scheme, decision.label).inc()
        if done.outcome.status is base.Status.DELIVERED:
            _FIRED.observe(max(0, done.fired_at - row.evaluated_at) / 1e6)
            _RECEIVED.observe(max(0, done.ended_at - done.fired_at) / 1e6)
        LOG.debug('Attempt of %s: %s %s', done.waiting, decision.label,
                  decision.error or '')


def _note_fault(done: Done, body: str) -> None:
    """Observe how long a fault took to a receiver."""
    row = done.waiting.row
    if done.outcome.status is not base.Status.DELIVERED or row.replayed_at:
        return
    event = event_mod.Event.from_wire(
        json.loads(body), received=event_mod.from_us(done.ended_at),
        clean=True)
    if fault.part_of(event) in fault.NOTIFIED:
        _ARRIVED.observe(max(0, done.ended_at - row.notified_at) / 1e6)


def _delivery(row: delivery_obj.AnyRow, action: urllib.parse.SplitResult,
              body: str | None) -> base.Delivery:
    # By position: to look two dozen columns up by name takes longer than all
    # the rest of this. They are those of objects.delivery.Row.
    (lane_id, _token, _action, project_id, alarm_id, _head, _tail, _failures,
     _policy, id_, sequence, alarm_name, severity, previous, current, reason,
     resource_id, attempts, message_id, created_at, notified_at,
     transformed_at, evaluated_at, replayed_at,
     reason_data) = tuple[Any, ...](row)
    return base.Delivery(
        id=id_, lane_id=lane_id, sequence=sequence, action=action,
        project_id=project_id, alarm_id=alarm_id, alarm_name=alarm_name,
        severity=severity, previous=previous, current=current, reason=reason,
        resource_id=resource_id, message_id=message_id,
        # It may have been purged before an old delivery had its turn.
        event_json=body or json.dumps({'message_id': message_id}),
        attempts=attempts, created_at=created_at, notified_at=notified_at,
        transformed_at=transformed_at, evaluated_at=evaluated_at,
        replayed=bool(replayed_at), reason_data=reason_data)


def _traceback(exc: Exception, action: urllib.parse.SplitResult) -> str:
    """Return the traceback of an error, which may quote the action."""
    text = ''.join(traceback.format_exception(exc))
    userinfo = action.netloc.rpartition('@')[0]
    secret = {userinfo, action.query, *userinfo.split(':'), *(
        item.partition('=')[2] for item in action.query.split('&'))}
    secret.update(map(urllib.parse.unquote, tuple(secret)))
    for part in sorted(secret, key=len, reverse=True):
        if len(part) >= SECRET:
            text = text.replace(part, action_mod.MASK)
    return text.rstrip()


def _one_line(text: str) -> str:
    return ' '.join(''.join(
        c if c.isprintable() else ' ' for c in text[:REASON]).split())


def _now() -> int:
    return time.time_ns() // 1000


@functools.lru_cache(256)
def _counter(scheme: str, label: str) -> prom.Counter:
    return metrics.DELIVERIES.labels(scheme, label)


_FIRED = metrics.STAGE.labels('fired')
_RECEIVED = metrics.STAGE.labels('received')
_ARRIVED = metrics.FAULT_STAGE.labels('delivered')
#: In the body of every event that tells of a fault, and few others.
_OF_A_FAULT = '"%s"' % fault.CORRELATION_ID
