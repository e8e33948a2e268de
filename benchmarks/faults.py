# SPDX-License-Identifier: Apache-2.0
"""What every fault costs: lost, repeated, out of order, time to drain.

    python benchmarks/faults.py [--seed N] [--fault NAME ...]
        [--database mariadb|postgresql|standalone ...] [--combinations N]
        [--repeat N] [--aodh shipped|quorum] [--json FILE]

A burst of 1,000 events hits an agent, an evaluator, a notifier and an API on
a private RabbitMQ and database, 800 from nova and 200 over HTTP; each fault
comes in the middle of one. Standalone is the one process with SQLite. The
faults are those of doctor_alarm/tests/functional/faults. Exits with 1 if one
of them did what none may do; says what.

With --aodh the same faults hit Aodh's listener and notifier in our place, as
shipped or with quorum queues; what they cost is shown, and no failure.
"""

import argparse
import dataclasses
import json
import os
import random
import signal
import sys
import time

from doctor_alarm.tests.functional.faults import expectations
from doctor_alarm.tests.functional.faults import scene as scene_mod
from doctor_alarm.tests.functional.faults import table
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
import aodh
import systems

SCENES = {
    'mariadb': lambda seed: scene_mod.Cloud(seed, mariadb.Database),
    'postgresql': lambda seed: scene_mod.Cloud(seed, postgresql.Database),
    'standalone': scene_mod.Standalone,
}
ROW = '%-15s %-29s %4s %8s %5s %7s  %-20s %s'


class Stage:
    """One scene for many faults, until one breaks it.

    :param make: returns the scene for a seed
    """

    def __init__(self, make, verbose=True):
        self._make, self._verbose = make, verbose
        self._scene = None

    def run(self, fault, seed):
        """Return what a fault did; a seed repeats its random choices."""
        if self._scene is None:
            scene = self._make(seed)
            scene.setUp()
            self._scene = scene
        self._scene.chance = random.Random(seed)
        result = expectations.survive(self._scene, fault)
        if result.complaints:
            if self._verbose:
                print(self._scene.logs(), file=sys.stderr)
            self.close()
        return result

    def close(self):
        if self._scene is not None:
            self._scene.cleanUp()
            self._scene = None


def chosen(options):
    """Yield (database, name of a fault)."""
    for database in options.database:
        known = table.names(database)
        if options.aodh:
            known = [] if database == 'standalone' else aodh.APPLIES
        for name in known:
            if options.fault and name not in options.fault:
                continue
            count = 1
            if name == 'combination' and not options.fault:
                count = options.combinations
            for _ in range(count * options.repeat):
                yield database, name


def stage_of(database, options):
    if not options.aodh:
        return Stage(SCENES[database])
    return Stage(lambda seed: aodh.Scene(
        seed, database, options.aodh == 'quorum'), verbose=options.verbose)


def run(options):
    """Yield one document per fault."""
    chance = random.Random(options.seed)
    stages = {database: stage_of(database, options)
              for database in options.database}
    last = None
    try:
        for database, name in chosen(options):
            if last not in (None, database):
                stages[last].close()
            last = database
            # With --fault the seed is that fault's, to repeat it alone.
            seed = (options.seed if options.fault and options.repeat == 1
                    else chance.randrange(2 ** 32))
            started = time.monotonic()
            result = stages[database].run(table.load()[name], seed)
            yield {'aodh': options.aodh, 'database': database, 'seed': seed,
                   'seconds': round(time.monotonic() - started, 1),
                   **dataclasses.asdict(result)}
    finally:
        for stage in stages.values():
            stage.close()


def memory(doc):
    """Return the megabytes of the process that grew most."""
    before, after, name = max(
        ((before, after, name)
         for name, (before, after) in doc['memory'].items()),
        key=lambda level: (level[1] - level[0], level[1]))
    return '%s %d > %d' % (name, before, after)


def show(doc):
    print(ROW % (
        ' '.join(word for word in (doc['aodh'] and 'aodh', doc['database'])
                 if word), doc['fault'], doc['lost'], doc['duplicates'],
        'no' if doc['disordered'] else 'kept', '%.1f' % doc['drain'],
        memory(doc), '; '.join(filter(None, (
            *doc['complaints'], doc['about'])))), flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seed', type=int,
                        default=random.randrange(2 ** 32))
    parser.add_argument('--fault', nargs='+', choices=list(table.load()))
    parser.add_argument('--database', nargs='+', choices=list(SCENES),
                        default=list(SCENES))
    parser.add_argument('--combinations', type=int, default=5,
                        help='random combinations for each database')
    parser.add_argument('--repeat', type=int, default=1,
                        help='run each so many times, on the same processes')
    parser.add_argument('--aodh', choices=('shipped', 'quorum'),
                        help='what the faults cost Aodh')
    parser.add_argument('--verbose', action='store_true',
                        help='show the logs of Aodh where it failed')
    parser.add_argument('--json', default='faults.json',
                        help='file for the figures')
    return parser.parse_args()


def main():
    options = arguments()
    if options.aodh:
        systems.python()
    # Ended from outside it ends what it started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print('seed %d, %d cores' % (options.seed, os.cpu_count()))
    print(ROW % ('database', 'fault', 'lost', 'repeated', 'order',
                 'drain s', 'MB', 'remarks'))
    found = []
    for doc in run(options):
        found.append(doc)
        show(doc)
        with open(options.json, 'w') as target:
            json.dump({'seed': options.seed, 'cores': os.cpu_count(),
                       'faults': found}, target, indent=1)
    failed = sum(bool(doc['complaints']) for doc in found)
    print('%d faults, %d of them survived' % (
        len(found), len(found) - failed))
    return 1 if failed and not options.aodh else 0


if __name__ == '__main__':
    sys.exit(main())
