# SPDX-License-Identifier: Apache-2.0
"""From a fault to its call-back: latency and call-backs per second.

    python benchmarks/spine.py [--alarms N] [--events N] [--rounds N]
        [standalone|distributed ...]

Standalone is one process with SQLite that gets its events over HTTP.
Distributed is an agent, an evaluator and a notifier beside a private RabbitMQ
and MariaDB, with notifications in nova's form. Latency is that of lone
events, from before they are sent to the call-back; throughput that of a
backlog: the events wait in the queue when the evaluator and the notifier are
started (standalone: they are posted in bulks of 100). Every alarm is pinned
to a server of its own and repeats its actions. All processes, the broker, the
database, the sender and the receiver share the machine.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import requests

from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.services import process
from doctor_alarm.tests import storage
import receiver as receiver_mod
import report

LONE = 200
PAUSE = 0.05


class Standalone:
    """One process, SQLite, events over HTTP."""

    def __init__(self, alarms):
        self._folder = tempfile.TemporaryDirectory()
        self._storage = storage.Storage('sqlite:///%s' % os.path.join(
            self._folder.name, 'doctor-alarm.sqlite'))
        self._storage.setUp()
        alarm_bulk.import_all(self._storage.db, alarms)
        port = process.free_port()
        self._url = 'http://127.0.0.1:%d' % port
        self._session = requests.Session()
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'doctor_alarm.cmd.standalone',
             '--state-path', self._folder.name, '--port', str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                requests.get(self._url + '/healthcheck', timeout=5)
                break
            except requests.ConnectionError:
                if self._process.poll() is not None:
                    raise RuntimeError('it does not start') from None
                time.sleep(0.05)

    def send(self, server):
        self._post({'event': self._event(server)})

    def throughput(self, receiver, servers):
        before, started = receiver.count, time.time()
        for i in range(0, len(servers), 100):
            self._post({'events': [{'event': self._event(server)}
                                   for server in servers[i:i + 100]]})
        return len(servers) / (
            receiver.wait(before + len(servers)) - started)

    def _event(self, server):
        now = time.time_ns() // 1000
        return {'type': 'compute.instance.update', 'time': '%s.%06d' % (
            time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**6)),
            now % 10**6), 'details': {
                **scenario.update_of(server, 'error'), 'project_id': 'p1'}}

    def _post(self, doc):
        self._session.post(self._url + '/v1/events', data=json.dumps(doc),
                           headers={'Content-Type': 'application/json'},
                           timeout=60).raise_for_status()

    def close(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._storage.cleanUp()
        self._folder.cleanup()


class Distributed:
    """Agent, evaluator and notifier, RabbitMQ and MariaDB."""

    def __init__(self, alarms):
        self._cloud = deployment.Deployment(
            ('agent', 'evaluator', 'notifier'), debug=False)
        self._cloud.setUp()
        alarm_bulk.import_all(self._cloud.storage.db, alarms)
        self._nova = self._cloud.notifier()

    def send(self, server):
        self._nova.info({}, 'compute.instance.update',
                        scenario.update_of(server, 'error'))

    def throughput(self, receiver, servers):
        before = receiver.count
        self._cloud.stop('evaluator')
        self._cloud.stop('notifier')
        for server in servers:
            self.send(server)
        while self._cloud.waiting('notifications.info'):
            time.sleep(0.1)
        self._cloud.start('evaluator')
        self._cloud.start('notifier')
        receiver.wait(before + 1)
        first = receiver.last
        counted = receiver.count - before
        last = receiver.wait(before + len(servers))
        return (len(servers) - counted) / (last - first)

    def close(self):
        self._cloud.cleanUp()


SETUPS = {'standalone': Standalone, 'distributed': Distributed}


def measure(name, options):
    receiver = receiver_mod.Receiver()
    servers = [str(uuid.uuid4()) for _ in range(options.alarms)]
    setup = SETUPS[name]([alarm.Alarm(
        name=server, type='event', project_id='p1', repeat_actions=True,
        rule=scenario.rule(server), alarm_actions=[receiver.url()])
        for server in servers])
    try:
        latencies = []
        for i in range(LONE):
            expected, sent = receiver.count + 1, time.time()
            setup.send(servers[i % len(servers)])
            latencies.append((receiver.wait(expected) - sent) * 1e3)
            time.sleep(PAUSE)
        rates = [setup.throughput(receiver, [
            servers[i % len(servers)] for i in range(options.events)])
            for _ in range(options.rounds)]
    finally:
        setup.close()
        receiver.stop()
    return {'setup': name, 'alarms': options.alarms,
            'p50_ms': statistics.median(latencies),
            'p95_ms': statistics.quantiles(latencies, n=20)[18],
            'p99_ms': statistics.quantiles(latencies, n=100)[98],
            'callbacks_per_s': statistics.median(rates),
            'load': os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('setups', nargs='*', default=list(SETUPS))
    parser.add_argument('--alarms', type=int, default=100)
    parser.add_argument('--events', type=int, default=3000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    rows = [measure(name, options) for name in options.setups]
    report.table([list(row.values()) for row in rows], [
        'setup', 'alarms', 'p50 ms', 'p95 ms', 'p99 ms', 'call-backs/s',
        'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rows': rows})


if __name__ == '__main__':
    main()
