# SPDX-License-Identifier: Apache-2.0
"""Whether receivers that misbehave are felt by those beside them.

    python benchmarks/isolation.py [--good N] [--alarms N] [--rate N]
        [--seconds N] [--rounds N] [--json FILE]

Events come at a steady rate and hit the alarms of all receivers alike: of
many good ones and of three others. In every other round one of these hangs,
one answers 500 and one answers after a second; else they are as good as the
rest. Each receiver is a port of its own, and all belong to one project, which
is the harder case. What is held against each other is the latency of the good
ones, from sending an event to its call-back; everything is delivered before
the next round begins.
"""

import argparse
import random
import statistics
import time

import measure
import receiver as receiver_mod
import report
import rig as rig_mod
import seeds as seeds_mod
import systems

BAD = (receiver_mod.HANGS, receiver_mod.FAILS, receiver_mod.SLOW)
#: What waits for a receiver that failed comes soon after it works again.
OPTIONS = '[notifier]\nretry_max = 5'
PATIENCE = 120
FIGURES = ('p50_ms', 'p95_ms', 'p99_ms', 'most_ms')


class Run:
    """Rounds with and without the three; they are the last receivers."""

    def __init__(self, bench, seeds, options):
        self._bench, self._seeds, self._options = bench, seeds, options
        self._chance = random.Random(1)

    def start(self):
        self._bench.system.start(systems.VARIANTS['warning'])
        self._bench.warm_up([seeds_mod.event(
            self._alarm(), 'error', False)])

    def _alarm(self):
        while True:
            i = self._chance.randrange(self._seeds.count)
            if i % 100 != 99:
                return i

    def round(self, bad):
        """Return the latencies of the good ones in a round."""
        self._behave(bad)
        count = int(self._options.rate * self._options.seconds)
        before = self._bench.called
        with self._bench.kept() as arrived:
            sent = self._send(count)
            self._behave(False)
            self._all_out(before + count)
        waits = [(when - sent[name]) * 1e3
                 for when, name, _body in arrived if name in sent]
        return {'bad': bad, 'events': count, 'lost': len(sent) - len(waits),
                **dict(zip(FIGURES, (
                    *report.quantiles(waits), max(waits)), strict=True)),
                'load': measure.load()}

    def _send(self, count):
        """Send events; return message id -> when of the good ones."""
        sent, started = {}, time.time()
        for number in range(count):
            i = self._alarm()
            time.sleep(max(
                0, started + number / self._options.rate - time.time()))
            event = seeds_mod.event(i, 'error', False)
            if i % (self._options.good + len(BAD)) < self._options.good:
                sent[event['message_id']] = time.time()
            self._bench.send(event)
        return sent

    def _behave(self, bad):
        for number, mode in enumerate(BAD):
            self._bench.receiver.behave(
                self._options.good + number,
                mode if bad else receiver_mod.GOOD)

    def _all_out(self, expected):
        deadline = time.monotonic() + PATIENCE
        while self._bench.called < expected:
            if time.monotonic() > deadline:
                raise TimeoutError('%d call-backs did not come' % (
                    expected - self._bench.called))
            time.sleep(0.01)


def show(rounds):
    """Print the medians of the rounds, and by how much they move."""
    rows = [['with' if bad else 'without', *(statistics.median(
        found[name] for found in rounds if found['bad'] is bad)
        for name in (*FIGURES, 'load'))] for bad in (False, True)]
    rows.append(['ratio', *(there / here for here, there in zip(
        rows[0][1:-1], rows[1][1:-1], strict=True)), None])
    report.table(rows, ['the three', 'p50 ms', 'p95', 'p99', 'most', 'load'])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--good', type=int, default=100)
    parser.add_argument('--alarms', type=int, default=5000)
    parser.add_argument('--rate', type=float, default=200)
    parser.add_argument('--seconds', type=float, default=15,
                        help='of a round')
    parser.add_argument('--rounds', type=int, default=5, help='of each kind')
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    count = options.good + len(BAD)
    seeds = seeds_mod.Seeds(options.alarms)
    with rig_mod.Rig(count) as rig:
        run = Run(rig.add(
            seeds, server=None, options=OPTIONS,
            url=lambda i: rig.receiver.url(i % count)), seeds, options)
        run.start()
        run.round(False)
        rounds = [run.round(bad) for _ in range(options.rounds)
                  for bad in (False, True)]
    show(rounds)
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rounds': rounds})


if __name__ == '__main__':
    main()
