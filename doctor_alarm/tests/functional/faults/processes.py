# SPDX-License-Identifier: Apache-2.0
"""Faults of our own processes and of the broker, and several at once."""

import threading

from doctor_alarm.tests.functional.faults import table
from doctor_alarm.tests.services import rabbitmq

PARTS = ('agent', 'evaluator', 'notifier', 'api')


@table.fault('nothing')
def nothing(scene):
    """A burst and no fault: what the figures of the others compare with."""


def _kill(scene, names):
    for _ in range(table.KILLS):
        for name in names:
            scene.cloud.kill(name)
        for name in names:
            scene.cloud.start(name)
        scene.progress(scene.chance.randrange(20, 150))


@table.fault('process')
def agent_killed(scene):
    _kill(scene, ['agent'])


@table.fault('process')
def evaluator_killed(scene):
    _kill(scene, ['evaluator'])


@table.fault('process', answers_lost=True)
def notifier_killed(scene):
    _kill(scene, ['notifier'])


@table.fault('process')
def api_killed(scene):
    _kill(scene, ['api'])


@table.fault('process', answers_lost=True)
def everything_killed(scene):
    _kill(scene, PARTS)


@table.fault('broker')
def broker_stopped(scene):
    table.away(scene, scene.cloud.bus)


@table.fault('broker')
def broker_killed(scene):
    scene.cloud.bus.kill()
    scene.cloud.bus.start()


@table.fault('broker')
def broker_connections_closed(scene):
    """One by one, all that there are; those who come back as well."""
    for _ in range(table.KILLS):
        count = int(scene.cloud.bus.evaluate(
            'length(rabbit_networking:connections())'))
        for number in range(count, 0, -1):
            scene.cloud.bus.evaluate(
                'C = rabbit_networking:connections(), length(C) >= %d andalso'
                ' rabbit_networking:close_connection('
                'lists:nth(%d, C), "on purpose")' % (number, number))
        scene.progress(20)


@table.fault('broker')
def broker_disk_alarm(scene):
    """More room is asked for than there is: publishers are blocked."""
    scene.cloud.bus.limit_disk(10 ** 18)
    scene.until(scene.cloud.bus.alarms, 30, 'the disk alarm is raised')
    scene.last(table.BLOCKED)
    scene.cloud.bus.limit_disk(rabbitmq.DISK_LIMIT)
    scene.until(lambda: not scene.cloud.bus.alarms(), 30,
                'the disk alarm is lifted')


@table.fault('broker')
def broker_restarted_on_every_hop(scene):
    """Messages wait for the agent as well as for the evaluator."""
    scene.cloud.kill('evaluator')
    scene.until(
        lambda: scene.cloud.waiting('doctor_alarm.event.sample') > 0, 60)
    scene.cloud.kill('agent')
    scene.cloud.bus.stop()
    scene.cloud.bus.start()
    scene.cloud.start('agent')
    scene.cloud.start('evaluator')
    scene.progress(100)
    scene.cloud.bus.stop()
    scene.cloud.bus.start()


#: What a combination is made of: each is repaired by itself, and the checks
#: of the others hold.
_SHARES = ('process', 'broker', 'database', 'receiver')


@table.fault('all', answers_lost=True)
def combination(scene):
    """One fault of each of three kinds, each at a random instant."""
    names = []
    for target in scene.chance.sample(_SHARES, 3):
        names.append(scene.chance.choice(sorted(
            name for name, known in table.FAULTS.items()
            if known.target == target and known.bursts
            and name != 'broker_restarted_on_every_hop')))
    scene.about = ' + '.join(names)
    failures = []

    def run(name, after):
        try:
            scene.last(after)
            table.FAULTS[name].cause(scene)
        except Exception as exc:
            failures.append('%s: %r' % (name, exc))

    threads = [threading.Thread(
        target=run, args=(name, scene.chance.uniform(0, 3)))
        for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
