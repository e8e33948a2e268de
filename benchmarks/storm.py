# SPDX-License-Identifier: Apache-2.0
"""A storm: 10,000 events in one second that hit 10,000 alarms.

    python benchmarks/storm.py [--events N] [--alarms N] [--rounds N]
        [--backlog N] [--per-message N ...] [--json FILE]

Each event hits another alarm, until all were hit. Told is how long it took to
send them, until when all call-backs were out, whether those of each alarm came
in the order of its events and with consecutive sequence numbers, and the peak
of the memory of evaluator and notifier. Then the same with a backlog that
waits at the broker while both are started anew: in lists of events, as an
agent sends them, and in messages of one, as Ceilometer does. Its rate is that
from the first call-back to the last.
"""

import argparse
import itertools
import random
import re
import statistics
import time

import measure
import report
import rig as rig_mod
import seeds as seeds_mod
import systems

_ALARM = re.compile(rb'"alarm_id": "([^"]+)"')
_SEQUENCE = re.compile(rb'"sequence": (\d+)')
#: Events of a message of the storm.
LIST = 100
#: Seconds until the first call-back after a start, on a machine that is busy.
START = 300


def hits(seeds, count, chance):
    """Yield events that hit each alarm in turn, in another order each time."""
    pinned = [i for i in range(seeds.count) if i % 100 != 99]
    while count > 0:
        for i in chance.sample(pinned, min(count, len(pinned))):
            yield seeds_mod.event(i, 'error', False)
        count -= len(pinned)


def send(bench, events, per_message, rate=None):
    """Send events in lists; return message id -> (number, when)."""
    sent, numbers = {}, itertools.count()
    events = iter(events)
    started = time.time()
    while chunk := list(itertools.islice(events, per_message)):
        if rate:
            time.sleep(max(0, started + len(sent) / rate - time.time()))
        now = time.time()
        sent.update((event['message_id'], (next(numbers), now))
                    for event in chunk)
        if per_message > 1:
            bench.send_list(chunk)
        else:
            bench.send(*chunk)
    return sent, time.time() - started


def order(sent, arrived):
    """Count what came twice or in another order than it was sent.

    :param arrived: (when, message id, body) as they came
    """
    seen, last, doubled, displaced = set(), {}, 0, 0
    for _when, name, body in arrived:
        if name not in sent:
            continue
        if name in seen:
            doubled += 1
            continue
        seen.add(name)
        alarm = _ALARM.search(body)[1]
        number, sequence = sent[name][0], int(_SEQUENCE.search(body)[1])
        if alarm in last:
            before = last[alarm]
            displaced += number < before[0] or sequence != before[1] + 1
        last[alarm] = number, sequence
    return {'lost': len(sent) - len(seen), 'doubled': doubled,
            'out_of_order': displaced}


class Run:
    """The service, and what is done to it."""

    def __init__(self, bench, seeds):
        self._bench, self._seeds = bench, seeds
        self._chance = random.Random(seeds.count)

    def start(self):
        self._bench.system.start(systems.VARIANTS['warning'])

    def warm_up(self):
        self.start()
        self._bench.warm_up(list(hits(self._seeds, 1, self._chance)))

    def storm(self, count):
        """Send events at once to a service that waits for them."""
        events = list(hits(self._seeds, count, self._chance))
        before, started = self._bench.called, time.time()
        with self._bench.kept() as arrived:
            sent, spent = send(self._bench, events, LIST, rate=count)
            last = self._bench.arrived(before + count)
        return self._found('storm', sent, spent, arrived, last - started,
                           last - started)

    def backlog(self, count, per_message):
        """Let a service start that has a backlog."""
        self._bench.system.stop()
        before = self._bench.called
        with self._bench.kept() as arrived:
            sent, spent = send(
                self._bench, hits(self._seeds, count, self._chance),
                per_message)
            self.start()
            started = time.time()
            first = self._first(before)
            last = self._bench.arrived(before + count)
        return self._found('backlog, %d per message' % per_message, sent,
                           spent, arrived, last - started, last - first)

    def _first(self, before):
        deadline = time.monotonic() + START
        while self._bench.called == before:
            self._bench.system.check()
            if time.monotonic() > deadline:
                raise TimeoutError('no call-back after the start')
            time.sleep(0.01)
        return time.time()

    def _found(self, what, sent, spent, arrived, seconds, at_work):
        waits = [(when - sent[name][1]) * 1e3
                 for when, name, _body in arrived if name in sent]
        p50, _p95, p99 = report.quantiles(waits)
        return {'what': what, 'events': len(sent), 'sent_s': spent,
                'all_out_s': seconds, 'per_s': len(sent) / at_work,
                'p50_ms': p50, 'p99_ms': p99, **order(sent, arrived),
                'peak_mb': self._bench.peak(),
                'load': measure.load()}


def median(rounds):
    """Return the medians of rounds; of what must not be, the sum."""
    found = dict(rounds[-1])
    for name in ('sent_s', 'all_out_s', 'per_s', 'p50_ms', 'p99_ms', 'load'):
        found[name] = statistics.median(one[name] for one in rounds)
    for name in ('lost', 'doubled', 'out_of_order'):
        found[name] = sum(one[name] for one in rounds)
    return found


def row(found):
    return [found['what'], found['events'], *(found[name] for name in (
        'sent_s', 'all_out_s', 'per_s', 'p50_ms', 'p99_ms', 'lost',
        'doubled', 'out_of_order')), *found['peak_mb'].values(),
        found['load']]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--events', type=int, default=10000)
    parser.add_argument('--alarms', type=int, default=10000)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--backlog', type=int, default=100000)
    parser.add_argument('--per-message', type=int, nargs='*',
                        default=[100, 1], help='events, of backlogs')
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    seeds = seeds_mod.Seeds(options.alarms)
    with rig_mod.Rig() as rig:
        run = Run(rig.add(seeds), seeds)
        run.warm_up()
        rounds = [run.storm(options.events) for _ in range(options.rounds)]
        backlogs = []
        for per_message in options.per_message:
            rig_mod.say('backlog, %d per message' % per_message)
            backlogs.append(run.backlog(options.backlog, per_message))
    rows = ([median(rounds)] if rounds else []) + backlogs
    report.table([row(found) for found in rows], [
        'what', 'events', 'sent in s', 'out after s', 'c/s', 'p50 ms',
        'p99 ms', 'lost', 'doubled', 'order', 'peak eval', 'peak notify',
        'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'storms': rounds,
            'backlogs': backlogs})


if __name__ == '__main__':
    main()
