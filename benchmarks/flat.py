# SPDX-License-Identifier: Apache-2.0
"""Whether an event costs the same however many alarms there are.

    python benchmarks/flat.py [--alarms 100 100000] [--hot N] [--rounds N]
        [--events N] [--json FILE]

Each number of alarms has a database, an evaluator and a notifier of its own
beside one broker; they are measured in alternating rounds, so that a busy
machine is equally busy for all of them. Of many alarms each event hits another
one, of few the same ones again, which saves rows; with --hot the events hit
the first so many alarms, and the size of the tables is all that differs.
"""

import argparse
import contextlib
import random
import statistics

import report
import rig as rig_mod
import seeds as seeds_mod
import systems

KINDS = ('callbacks', 'drained', 'latencies')


class Size:
    """One number of alarms: the service, its rounds."""

    def __init__(self, bench, seeds):
        self.bench, self.seeds = bench, seeds
        self._chance = random.Random(seeds.count)
        self.rounds = {kind: [] for kind in KINDS}

    def start(self):
        self.bench.system.start(systems.VARIANTS['warning'])
        self.bench.warm_up(self._hits(1))
        self.bench.callbacks(list(self.seeds.hits(500, self._chance)))

    def _hits(self, count):
        return [event for event, _calls in self.seeds.hits(
            count, self._chance)]

    def round(self, kind, count):
        if kind == 'latencies':
            self.rounds[kind] += self.bench.latencies(self._hits(20))
        elif kind == 'callbacks':
            self.rounds[kind].append(self.bench.callbacks(
                list(self.seeds.hits(count, self._chance))))
        else:
            self.rounds[kind].append(self.bench.drained(
                list(self.seeds.misses(count, self._chance))))

    def row(self):
        calls, drained = self.rounds['callbacks'], self.rounds['drained']
        return [self.seeds.count, *(
            statistics.median(found['per_s'] for found in rounds)
            for rounds in (calls, drained)), *(
            statistics.median(sum(found['cpu_ms'].values())
                              for found in rounds)
            for rounds in (calls, drained)),
            *report.quantiles(self.rounds['latencies']),
            *self.bench.memory().values(),
            statistics.median(found['load'] for found in calls)]


@contextlib.contextmanager
def prepared(counts, hot=0):
    """Give the sizes, stored and started."""
    with rig_mod.Rig(len(counts)) as rig:
        sizes = []
        for number, count in enumerate(counts):
            seeds = seeds_mod.Seeds(count, hot=min(hot, count))
            sizes.append(Size(rig.add(seeds, number), seeds))
            sizes[-1].start()
        yield sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--alarms', type=int, nargs='+',
                        default=[100, 100000])
    parser.add_argument('--hot', type=int, default=0)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--events', type=int, default=4000)
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    with prepared(options.alarms, options.hot) as sizes:
        for _ in range(options.rounds):
            for kind in KINDS:
                for size in sizes:
                    size.round(kind, options.events)
        rows = [size.row() for size in sizes]
    report.table(rows, [
        'alarms', 'c/s', 'e/s', 'ms c', 'ms e', 'p50', 'p95', 'p99',
        'RSS eval', 'RSS notify', 'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'sizes': [
                {'alarms': size.seeds.count, **size.rounds}
                for size in sizes]})


if __name__ == '__main__':
    main()
