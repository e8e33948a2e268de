# SPDX-License-Identifier: Apache-2.0
"""The first event after a start: how much longer it takes than the next ones.

    python benchmarks/first.py [--restart PART ...] [--rounds N] [--next N]
        [--alarms N] [--json FILE]

Evaluator and notifier are started anew; as soon as both say that they listen,
one event is sent, and when it has called back another one, and so on. Told is
the time from sending to the call-back of the first ones and the median of the
later ones. With --restart only one of the two is started anew each time,
which tells whose share it is.
"""

import argparse
import random
import statistics
import time

import measure
import report
import rig as rig_mod
import seeds as seeds_mod
import systems

PARTS = ('evaluator', 'notifier')


class Run:
    """Starts of some parts."""

    def __init__(self, bench, seeds, options):
        self._bench, self._seeds, self._options = bench, seeds, options
        self._chance = random.Random(seeds.count)

    def round(self, parts):
        """Start parts anew; return the milliseconds of the events."""
        system = self._bench.system
        system.stop(parts)
        time.sleep(self._options.rest)
        started = time.monotonic()
        system.start(systems.SHIPPED, parts)
        system.wait_listening()
        ready = time.monotonic() - started
        return {'parts': parts, 'ready_s': ready, 'ms': [
            self._one() for _ in range(1 + self._options.next)],
            'load': measure.load()}

    def _one(self):
        (event, _calls), = self._seeds.hits(1, self._chance)
        expected, sent = self._bench.called + 1, time.time()
        self._bench.send(event)
        return (self._bench.arrived(expected) - sent) * 1e3


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--alarms', type=int, default=10000)
    parser.add_argument('--restart', nargs='*', choices=PARTS,
                        default=None, help='default: both, and each alone')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--next', type=int, default=20,
                        help='events after the first one')
    parser.add_argument('--rest', type=float, default=1,
                        help='seconds between end and start')
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    kinds = ([options.restart] if options.restart
             else [list(PARTS), *([part] for part in PARTS)])
    seeds = seeds_mod.Seeds(options.alarms)
    rounds = []
    with rig_mod.Rig() as rig:
        run = Run(rig.add(seeds), seeds, options)
        # What is first of all is the machine's: files read, tables opened.
        run.round(PARTS)
        for _ in range(options.rounds):
            rounds += [run.round(parts) for parts in kinds]
    rows = []
    for parts in kinds:
        some = [found for found in rounds if found['parts'] == parts]
        rows.append([' and '.join(parts), *(
            statistics.median(values) for values in (
                [found['ready_s'] for found in some],
                *([found['ms'][n] for found in some] for n in range(3)),
                [value for found in some for value in found['ms'][3:]],
                [found['load'] for found in some]))])
    report.table(rows, ['started anew', 'ready after s', '1st ms', '2nd',
                        '3rd', 'later', 'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rounds': rounds})


if __name__ == '__main__':
    main()
