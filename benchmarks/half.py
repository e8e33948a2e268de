# SPDX-License-Identifier: Apache-2.0
"""The most that one evaluator and one notifier do, and latency at half of it.

    python benchmarks/half.py [--alarms N] [--rounds N] [--events N]
        [--seconds N] [--share N ...] [--json FILE]

In each round a backlog tells the maximum of call-backs per second; then events
come singly at half of the median of the rounds so far. Told are the
percentiles of the time from sending to the call-back, of all rounds together
and the median of those of each round; and at which rate the sender could
really send, and how late its slowest hundredth was, for on a busy machine it
is the sender that falls behind first.
"""

import argparse
import random
import statistics

import report
import rig as rig_mod
import seeds as seeds_mod
import systems


class Run:
    """Rounds of the maximum and of shares of it."""

    def __init__(self, bench, seeds, options):
        self._bench, self._seeds, self._options = bench, seeds, options
        self._chance = random.Random(seeds.count)
        self.most = []
        self.shares = {share: [] for share in options.share}

    def start(self):
        self._bench.system.start(systems.VARIANTS['warning'])
        self._bench.warm_up(list(self._events(1)))
        self._bench.callbacks(list(self._hits(self._options.events)))

    def _hits(self, count):
        return self._seeds.hits(count, self._chance)

    def _events(self, count):
        return (event for event, _calls in self._hits(count))

    def round(self):
        self.most.append(self._bench.callbacks(
            list(self._hits(self._options.events))))
        top = statistics.median(found['per_s'] for found in self.most)
        for share, rounds in self.shares.items():
            rate = top * share
            rounds.append(self._bench.paced(self._events(
                int(rate * self._options.seconds)), rate))

    def rows(self):
        yield ['maximum', self._median(self.most, 'per_s'),
               *[None] * 6, self._median(self.most, 'load')]
        for share, rounds in self.shares.items():
            each = [report.quantiles(found['latencies']) for found in rounds]
            whole = report.quantiles(
                [value for found in rounds for value in found['latencies']])
            yield ['%g of it' % share, self._median(rounds, 'sent_per_s'),
                   *whole, statistics.median(p99 for _, _, p99 in each),
                   self._median(rounds, 'late_ms'),
                   sum(found['lost'] for found in rounds),
                   self._median(rounds, 'load')]

    @staticmethod
    def _median(rounds, name):
        return statistics.median(found[name] for found in rounds)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--alarms', type=int, default=10000)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--events', type=int, default=4000,
                        help='of the backlog')
    parser.add_argument('--seconds', type=float, default=8,
                        help='at a part of the maximum')
    parser.add_argument('--share', type=float, nargs='*', default=[0.5],
                        help='of the maximum')
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    seeds = seeds_mod.Seeds(options.alarms)
    with rig_mod.Rig() as rig:
        run = Run(rig.add(seeds), seeds, options)
        run.start()
        for _ in range(options.rounds):
            run.round()
    report.table(list(run.rows()), [
        'load', 'events/s', 'p50 ms', 'p95', 'p99', 'p99 of rounds',
        'sender late', 'lost', 'load average'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'maximum': run.most,
            'shares': [{'share': share, 'rounds': rounds}
                       for share, rounds in run.shares.items()]})


if __name__ == '__main__':
    main()
