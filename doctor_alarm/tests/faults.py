# SPDX-License-Identifier: Apache-2.0
"""Faults as an inspector tells them."""

import dataclasses
import datetime
import json

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import action
from doctor_alarm.inspector import derive
from doctor_alarm.inspector import failure_policy
from doctor_alarm.inspector import resource_map
from doctor_alarm import metrics

PACKAGED = failure_policy.__file__.replace(
    'failure_policy.py', 'data/failure_policy.yaml')


class Map:
    """A host with these servers: name -> project."""

    def __init__(self, servers):
        self._servers = [
            resource_map.Server(name, 'the ' + name, project, 'h1')
            for name, project in servers.items()]

    def servers_of(self, host):
        return self._servers if host == 'h1' else []


def root(message_id='m1', kind=fault.HOST_DOWN, seconds=0, **traits):
    """What a monitor posted, some seconds from now."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return event_mod.build(event_mod.Parts(
        message_id=message_id, event_type=kind,
        generated=now + datetime.timedelta(seconds=seconds), traits={
            'hostname': 'h1', 'host': 'h1', 'cause': 'h1 is dead',
            'source': 'ping', **traits}, publisher_id='ping'), received=now)


def derived(event, servers, found_at=0):
    """Return what follows from an event.

    :param servers: of the host h1: name -> project
    """
    found = derive.inspect(
        event, failure_policy.read(PACKAGED), Map(servers))
    return list(derive.events_of(
        dataclasses.replace(found, found_at=found_at)))


def outcomes(events, ended_at, outcome='done', reason=''):
    """Return what came of all that the events ask for."""
    value = next(item for item in action.cloud.Outcome
                 if item.value == outcome)
    return [asked.outcome(value, reason, ended_at)
            for event in events for asked in action.of(event)]


def observed(since=None):
    """Return (count, seconds) of each stage of faults that was observed.

    :param since: what it was before
    """
    found = {}
    for sample in next(iter(metrics.FAULT_STAGE.collect())).samples:
        part = {'_count': 0, '_sum': 1}.get(
            sample.name.removeprefix('doctor_alarm_fault_seconds'))
        if part is not None:
            found.setdefault(
                sample.labels['stage'], [0, 0])[part] = sample.value
    return {stage: (count - before[0], seconds - before[1])
            for stage, (count, seconds) in found.items()
            for before in [(since or {}).get(stage, (0, 0))]
            if count > before[0]}


def map_file(path, servers, host='h1'):
    """Write a resource map: name -> project."""
    with open(path, 'w') as file:
        json.dump({host: [
            {'id': name, 'name': 'the ' + name, 'project_id': project}
            for name, project in servers.items()]}, file)
