# SPDX-License-Identifier: Apache-2.0
"""The table of faults: name -> what goes wrong.

A cause is called in the middle of a burst and returns when the damage is
repaired. How long a fault lasts is part of it.
"""

from collections.abc import Callable
import dataclasses
import importlib

#: Seconds of an outage.
AWAY = 10
#: Seconds of a disk alarm: longer than a publisher waits for a confirmation.
BLOCKED = 12
#: Seconds in which somebody misbehaves.
BAD = 5
#: How often something is killed.
KILLS = 3

#: What every run of the suite tries; benchmarks/faults.py tries all.
SUBSET = {
    'mariadb': (
        'agent_killed', 'evaluator_killed', 'notifier_killed',
        'everything_killed', 'broker_restarted_on_every_hop',
        'broker_connections_closed', 'database_stopped',
        'database_deadlocks', 'receiver_refuses', 'receiver_hangs',
        'receiver_fails', 'receiver_is_busy', 'receiver_resets',
        'generated_twice'),
    'postgresql': ('everything_killed', 'database_killed'),
    'standalone': ('standalone_disk_full',),
}

FAULTS: dict[str, 'Fault'] = {}


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    :ivar target: what it happens to; a combination has one of each
    :ivar cause: function of the scene
    :ivar answers_lost: whether a receiver may have got a notification of
        which we can not know, so that it gets it again
    :ivar bursts: whether the burst is somebody else's; else the cause tells
    :ivar also: what must hold beside the rest: returns complaints
    """

    name: str
    target: str
    cause: Callable
    answers_lost: bool = False
    bursts: bool = True
    also: Callable | None = None


def fault(target, **kwargs):
    """Enter a function into the table, under its own name."""
    def enter(cause):
        name = cause.__name__.lstrip('_')
        FAULTS[name] = Fault(name, target, cause, **kwargs)
        return cause
    return enter


def away(scene, service):
    """Take a service or a receiver away for a while."""
    service.stop()
    scene.last(AWAY)
    service.start()


def load():
    """Return the whole table, in the order of the stages."""
    for name in ('processes', 'database', 'receivers', 'times', 'disk'):
        importlib.import_module('%s.%s' % (__package__, name))
    return FAULTS


def names(database):
    """Return the faults for ``mariadb``, ``postgresql`` or ``standalone``."""
    return [name for name, known in load().items()
            if (known.target == 'standalone') == (database == 'standalone')]
