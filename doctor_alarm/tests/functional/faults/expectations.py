# SPDX-License-Identifier: Apache-2.0
"""What must hold after every fault.

Nothing is lost, nothing is invented, the order is kept; a notification comes
twice only where its receiver may have got it and the answer was lost; all
parts work on, with the memory that they had.
"""

import collections
import dataclasses
import itertools
import time

from doctor_alarm.tests.functional.faults import scene as scene_mod

#: Seconds that a scene has to become idle, and to tell of one more fault.
SETTLE = 30
#: What a process may need more than before the fault.
MORE = scene_mod.Level(mb=30, files=100, threads=10)
#: Megabytes that no part needs.
MOST_MB = 150


@dataclasses.dataclass
class Result:
    """What a fault did.

    :ivar lost: notifications that never came
    :ivar duplicates: how often one came again, with the same id
    :ivar invented: notifications beside those that were expected
    :ivar disordered: alarms whose order was not kept
    :ivar drain: seconds from the repair, or from the last event if that was
        later, until the last notification came
    :ivar wedged: what does not work any more, in words
    :ivar memory: name -> megabytes before and after
    :ivar about: what the fault was in detail, where chance decided
    :ivar complaints: what may not be
    """

    fault: str
    lost: int = 0
    duplicates: int = 0
    invented: int = 0
    disordered: int = 0
    drain: float = 0.0
    wedged: str = ''
    about: str = ''
    memory: dict = dataclasses.field(default_factory=dict)
    complaints: list = dataclasses.field(default_factory=list)


def survive(scene, fault):
    """Cause a fault and return what it did."""
    before = scene.levels()
    scene.begin()
    result = Result(fault.name)
    try:
        if fault.bursts:
            with scene.bursting():
                scene.progress(scene.chance.randrange(20, 200))
                fault.cause(scene)
                scene.repaired_at = time.time()
        else:
            fault.cause(scene)
        _wait(scene)
    except AssertionError as exc:
        result.complaints.append(str(exc))
    result.about = scene.about
    _count(scene, result)
    _go_on(scene, result)
    _levels(scene, before, result)
    if fault.also is not None:
        result.complaints += fault.also(scene)
    result.complaints += _complaints(fault, result)
    if result.complaints and result.duplicates:
        result.about += ' '.join(_repeated(scene))
    return result


def _repeated(scene):
    """Tell of what came again: when, and what was noted of it."""
    arrivals = collections.defaultdict(list)
    for body in list(scene.receiver.bodies):
        arrivals[body['notification_id']].append(body['_at'])
    again = {name: times for name, times in arrivals.items()
             if len(times) > 1}
    notes = scene.notes(again)
    return ['[%s: %s s apart, %s]' % (
        name, ', '.join('%.2f' % (then - first) for first, then
                        in itertools.pairwise(times)), notes.get(name))
        for name, times in again.items()]


def _wait(scene):
    """Wait until all is told, or nothing comes any more."""
    seen = scene.received, time.monotonic()

    def over():
        nonlocal seen
        if scene.received != seen[0]:
            seen = scene.received, time.monotonic()
        return (not scene.missing()
                or scene.over(time.monotonic() - seen[1]))

    scene.until(over, message='all is told')


def _count(scene, result):
    arrivals = collections.Counter(
        body['notification_id'] for body in list(scene.receiver.bodies)
        if body['alarm_id'] in scene.expected)
    result.duplicates = sum(arrivals.values()) - len(arrivals)
    last = scene.sent_at
    for alarm_id, bodies in scene.told().items():
        states = scene.expected[alarm_id]
        result.lost += max(0, len(states) - len(bodies))
        result.invented += max(0, len(bodies) - len(states))
        result.disordered += not _ordered(states, bodies)
        last = max([last, *(body['_at'] for body in bodies)])
    result.drain = last - max(scene.sent_at, scene.repaired_at)


def _ordered(states, bodies):
    """Whether states and numbers are in order, whatever is missing."""
    numbers = [body['sequence'] for body in bodies]
    current = [body['current'] for body in bodies]
    return numbers == sorted(set(numbers)) and (
        len(current) != len(states) or current == states)


def _go_on(scene, result):
    """See that every way still works, and that nothing stays behind."""
    servers = [scene.server() for _ in range(2)]
    try:
        alarms = [scene.alarm(vm, ('alarm', 'ok')) for vm in servers]
        for number, vm in enumerate(servers):
            for state in ('error', 'active'):
                scene.teller(number)(vm, state)
        scene.until(lambda: all(
            len(scene.told()[alarm_id]) == 2 for alarm_id in alarms
        ) or scene.ended(), SETTLE, 'a fault after the fault is told')
        scene.until(lambda: not scene.unsettled(), SETTLE, scene.unsettled)
    except AssertionError as exc:
        result.wedged = str(exc)


def _levels(scene, before, result):
    """Compare with what was; what is still under way has time to end."""
    try:
        scene.until(lambda: not _grown(before, scene.levels()), SETTLE)
    except AssertionError:
        result.complaints += _grown(before, scene.levels())
    for name, after in scene.levels().items():
        result.memory[name] = (
            round(before.get(name, after).mb), round(after.mb))


def _grown(before, now):
    """Return what is larger than it may be, in words."""
    found = []
    for name, after in now.items():
        was = before.get(name, after)
        if after.mb > MOST_MB:
            found.append('%s: %d MB' % (name, after.mb))
        found += ['%s: from %d to %d %s' % (name, old, new, what)
                  for what, old, new, more in zip(
                      after._fields, was, after, MORE, strict=True)
                  if new > old + more]
    return found


def _complaints(fault, result):
    found = []
    for name in ('lost', 'invented', 'disordered', 'wedged'):
        if getattr(result, name):
            found.append('%s: %s' % (name, getattr(result, name)))
    if result.duplicates and not fault.answers_lost:
        found.append('%d duplicates, and no answer was lost'
                     % result.duplicates)
    return found
