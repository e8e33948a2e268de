# SPDX-License-Identifier: Apache-2.0
"""The inspector without its listener: events in, what follows from them out.
"""
from __future__ import annotations

import dataclasses
import datetime
import logging
import threading

from oslo_config import cfg

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.inspector import derive
from doctor_alarm.inspector import failure_policy
from doctor_alarm.inspector import masakari
from doctor_alarm.inspector import metrics
from doctor_alarm.inspector import upkeep
from doctor_alarm import metrics as process_metrics

LOG = logging.getLogger(__name__)


class Stage:
    """Policy and map, and what they say of events.

    :param bus: whether there is a bus that tells of servers
    :raises ConfigurationError: one of the files is wrong
    """

    def __init__(self, conf: cfg.ConfigOpts, bus: bool = True) -> None:
        self._conf = conf
        self._max_age = datetime.timedelta(
            seconds=conf.evaluator.max_event_age)
        self._region = conf.inspector.region_name
        self._names = masakari.names(conf)
        self._again = threading.Event()
        self._policy = failure_policy.load(conf)
        self._upkeep = upkeep.Upkeep(conf, bus)

    def start(self) -> None:
        """Start to keep the map true."""
        self._upkeep.start()

    def stop(self) -> None:
        """End that."""
        self._upkeep.stop()

    def reload(self) -> None:
        """Read the files again before the next event; from any thread."""
        self._again.set()

    def concerns(self, event_type: object) -> bool:
        """Whether events of a type may be faults; most are not."""
        return isinstance(event_type, str) and (
            self._again.is_set() or self._policy.concerns(event_type))

    def inspect(self, event: event_mod.Event) -> list[event_mod.Event]:
        """Return what follows from an event; nothing from most."""
        if self._again.is_set():
            self._again.clear()
            self._read_again()
        entry = self._policy.find(event)
        if entry is None or self._is_elsewhere(event):
            return []
        if entry.affected.whole_host:
            event = self._names.completed(event)
        if event.trusted and not entry.affected.value(event):
            LOG.warning('%s %s has no %s: it is no fault', event.event_type,
                        event.message_id, entry.affected.trait)
            return []
        found = derive.inspect(event, self._policy, self._upkeep.map)
        if found is None or self._is_past(event):
            return []
        found = dataclasses.replace(found, found_at=event_mod.now_us())
        derived = list(derive.events_of(found))
        metrics.FAULTS.labels(found.status).inc()
        metrics.DERIVED.inc(len(derived))
        _observe(found)
        _log(found)
        return derived

    def _is_elsewhere(self, event: event_mod.Event) -> bool:
        """Whether it is a fault in a region that is not ours."""
        region = event.traits.get(fault.REGION)
        if not self._region or region in (None, '', self._region):
            return False
        LOG.info('%s of %s is in the region %s: it is no fault here',
                 event.event_type, event.resource_id, region)
        metrics.FAULTS.labels('elsewhere').inc()
        return True

    def _is_past(self, event: event_mod.Event) -> bool:
        """Whether the evaluators put it aside: its host may be well by now."""
        age = datetime.datetime.now(datetime.timezone.utc) - event.generated
        if age <= self._max_age:
            return False
        LOG.warning('%s of %s is older than [evaluator] max_event_age: it is '
                    'no fault', event.event_type, event.resource_id)
        return True

    def _read_again(self) -> None:
        self._upkeep.reload()
        try:
            self._policy = failure_policy.load(self._conf)
        except exception.ConfigurationError as exc:
            LOG.error('The failure policy stays as it was: %s',
                      ' '.join(str(exc).split()))
        else:
            LOG.info('The failure policy was read again')


def _observe(found: derive.Fault) -> None:
    root = found.root
    occurred_at = derive.occurrence(root)
    if occurred_at is not None:
        process_metrics.FAULT_STAGE.labels('detected').observe(
            (root.generated - occurred_at).total_seconds())
    for stage, start, end in (
            ('received', root.generated_us, root.transformed_at),
            ('found', root.transformed_at, found.found_at)):
        process_metrics.FAULT_STAGE.labels(stage).observe(
            max(0, end - start) / 1e6)


def _log(found: derive.Fault) -> None:
    LOG.info('Fault %s (%s): %s, %d servers affected',
             found.root.message_id, found.full_cause, found.status,
             len(found.servers))
    if not found.servers and not found.skipped:
        LOG.warning('No server is known for fault %s (%s): nobody but '
                    'administrators hears of it', found.root.message_id,
                    found.full_cause)
