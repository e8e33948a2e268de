# SPDX-License-Identifier: Apache-2.0
"""Deliveries per second of one notifier against a receiver on loopback.

    python benchmarks/notifier.py [--count N] [--lanes N] [--receivers N]
        [--profile FILE] [--json FILE] [sqlite|mariadb|postgresql ...]

Each delivery has a lane of its own, as in a fault storm, and wake-ups of 100
lanes come as fast as they are delivered; with --lanes they queue in so many,
as after a burst of events that all hit the same alarms. The databases are
private instances on this machine that do not wait for the disk (SQLite does);
the receiver is a process of its own. The latency is that of lone deliveries:
from the wake-up to the answer of the receiver, without the evaluator.
"""

import argparse
import cProfile
import os
import resource
import statistics
import threading
import time

from doctor_alarm.db import models
from doctor_alarm import metrics
from doctor_alarm.notifier import dispatcher
from doctor_alarm.tests import outbox
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage
import receiver
import report

SERVERS = {'mariadb': mariadb.Database, 'postgresql': postgresql.Database}
#: Lanes of one wake-up, as an evaluator with full batches sends them.
HINT = 100
#: Lanes that wait at once: more would only measure the waiting.
AHEAD = 2000
LONE = 200


class Run:
    """One database, one dispatcher, one receiver."""

    def __init__(self, url, options):
        self.options = options
        self.storage = storage.Storage(url)
        self.storage.setUp()
        self.receiver = receiver.Receiver(options.receivers)
        self.outbox = outbox.Outbox(self.storage.db, lease=60)
        self.event = outbox.an_event(traits={
            'instance_id': 'vm1', 'state': 'error', 'display_name': 'x' * 900,
            'host': 'compute-1', 'project_id': 'p1', 'memory_mb': 512})
        self.dispatcher = dispatcher.Dispatcher(
            self.storage.conf, self.storage.db)
        if options.profile:
            self._profile(options.profile)
        self.dispatcher.start()

    def _profile(self, name):
        run = self.dispatcher._run

        def profiled():
            profile = cProfile.Profile()
            profile.runcall(run)
            profile.dump_stats(name)
        self.dispatcher._thread = threading.Thread(target=profiled)

    def lanes(self, count):
        ports = self.receiver.ports
        return [self.outbox.lane(
            'http://127.0.0.1:%d/%d' % (ports[i % len(ports)], i))
            for i in range(count)]

    def throughput(self):
        """Seconds for all deliveries, and CPU seconds of both processes."""
        lanes = self.lanes(self.options.lanes or self.options.count)
        lanes *= self.options.count // len(lanes)
        hints = [
            self.outbox.fire(*lanes[i:i + HINT], event=self.event)
            for i in range(0, len(lanes), HINT)]
        group = metrics.BATCH.labels('deliveries')
        commits = _count(group)
        before, cpu = self.receiver.count, self.receiver.cpu
        own = _cpu()
        started = time.monotonic()
        for i, hint in enumerate(hints):
            while (i * HINT - (self.receiver.count - before)) > AHEAD:
                time.sleep(0.002)
            self.dispatcher.wake(hint)
        while not self.outbox.idle():
            time.sleep(0.005)
        return (time.monotonic() - started, _cpu() - own,
                self.receiver.cpu - cpu, _count(group) - commits)

    def latencies(self):
        """Milliseconds of lone deliveries: fired, and answered."""
        lane, = self.lanes(1)
        hints = []
        for _ in range(LONE):
            hints.append(self.outbox.fire(lane, event=self.event))
            self.dispatcher.wake(hints[-1])
            while not self.outbox.idle():
                time.sleep(0.002)
        with self.storage.db.reader() as conn:
            rows = conn.execute(models.delivery.select().where(
                models.delivery.c.lane_id == lane.id)).all()
        assert len(rows) == LONE
        return ([(row.fired_at - row.committed_at) / 1e3 for row in rows],
                [(row.received_at - row.committed_at) / 1e3 for row in rows])

    def close(self):
        self.dispatcher.stop()
        self.receiver.stop()
        self.storage.cleanUp()


def _count(histogram):
    return next(sample.value for sample in histogram.collect()[0].samples
                if sample.name.endswith('_count'))


def _cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(name, options):
    server = SERVERS[name]() if name in SERVERS else None
    if server:
        server.setUp()
    run = Run(server and server.url, options)
    try:
        fired, answered = run.latencies()
        seconds, own, receiver, commits = run.throughput()
    finally:
        run.close()
        if server:
            server.cleanUp()
    return [name, options.count / seconds, own / options.count * 1e6,
            receiver / options.count * 1e6, options.count / commits,
            statistics.median(fired),
            statistics.median(answered),
            statistics.quantiles(answered, n=100)[98], os.getloadavg()[0]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('databases', nargs='*',
                        default=['sqlite', 'mariadb'])
    parser.add_argument('--count', type=int, default=10000)
    parser.add_argument('--lanes', type=int,
                        help='default: as many as deliveries')
    parser.add_argument('--receivers', type=int, default=1)
    parser.add_argument('--profile', help='write a profile of the loop')
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    rows = [measure(name, options) for name in options.databases]
    report.table(rows, [
        'database', 'per s', 'notifier us', 'receiver us', 'per commit',
        'fired ms', 'answered ms', 'p99 ms', 'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rows': rows})


if __name__ == '__main__':
    main()
