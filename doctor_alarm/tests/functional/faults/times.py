# SPDX-License-Identifier: Apache-2.0
"""Faults of what is told: times and repetitions of events."""

import datetime
import time
import uuid

from doctor_alarm.tests.functional.faults import table

SERVERS = 25
TURNS = 20
STATES = ('error', 'active')
#: Seconds by which an event may be ahead of us (``event.py``).
AHEAD = 5


def _now():
    return datetime.datetime.now(datetime.timezone.utc)


def _failed(vm):
    """A rule without an end: every failure is told."""
    return {'event_type': 'compute.instance.update', 'query': [
        {'field': 'traits.instance_id', 'op': 'eq', 'value': vm},
        {'field': 'traits.state', 'op': 'eq', 'value': 'error'}]}


@table.fault('events', bursts=False)
def generated_out_of_order(scene):
    """All failures are told; the state is that of the newest event."""
    states = {}
    for _ in range(SERVERS):
        vm = scene.server()
        scene.alarm(vm, ['alarm'] * (TURNS // 2), repeat_actions=True,
                    event_rule=_failed(vm))
        state = scene.alarm(vm, alarm_actions=[], ok_actions=[])
        del scene.expected[state]
        newest = scene.chance.randrange(2)
        states[state] = ('alarm', 'ok')[newest]
        steps = list(range(TURNS))
        scene.chance.shuffle(steps)
        start = _now() - datetime.timedelta(minutes=1)
        for step in steps:
            scene.tell(vm, STATES[(TURNS - 1 - step + newest) % 2],
                       start + datetime.timedelta(seconds=step))
    scene.sent_at = time.time()
    scene.until(lambda: not scene.missing())

    def wrong():
        return [alarm_id for alarm_id, state in states.items() if scene.api(
            'GET', '/v2/alarms/%s' % alarm_id).json()['state'] != state]

    scene.until(lambda: not wrong(), 30,
                lambda: '%d alarms in a state of the past' % len(wrong()))


@table.fault('events', bursts=False)
def generated_twice(scene):
    """The same notification comes again, at once or much later."""
    servers = [scene.server() for _ in range(SERVERS)]
    for vm in servers:
        scene.alarm(vm, ('alarm', 'ok') * (TURNS // 2))
    told = []
    for turn in range(TURNS):
        for vm in servers:
            event = (vm, STATES[turn % 2], _now(), str(uuid.uuid4()))
            scene.tell(*event)
            told.append(event)
            scene.tell(*scene.chance.choice([event, *told[-100:]]))
    for event in told:
        scene.tell(*event)
    scene.sent_at = time.time()


@table.fault('events', bursts=False)
def generated_in_the_future(scene):
    """2099 is now; what comes after it counts."""
    servers = [scene.server() for _ in range(SERVERS)]
    for vm in servers:
        scene.alarm(vm, ('alarm', 'ok'))
        scene.tell(vm, 'error', datetime.datetime(
            2099, 1, 1, tzinfo=datetime.timezone.utc))
    scene.until(lambda: scene.missing() == len(servers))
    scene.last(AHEAD)
    for vm in servers:
        scene.tell(vm, 'active')
    scene.sent_at = time.time()


@table.fault('events', bursts=False)
def generated_in_the_past(scene):
    """An hour ago still counts; years ago is put aside, and kept."""
    old = set()
    for _ in range(SERVERS):
        vm = scene.server()
        scene.alarm(vm, ('alarm', 'ok'))
        old.add(scene.tell(vm, 'error', datetime.datetime(
            1999, 1, 1, tzinfo=datetime.timezone.utc)))
        hour = _now() - datetime.timedelta(hours=1)
        scene.tell(vm, 'error', hour)
        scene.tell(vm, 'active', hour + datetime.timedelta(minutes=1))
    scene.sent_at = time.time()
    scene.until(lambda: old <= scene.put_aside(), 60, lambda: (
        '%d of %d are not put aside' % (
            len(old - scene.put_aside()), len(old))))
