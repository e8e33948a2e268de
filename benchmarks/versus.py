# SPDX-License-Identifier: Apache-2.0
"""Two ways of doing the same, in alternating rounds.

    python benchmarks/versus.py pairs|direct|ceiling [--alarms N]
        [--rounds N] [--events N] [--copies N] [--workers N] [--json FILE]

pairs: two evaluators and two notifiers (--copies) against one of each, a
backlog of events that call back.

direct: an agent that evaluates in its own process (direct://) and a notifier
against agent, evaluator and notifier, a backlog of nova's notifications that
call back, and lone ones. The agent has two processes (--workers), as many as
agent and evaluator have.

ceiling: events that hit no alarm, until the evaluator has acknowledged them,
against oslo.messaging's batch listener that does nothing with them.

The services of both ways run all the time beside one broker, each with a
database of its own; the queue is filled while they are stopped.
"""

import argparse
import pathlib
import random
import statistics
import tempfile
import threading
import time

import oslo_messaging

from doctor_alarm import messaging
import measure
import report
import rig as rig_mod
import seeds as seeds_mod
import systems

PIPELINE = """
sources:
  - name: all
    events: ['*']
    sinks: [alarms]
sinks:
  - name: alarms
    publishers: ['direct://']
"""
#: Lone events of a round.
LONE = 15
TOPIC = 'bench.ceiling'
BATCH = 100


class Way:
    """A service and its rounds."""

    def __init__(self, name, bench, seeds):
        self.name = name
        self.bench, self._seeds = bench, seeds
        self._chance = random.Random(seeds.count)
        self.rounds, self.latencies = [], []

    def start(self):
        self.bench.system.start(systems.VARIANTS['warning'])
        self.bench.warm_up([event for event, _ in self._hits(3)])
        self.bench.callbacks(self._hits(500))

    def _hits(self, count):
        return list(self._seeds.hits(count, self._chance))

    def callbacks(self, count):
        self.rounds.append(self.bench.callbacks(self._hits(count)))

    def drained(self, count):
        self.rounds.append(self.bench.drained(
            list(self._seeds.misses(count, self._chance))))

    def alone(self):
        self.latencies += self.bench.latencies(
            [event for event, _calls in self._hits(LONE)])


class Ceiling:
    """oslo.messaging's batch listener, with nothing behind it."""

    name = 'oslo.messaging, lists of %d' % BATCH
    latencies = ()

    def __init__(self, rig, seeds):
        self._seeds = seeds
        self._chance = random.Random(seeds.count)
        rig.conf.set_override('transport_url', rig.servers.broker.url)
        self._transport = messaging.get_transport(rig.conf)
        rig.callback(self._transport.cleanup)
        self._publisher = messaging.Publisher(
            self._transport, TOPIC, 'bench', exchange='ceilometer')
        self.rounds = []

    def drained(self, count):
        for event in self._seeds.misses(count, self._chance):
            self._publisher.publish('event', [event])
        done, begun = threading.Event(), []
        left = [count]

        class Endpoint:
            def sample(self, messages):
                # Neither connecting nor the first batch counts.
                begun.append((time.time(), len(messages)))
                left[0] -= len(messages)
                if left[0] <= 0:
                    done.set()
        listener = oslo_messaging.get_batch_notification_listener(
            self._transport, [oslo_messaging.Target(
                topic=TOPIC, exchange='ceilometer')], [Endpoint()],
            batch_size=BATCH, batch_timeout=1)
        cpu = time.process_time()
        listener.start()
        if not done.wait(300):
            raise TimeoutError('%d messages left' % left[0])
        (started, first), (ended, _last) = begun[0], begun[-1]
        self.rounds.append({
            'per_s': (count - first) / (ended - started), 'events': count,
            'cpu_ms': {'listener': (time.process_time() - cpu) * 1e3 / count},
            'load': measure.load()})
        listener.stop()
        listener.wait()


def pairs(rig, options):
    """Return the ways, the new one first, and what a round does."""
    seeds = seeds_mod.Seeds(options.alarms)
    ways = [Way('%d of each' % copies, rig.add(
        seeds, number, copies=copies), seeds)
        for number, copies in enumerate((options.copies, 1))]
    return ways, ('callbacks',)


def direct(rig, options):
    """Return the ways, the new one first, and what a round does."""
    folder = rig.enter_context(tempfile.TemporaryDirectory())
    path = pathlib.Path(folder, 'event_pipeline.yaml')
    path.write_text(PIPELINE)
    seeds = seeds_mod.Seeds(options.alarms)
    ways = [
        Way('direct://', rig.add(
            seeds, 0, parts=('agent', 'notifier'),
            options='[DEFAULT]\nevent_pipeline_cfg_file = %s\n'
            '[agent]\nworkers = %d' % (path, options.workers)), seeds),
        Way('two hops', rig.add(
            seeds, 1, parts=('agent', 'evaluator', 'notifier')), seeds)]
    return ways, ('callbacks', 'alone')


def ceiling(rig, options):
    """Return the ways, the new one first, and what a round does."""
    seeds = seeds_mod.Seeds(options.alarms)
    return [Way('evaluator', rig.add(seeds, 0), seeds),
            Ceiling(rig, seeds)], ('drained',)


QUESTIONS = {'pairs': pairs, 'direct': direct, 'ceiling': ceiling}


def show(ways):
    """Print the medians, and the ratio of the first way to the second."""
    rows = [[way.name, statistics.median(
        found['per_s'] for found in way.rounds), statistics.median(
        sum(found['cpu_ms'].values()) for found in way.rounds),
        *report.quantiles(way.latencies), statistics.median(
            found['load'] for found in way.rounds)] for way in ways]
    rows.append(['ratio', *(
        here / there if here and there else None
        for here, there in zip(rows[0][1:-1], rows[1][1:-1], strict=True)),
        None])
    rows.append(['ratio of rounds', statistics.median(
        here['per_s'] / there['per_s'] for here, there in zip(
            ways[0].rounds, ways[1].rounds, strict=True)), *[None] * 5])
    report.table(rows, ['way', 'per s', 'CPU ms', 'p50 ms', 'p95', 'p99',
                        'load'])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('question', choices=list(QUESTIONS))
    parser.add_argument('--alarms', type=int, default=1000)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--events', type=int, default=4000)
    parser.add_argument('--copies', type=int, default=2)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    with rig_mod.Rig(2) as rig:
        ways, kinds = QUESTIONS[options.question](rig, options)
        for way in ways:
            if isinstance(way, Way):
                way.start()
        for number in range(options.rounds):
            for kind in kinds:
                for way in ways if number % 2 else reversed(ways):
                    work = getattr(way, kind)
                    work() if kind == 'alone' else work(options.events)
    show(ways)
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'ways': [
                {'name': way.name, 'rounds': way.rounds,
                 'latencies': list(way.latencies)} for way in ways]})


if __name__ == '__main__':
    main()
