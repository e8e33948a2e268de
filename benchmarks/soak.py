# SPDX-License-Identifier: Apache-2.0
"""Whether everything keeps its size: minutes of work at a moderate rate.

    python benchmarks/soak.py [--minutes N] [--rate N] [--alarms N]
        [--json FILE] [--plot FILE]

An agent gets nova's notifications at a steady rate, two thirds of which call
back; evaluator, notifier and API beside it, and a client that creates, lists
and deletes alarms. Retention is at work: a day lasts a minute, history and
deliveries are kept for three of them, and each minute what is older is purged
in chunks. Memory, file descriptors and threads of each process and the rows
of each table are sampled; the first third of the time, without that in which
the tables fill, is held against the last. The latency of what was under way
during a purge, and of its commits, tells whether a purge lets anybody wait.
"""

import argparse
import contextlib
import random
import statistics
import threading
import time

import psutil
import requests
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import purge
from doctor_alarm.tests.services import process
import measure
import report
import rig as rig_mod
import seeds as seeds_mod
import sender
import systems

#: Seconds of a day, and days that are kept; an event is kept for one more.
DAY, DAYS = 60, 3
#: Seconds until as much is purged as comes.
FILLING = DAY * (DAYS + 3)
#: How much more the last third may have: a share, and an absolute number.
ALLOWED = {'MB': (0.05, 2), 'descriptors': (0, 3), 'threads': (0, 1),
           'rows': (0.1, 100)}
PARTS = ('agent', 'evaluator', 'notifier', 'api')
HEADERS = {'X-User-Id': 'u', 'X-Project-Id': seeds_mod.PROJECT,
           'X-Roles': 'member'}


class Worker(threading.Thread):
    """Does something again and again until it is told to end."""

    def __init__(self, work, pause):
        super().__init__(daemon=True)
        self._work, self._pause = work, pause
        self._ending = threading.Event()
        self.failure = None

    def run(self):
        due = time.monotonic()
        try:
            while not self._ending.wait(max(0, due - time.monotonic())):
                self._work()
                due += self._pause
        except Exception as exc:
            self.failure = exc

    def end(self):
        self._ending.set()
        self.join()


class Traffic:
    """Sends events, every third one without a call-back."""

    def __init__(self, bench, seeds):
        self._bench, self._seeds = bench, seeds
        self._sender = sender.Sender(bench.servers.broker.url, bench.system)
        self._chance = random.Random(1)
        self.sent, self.count = {}, 0

    def send(self):
        self.count += 1
        if self.count % 3:
            (event, _calls), = self._seeds.hits(1, self._chance)
            self.sent[event['message_id']] = time.time()
        else:
            event, = self._seeds.misses(1, self._chance)
        self._sender.send(*self._bench.system.message(event))


class Client:
    """Creates, lists and deletes alarms over the API."""

    def __init__(self, port, seeds):
        self._url = 'http://127.0.0.1:%d/v2/alarms' % port
        self._seeds = seeds
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        self.calls = 0

    def wait(self):
        """Wait until the API answers."""
        while True:
            with contextlib.suppress(requests.ConnectionError):
                self._session.get(self._url, timeout=60).raise_for_status()
                return
            time.sleep(0.1)

    def work(self):
        made = self._call('post', json={
            'name': 'soak', 'type': 'event',
            'event_rule': self._seeds.rule(2 ** 30)})['alarm_id']
        self._call('get', '?limit=20')
        self._call('get', '/%s/history' % made)
        self._call('delete', '/' + made)

    def _call(self, method, path='', **kwargs):
        answer = self._session.request(
            method, self._url + path, timeout=60, **kwargs)
        answer.raise_for_status()
        self.calls += 1
        return answer.json() if answer.content else None


class Retention:
    """Purges, and remembers when."""

    def __init__(self, db):
        self._db = db
        self.runs = []

    def work(self):
        started = time.time()
        rows = purge.purge(self._db, DAYS)
        self.runs.append({'started': started, 'ended': time.time(),
                          'rows': rows})


class Soak:
    """One run: what is sampled, and what it says."""

    def __init__(self, bench, options):
        self._bench, self._options = bench, options
        self._db = bench.system.storage.db
        self.samples, self.latencies, self.commits = [], [], []
        self._seen = 0

    def run(self, traffic, retention, client):
        """Work for the given time, sampling."""
        workers = [Worker(traffic.send, 1 / self._options.rate),
                   Worker(retention.work, DAY), Worker(client.work, 1)]
        started = time.time()
        self._bench.receiver.keep(True)
        for worker in workers:
            worker.start()
        end = started + self._options.minutes * 60
        due = started
        while time.time() < end:
            due += self._options.interval
            time.sleep(max(0, due - time.time()))
            self._bench.system.check()
            for worker in workers:
                if worker.failure is not None:
                    raise worker.failure
            self._take(traffic.sent)
            self._sample(time.time() - started)
        for worker in workers:
            worker.end()
        self._settle(traffic.sent)

    def _settle(self, sent):
        """Wait for the last call-backs; what stays in ``sent`` is lost."""
        deadline = time.monotonic() + measure.PATIENCE
        while sent and time.monotonic() < deadline:
            time.sleep(0.1)
            self._take(sent)

    def _take(self, sent):
        for when, name, _body in measure.taken(self._bench.receiver):
            begun = sent.pop(name, None)
            if begun is not None:
                self.latencies.append((begun, when))

    def _sample(self, second):
        found = {'second': second, 'processes': {}, 'tables': {}}
        for part, member in self._bench.system.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                found['processes'][part] = {
                    'MB': member.memory_info().rss / 2 ** 20,
                    'descriptors': member.num_fds(),
                    'threads': member.num_threads()}
        with self._db.reader() as conn:
            for table in models.metadata.sorted_tables:
                found['tables'][table.name] = conn.execute(
                    sa.select(sa.func.count()).select_from(
                        table)).scalar_one()
            self._look_at_commits(conn)
        self.samples.append(found)

    def _look_at_commits(self, conn):
        delivery = models.delivery.c
        rows = conn.execute(sa.select(
            delivery.evaluated_at, delivery.committed_at).where(
                delivery.created_at > self._seen,
                delivery.committed_at.isnot(None))).all()
        for begun, ended in rows:
            self.commits.append((begun / 1e6, ended / 1e6))
            self._seen = max(self._seen, begun)


def thirds(samples, pick):
    """Return the medians of the first and the last third, and the most."""
    values = [pick(sample) for sample in samples]
    part = max(1, len(values) // 3)
    return (statistics.median(values[:part]),
            statistics.median(values[-part:]), max(values))


def verdicts(samples):
    """Yield (of what, which, first third, last third, most, verdict)."""
    for part in samples[0]['processes']:
        for what in ('MB', 'descriptors', 'threads'):
            yield part, what, *_judged(samples, what, (
                lambda sample, part=part, what=what:
                sample['processes'][part][what]))
    for table in samples[0]['tables']:
        yield table, 'rows', *_judged(
            samples, 'rows',
            lambda sample, table=table: sample['tables'][table])


def _judged(samples, what, pick):
    first, last, most = thirds(samples, pick)
    share, more = ALLOWED[what]
    grown = last > first * (1 + share) and last > first + more
    return first, last, most, 'grows' if grown else 'flat'


def waits(spans, runs):
    """Return milliseconds of what a purge met, and of the rest.

    :param spans: (begun, ended)
    """
    met, rest = [], []
    for begun, ended in spans:
        hit = any(begun < run['ended'] and ended > run['started']
                  for run in runs)
        (met if hit else rest).append((ended - begun) * 1e3)
    return met, rest


def figures_of(soak, traffic, retention, client, options):
    """Return everything as JSON has it."""
    settled = [sample for sample in soak.samples
               if sample['second'] > FILLING] or soak.samples
    found = {
        'about': report.about(options), 'samples': soak.samples,
        'purges': retention.runs, 'sent': traffic.count,
        'lost': len(traffic.sent), 'api_calls': client.calls,
        'verdicts': list(verdicts(settled)), 'waits': {}}
    for what, spans in (('latency', soak.latencies),
                        ('commit', soak.commits)):
        for when, values in zip(('purge', 'else'), waits(
                spans, retention.runs), strict=True):
            found['waits']['%s, %s' % (what, when)] = [
                len(values), *report.quantiles(values),
                max(values, default=None)]
    return found


def show(figures):
    """Print the tables."""
    report.table(figures['verdicts'], [
        'of', 'what', 'first third', 'last third', 'most', 'verdict'])
    report.table([[what, *row] for what, row in figures['waits'].items()],
                 ['ms', 'count', 'p50', 'p95', 'p99', 'longest'])
    runs = figures['purges']
    report.table([[
        figures['sent'], figures['lost'], figures['api_calls'], len(runs),
        sum(sum(run['rows'].values()) for run in runs),
        statistics.median(run['ended'] - run['started'] for run in runs),
        figures['about']['load_average'][0]]],
        ['events', 'lost', 'API calls', 'purges', 'rows purged',
         's per purge', 'load'])


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--rate', type=float, default=150,
                        help='notifications per second')
    parser.add_argument('--alarms', type=int, default=10000)
    parser.add_argument('--interval', type=float, default=10,
                        help='seconds between samples')
    parser.add_argument('--json', help='file for the figures')
    parser.add_argument('--plot', help='file for the plot')
    return parser.parse_args()


def main():
    options = arguments()
    purge.DAY = DAY * 10 ** 6
    port = process.free_port()
    seeds = seeds_mod.Seeds(options.alarms, clears=True)
    with rig_mod.Rig() as rig:
        bench = rig.add(seeds, parts=PARTS, options='\n'.join((
            '[api]', 'host = 127.0.0.1', 'port = %d' % port,
            'auth_mode = noauth')))
        bench.system.start(systems.VARIANTS['warning'])
        traffic = Traffic(bench, seeds)
        (event, _calls), = seeds.hits(1, random.Random(0))
        bench.warm_up([event])
        soak = Soak(bench, options)
        retention = Retention(bench.system.storage.db)
        client = Client(port, seeds)
        client.wait()
        soak.run(traffic, retention, client)
        figures = figures_of(soak, traffic, retention, client, options)
    show(figures)
    if options.json:
        report.write(options.json, figures)
    if options.plot:
        report.soak_plot(figures, options.plot)


if __name__ == '__main__':
    main()
