# SPDX-License-Identifier: Apache-2.0
"""Monitors that repeat themselves: 1 in 100 of their events is new.

    python benchmarks/monitor_events.py [--per-request N ...] [--rate N]
        [--seconds S] [--news N] [--servers N] [--connections N]
        [--api-workers N] [--inspectors N] [--json FILE]

Events of hosts that fail and come back are posted to the event API over
connections that stay open: the same event again and again, as monitors do
that repeat what they see, and now and then a new one. API, inspector,
evaluator and notifier are processes on RabbitMQ and MariaDB; each host has
servers, each server has an alarm, and each new event calls back once for each
of them. First the events come at a rate; told are how long a request took, by
how much later than planned the slowest hundredth was sent, and the time from
the new events to their call-backs. Then they come as fast as they are taken.
*absorbed* is the rate up to the moment at which nothing waits at the broker
and all call-backs are out; CPU is that of each process per posted event.
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import pathlib
import random
import socket
import tempfile
import threading
import time
import uuid

import psutil

from doctor_alarm import event as event_mod
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.services import process
import measure
import receiver as receiver_mod
import report

HOSTS = 100
#: New events of which the latest repetitions are taken.
REPEATED = 50
QUEUES = ('doctor_alarm_inspector', 'doctor_alarm.event.sample')
_DRAINED = (
    'N = fun(Name) -> {ok, Q} = rabbit_amqqueue:lookup('
    'rabbit_misc:r(<<"%s">>, queue, Name)),'
    ' [{messages, M}] = rabbit_amqqueue:info(Q, [messages]), M end,'
    ' F = fun F() -> case lists:sum([N(Name) || Name <- [%s]]) of'
    ' 0 -> os:system_time(microsecond);'
    ' _ -> timer:sleep(10), F() end end, F()')
#: Seconds without a call-back after which the rest is taken for lost.
PATIENCE = 60


class Monitor:
    """Makes events; most of them were there before."""

    def __init__(self, news):
        self._news, self._chance = news, random.Random(1)
        self._latest = collections.deque(maxlen=REPEATED)
        self._made = self.new = 0

    def events(self, count):
        """Yield events as they are posted; each host in turn fails."""
        for _ in range(count):
            self._made += 1
            if not self._latest or self._made % self._news == 0:
                self._latest.append(self._next())
            yield self._chance.choice(
                [self._latest[-1]] if self._made % self._news == 0
                else self._latest)

    def _next(self):
        turn, host = divmod(self.new, HOSTS)
        self.new += 1
        now = event_mod.to_iso(event_mod.from_us(time.time_ns() // 1000))
        return {'event': {
            'time': now, 'type': 'compute.host.%s' % (
                'up' if turn % 2 else 'down'), 'details': {
                'hostname': 'compute-%d' % host, 'monitor_id': 'bench',
                'monitor_event_id': str(uuid.uuid4()), 'source': 'bench',
                'severity': 'critical', 'cause': 'no answer to 3 pings'}}}


def _post_all(port, connections, bodies, rate):
    """Post bodies; return when each was due, begun and answered."""
    lock, numbers = threading.Lock(), iter(range(len(bodies)))
    times = [None] * len(bodies)
    started = time.time()

    def work():
        with socket.create_connection(('127.0.0.1', port), 60) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                due = started + number / rate if rate else time.time()
                time.sleep(max(0.0, due - time.time()))
                begun = time.time()
                _post(sock, bodies[number])
                times[number] = due, begun, time.time()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _post(sock, body):
    """Post once; busy (503) is answered by posting again, as monitors do."""
    while True:
        sock.sendall(
            b'POST /v1/events HTTP/1.1\r\nHost: bench\r\n'
            b'X-User-Id: u\r\nX-Project-Id: service\r\nX-Roles: monitor\r\n'
            b'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s'
            % (len(body), body))
        answer = b''
        while (end := answer.find(b'\r\n\r\n')) < 0:
            answer += _more(sock)
        length = int(answer.lower().partition(
            b'content-length:')[2].partition(b'\r')[0])
        while len(answer) < end + 4 + length:
            answer += _more(sock)
        status = answer.split(b' ', 2)[1]
        if status == b'202':
            return
        if status != b'503':
            raise RuntimeError(answer[:500])
        time.sleep(0.1)


def _more(sock):
    data = sock.recv(65536)
    if not data:
        raise RuntimeError('the API has closed a connection')
    return data


def _client(port, connections, pipe):
    """Post what is sent, in a process of its own."""
    while work := pipe.recv():
        pipe.send(_post_all(port, connections, *work))


class Run:
    """The service, its alarms, who posts and who is told."""

    def __init__(self, options):
        self._options = options
        self._stack = contextlib.ExitStack()
        folder = pathlib.Path(self._stack.enter_context(
            tempfile.TemporaryDirectory()))
        hosts = {'compute-%d' % host: [
            'vm-%d-%d' % (host, number) for number in range(options.servers)]
            for host in range(HOSTS)}
        (folder / 'map.json').write_text(json.dumps({host: [
            {'id': server, 'name': server, 'project_id': 'p1',
             'state': 'active'} for server in servers]
            for host, servers in hosts.items()}))
        self._receiver = receiver_mod.Receiver()
        self._stack.callback(self._receiver.stop)
        self._cloud = deployment.Deployment(
            ('evaluator', 'notifier', 'api', 'inspector'), debug=False,
            extra='[inspector]\nresource_map_file = %s\n[api]\nworkers = %d\n'
            % (folder / 'map.json', options.api_workers))
        self._cloud.setUp()
        self._stack.callback(self._cloud.cleanUp)
        for number in range(1, options.inspectors):
            self._cloud.start('inspector', 'inspector-%d' % number)
        alarm_bulk.import_all(self._cloud.storage.db, [alarm.Alarm(
            name=server, type='event', project_id='p1',
            rule=scenario.rule(server),
            alarm_actions=[self._receiver.url()],
            ok_actions=[self._receiver.url()])
            for servers in hosts.values() for server in servers])
        self._monitor = Monitor(options.news)
        context = multiprocessing.get_context('spawn')
        self._pipe, theirs = context.Pipe()
        client = context.Process(target=_client, daemon=True, args=(
            self._cloud.port, options.connections, theirs))
        client.start()
        self._stack.callback(client.terminate)
        self._receiver.keep(True)

    def round(self, count, per_request, rate=None):
        """Post events; return what became of them."""
        new = self._monitor.new
        events = list(self._monitor.events(count))
        first = {}
        for number, item in enumerate(events):
            first.setdefault(item['event']['time'], number // per_request)
        bodies = [_body(events[start:start + per_request])
                  for start in range(0, count, per_request)]
        cpu, started = self._cpu(), time.time()
        self._pipe.send((bodies, rate / per_request if rate else None))
        times = self._pipe.recv()
        taken = max(after for _due, _begun, after in times)
        expected = (self._monitor.new - new) * self._options.servers
        calls = self._calls(expected)
        done = self._drained()
        calls += self._kept()
        # A call-back has the time of the event that caused it.
        waits = [(when - times[first[made]][1]) * 1e3
                 for when, made, _name in calls if made in first]
        names = {name for _when, _made, name in calls}
        return {
            'per_request': per_request, 'rate': rate, 'events': count,
            'new': self._monitor.new - new,
            'taken_per_s': count / (taken - started),
            'absorbed_per_s': count / (max(
                [done, *(when for when, _made, _name in calls)]) - started),
            'request_ms': report.quantiles(
                [(after - begun) * 1e3 for _due, begun, after in times]),
            'late_ms': report.quantiles(
                [(begun - due) * 1e3 for due, begun, _after in times])[2],
            'told_ms': report.quantiles(waits),
            'lost': expected - len(names), 'doubled': len(calls) - len(names),
            'cpu_ms': {name: (value - cpu[name]) * 1e3 / count
                       for name, value in self._cpu().items()},
            'load': measure.load()}

    def _calls(self, expected):
        """Return the call-backs when all are there, or none comes."""
        found, deadline = [], time.monotonic() + PATIENCE
        while len(found) < expected and time.monotonic() < deadline:
            some = self._kept()
            if some:
                deadline = time.monotonic() + PATIENCE
            found += some
            time.sleep(0.02)
        return found

    def _kept(self):
        """Return (when, time of the event, notification id)."""
        found = []
        for _server, when, body in self._receiver.kept():
            doc = json.loads(body)
            made = event_mod.parse_time(
                doc['reason_data']['event']['generated'], 'generated')
            found.append((when, event_mod.to_iso(made),
                          doc['notification_id']))
        return found

    def _drained(self):
        """Wait until no message is left; return when, as epoch.

        The broker itself looks: that costs less than to ask it all the time.
        """
        vhost = self._cloud.bus_url.rpartition('/')[2]
        while True:
            # On a busy machine the broker may be late to be connected to.
            with contextlib.suppress(process.ServiceFailed):
                return int(self._cloud.bus.evaluate(_DRAINED % (
                    vhost, ','.join('<<"%s">>' % name for name in QUEUES),
                ))) / 1e6

    def _cpu(self):
        found = {}
        for name, child in self._cloud.processes.items():
            member = psutil.Process(child.pid)
            found[name] = sum(
                sum(each.cpu_times()[:2])
                for each in (member, *member.children(recursive=True)))
        return found

    def close(self):
        self._stack.close()


def _body(events):
    return json.dumps(events[0] if len(events) == 1
                      else {'events': events}).encode()


def row(found):
    cpu = found['cpu_ms']
    return ['%d per request' % found['per_request'] + (
        ', %d/s' % found['rate'] if found['rate'] else ''),
        found['events'], found['new'], found['taken_per_s'],
        found['absorbed_per_s'], found['request_ms'][0],
        found['request_ms'][2], found['late_ms'] if found['rate'] else None,
        found['told_ms'][0], found['told_ms'][2], found['lost'],
        found['doubled'], cpu['api'], sum(
            value for name, value in cpu.items() if name != 'api'),
        found['load']]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--per-request', type=int, nargs='*',
                        default=[1, 100], help='events of a request')
    parser.add_argument('--rate', type=float, default=2000)
    parser.add_argument('--seconds', type=float, default=10)
    parser.add_argument('--news', type=int, default=100,
                        help='one of so many events is new')
    parser.add_argument('--servers', type=int, default=5,
                        help='of each host')
    parser.add_argument('--connections', type=int, default=16)
    parser.add_argument('--api-workers', type=int, default=1)
    parser.add_argument('--inspectors', type=int, default=1)
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    run = Run(options)
    count = int(options.rate * options.seconds)
    try:
        # What is first of all is the machine's.
        run.round(500, 100)
        rounds = []
        for per_request in options.per_request:
            rounds.append(run.round(count, per_request, options.rate))
            rounds.append(run.round(count, per_request))
    finally:
        run.close()
    report.table([row(found) for found in rounds], [
        'what', 'events', 'new', 'taken/s', 'absorbed/s', 'request p50 ms',
        'p99', 'late', 'told p50 ms', 'p99', 'lost', 'doubled', 'api CPU ms',
        'others', 'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rounds': rounds})


if __name__ == '__main__':
    main()
