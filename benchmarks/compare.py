# SPDX-License-Identifier: Apache-2.0
"""doctor_alarm and Aodh side by side, over the number of alarms.

    python benchmarks/compare.py [--quick] [--alarms N ...] [--rounds N]
        [--variants shipped warning tuned] [--database postgresql]
        [--host-batch N] [--half-silent] [--json FILE] [--plot FILE]

Both get the same events in Ceilometer's form from one RabbitMQ, keep their
alarms in one MariaDB and call one receiver, in alternating rounds. For
throughput the processes are stopped (SIGSTOP) while the queue is filled, then
let loose. Aodh is installed from PyPI into an environment of its own. It runs
as shipped (64 threads, messages of level INFO in files), with warnings only,
and tuned (four threads, warnings only), and so do we as far as the messages
go. What was measured is written after every cell, so that an interrupted run
is not lost.
"""

import argparse
import random
import signal
import statistics
import sys
import tempfile
import time

from doctor_alarm.tests import storage
import measure
import receiver as receiver_mod
import report
import rig
import seeds as seeds_mod
import systems

QUICK = {'alarms': [100, 1000], 'rounds': 1, 'seconds': 1.0, 'lone': 5}
#: Events of the first, uncounted round: enough to guess the next one.
FIRST = {'aodh': 10, 'doctor_alarm': 300}
LIMIT = {'aodh': 1500, 'doctor_alarm': 6000}


class Cell:
    """One number of alarms with one variant of Aodh, and us beside it."""

    def __init__(self, benches, seeds, options):
        self._benches = benches
        self._seeds = seeds
        self._options = options
        self._chance = random.Random(seeds.count)
        self._rates = {}
        self.found = {bench.system.name: {
            'callbacks': [], 'drained': [], 'latencies': []}
            for bench in benches}

    def run(self):
        """Return the medians of all rounds."""
        for bench in self._benches:
            self._prepare(bench)
        for _ in range(self._options.rounds):
            for kind in ('callbacks', 'drained', 'latencies'):
                for bench in self._benches:
                    self._round(bench, kind)
        return {bench.system.name: self._summary(bench)
                for bench in self._benches}

    def _prepare(self, bench):
        name = bench.system.name
        bench.warm_up([self._one()])
        for kind in ('callbacks', 'drained'):
            for count in (FIRST[name], None):
                count = count or self._count(name, kind, 1.0)
                self._rates[name, kind] = self._measure(
                    bench, kind, count)['per_s']

    def _one(self):
        while True:
            (event, calls), = self._seeds.hits(1, self._chance)
            if calls:
                return event

    def _count(self, name, kind, seconds):
        return max(4, min(LIMIT[name], int(
            self._rates[name, kind] * seconds)))

    def _round(self, bench, kind):
        name = bench.system.name
        if kind == 'latencies':
            self.found[name][kind] += bench.latencies([
                self._one() for _ in range(self._lone(name))])
            return
        count = self._count(name, kind, self._options.seconds)
        self.found[name][kind].append(self._measure(bench, kind, count))

    def _lone(self, name):
        # An Aodh that can not follow 5 events/s shows that with a few.
        if self._rates[name, 'callbacks'] < 5:
            return min(10, self._options.lone)
        return self._options.lone

    def _measure(self, bench, kind, count):
        if kind == 'callbacks':
            return bench.callbacks(
                list(self._seeds.hits(count, self._chance)))
        return bench.drained(list(self._seeds.misses(count, self._chance)))

    def _summary(self, bench):
        found = self.found[bench.system.name]
        return {'callbacks': _median(found['callbacks']),
                'drained': _median(found['drained']),
                'latencies': found['latencies'], 'rounds': found,
                'memory': bench.memory()}


def _median(rounds):
    ordered = sorted(rounds, key=lambda found: found['per_s'])
    names = {name for found in rounds for name in found['cpu_ms']}
    return {'per_s': statistics.median(found['per_s'] for found in rounds),
            'least': ordered[0]['per_s'], 'most': ordered[-1]['per_s'],
            'load': statistics.median(found['load'] for found in rounds),
            'cpu_ms': {name: statistics.median(
                found['cpu_ms'][name] for found in rounds)
                for name in names}}


def measure_size(servers, count, variants, options):
    """Yield the cells of one number of alarms."""
    seeds = seeds_mod.Seeds(
        count, min(options.host_batch, count), options.half_silent)
    receiver = receiver_mod.Receiver(2)
    with tempfile.TemporaryDirectory() as directory:
        kinds = [systems.Ours] + ([systems.Aodh] if variants else [])
        both = [kind(servers, directory) for kind in kinds]
        plain = storage.Storage()
        plain.setUp()
        benches = []
        for server, system in enumerate(both):
            started = time.monotonic()
            system.store(seeds, receiver.url(server))
            rig.say('%d alarms stored for %s in %.0f s' % (
                count, system.name, time.monotonic() - started))
            benches.append(measure.Bench(
                servers, system, systems.publisher(
                    servers, system, plain.conf), receiver, server))
        for name in variants or ['warning']:
            yield _cell(benches, seeds, systems.VARIANTS[name], options)
        for system in both:
            system.drop()
        plain.cleanUp()
        receiver.stop()


def _cell(benches, seeds, variant, options):
    found = {'alarms': seeds.count, 'variant': variant.name}
    started = time.monotonic()
    try:
        for bench in benches:
            bench.system.start(variant)
        found |= Cell(benches, seeds, options).run()
    finally:
        for bench in benches:
            bench.system.stop()
    rig.say('%d alarms, %s: %.0f s' % (
        seeds.count, variant.name, time.monotonic() - started))
    return found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--quick', action='store_true',
                        help='small figures, for trying')
    parser.add_argument('--alarms', type=int, nargs='+',
                        default=[100, 1000, 10000, 100000, 1000000])
    parser.add_argument('--variants', nargs='*',
                        choices=list(systems.VARIANTS),
                        default=list(systems.VARIANTS))
    parser.add_argument('--most-for-aodh', type=int, default=100000,
                        help='with more alarms only we are measured')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=5.0,
                        help='of work in one round, about')
    parser.add_argument('--lone', type=int, default=25,
                        help='lone events of one round')
    parser.add_argument('--database', choices=list(systems.DATABASES),
                        default='mariadb')
    parser.add_argument('--host-batch', type=int, default=0)
    parser.add_argument('--half-silent', action='store_true')
    parser.add_argument('--json', help='file for the figures')
    parser.add_argument('--plot', help='file for the plot')
    if '--quick' in sys.argv:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def main():
    options = arguments()
    # Ended from outside, nothing stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    systems.python()
    figures = {'about': report.about(options), 'cells': []}
    servers = systems.Servers(options.database)
    try:
        for count in options.alarms:
            variants = (options.variants
                        if count <= options.most_for_aodh else [])
            for cell in measure_size(servers, count, variants, options):
                figures['cells'].append(cell)
                if options.json:
                    report.write(options.json, figures)
    finally:
        servers.close()
    report.comparison(figures['cells'])
    if options.plot:
        report.plot(figures['cells'], options.plot)


if __name__ == '__main__':
    main()
