# SPDX-License-Identifier: Apache-2.0
"""A host goes away: how soon the owners of its servers are told.

    python benchmarks/doctor.py [--servers N ...] [--rounds N]
        [--derive N] [--json FILE]

The scenario of OPNFV Doctor with everything that belongs to it, in a network
namespace of its own (as root, or where users may make namespaces): a host at
the other end of a cable stops answering, doctor-alarm-monitor pings it and
posts to the event API; inspector, evaluator and notifier, each a process, on
RabbitMQ and MariaDB, call the receiver once for each server. Told are the
milliseconds from the detection, that is the time in the event of the monitor,
to the first, to half and to the last of the call-backs of a round, medians of
the rounds; and those of all call-backs. *found after* is from the end of the
host to its detection: the settings of the monitor decide it.

Then the inspector's part alone: from an event of a host with 100 servers to
the confirmation of the 201 events that follow, of which one is about the host
and each server has two, one for its owner and one for administrators.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
import uuid

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import stage as stage_mod
from doctor_alarm import messaging
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.tests.functional import hostfault
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import namespace
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage
import measure
import receiver as receiver_mod
import report

_INSIDE = 'DOCTOR_ALARM_DOCTOR_BENCHMARK'
PING = 'interval = 0.1\ntimeout = 0.1\ndown_after = 2\nup_after = 1\n'
#: Servers of the host whose events are derived.
MANY = 100
#: Not counted: what is first of all is the machine's.
WARM_UP = 2


class Run:
    """A host with servers, an alarm for each, and who is told."""

    def __init__(self, servers):
        self._servers, self._seen = servers, 0
        self._receiver = receiver_mod.Receiver()
        self._scene = hostfault.Scene(servers, PING, debug=False)
        self._scene.setUp()
        alarm_bulk.import_all(self._scene.cloud.storage.db, [alarm.Alarm(
            name=server, type='event', project_id=project,
            rule=scenario.rule(server),
            alarm_actions=[self._receiver.url()],
            ok_actions=[self._receiver.url()])
            for server, project in self._scene.servers.items()])
        self._scene.watch()
        self._receiver.keep(True)

    def round(self):
        """Let the host go and return; how soon that was found and told."""
        gone = time.time()
        self._scene.host.go_away()
        detected, calls = self._told()
        self._scene.host.come_back()
        self._told()
        return {'servers': self._servers, 'found_ms': (detected - gone) * 1e3,
                'ms': sorted((when - detected) * 1e3 for when in calls),
                'load': measure.load()}

    def _told(self):
        """Wait for all call-backs; return detection and arrivals."""
        self._receiver.wait(self._seen + self._servers, 120)
        found = [(when, json.loads(body))
                 for _server, when, body in self._receiver.kept()]
        self._seen += len(found)
        times = {body['reason_data']['event']['generated']
                 for _when, body in found}
        if len(found) != self._servers or len(times) != 1:
            sys.exit('%d call-backs of %d faults' % (len(found), len(times)))
        return (event_mod.parse_time(times.pop(), 'generated').timestamp(),
                [when for when, _body in found])

    def close(self):
        self._scene.cleanUp()
        self._receiver.stop()


def rounds_of(servers, options):
    run = Run(servers)
    try:
        return [run.round() for _ in range(
            WARM_UP + options.rounds)][WARM_UP:]
    finally:
        run.close()


def derive(count):
    """Derive and publish; return milliseconds of both, and of all."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'map.json')
        path.write_text(json.dumps({hostfault.HOST: [
            {'id': str(uuid.uuid4()), 'name': 'instance-%d' % number,
             'project_id': uuid.uuid4().hex, 'state': 'active'}
            for number in range(MANY)]}))
        plain, bus = storage.Storage(), rabbitmq.VirtualHost()
        for fixture in (plain, bus):
            fixture.setUp()
        plain.conf.set_override('transport_url', bus.url)
        plain.conf.set_override('resource_map_file', str(path), 'inspector')
        stage = stage_mod.Stage(plain.conf)
        publisher = messaging.Publisher(
            messaging.get_own_transport(plain.conf), 'bench.doctor', 'bench')
        try:
            return [_once(stage, publisher) for _ in range(count)][WARM_UP:]
        finally:
            for fixture in (bus, plain):
                fixture.cleanUp()


def _once(stage, publisher):
    root = event_mod.Event(
        message_id=str(uuid.uuid4()), event_type=fault.HOST_DOWN,
        generated=datetime.datetime.now(datetime.UTC), traits={
            'hostname': hostfault.HOST, 'host': hostfault.HOST,
            'severity': 'critical', 'cause': 'no answer to 3 pings',
            'source': 'ping@monitor', 'monitor_id': 'ping@monitor',
            'monitor_event_id': str(uuid.uuid4())})
    started = time.perf_counter()
    derived = stage.inspect(root)
    made = time.perf_counter()
    for group in messaging.chunks(each.to_wire() for each in derived):
        publisher.publish('event', group)
    done = time.perf_counter()
    if len(derived) != 2 * MANY + 1:
        sys.exit('%d events were derived' % len(derived))
    return [(made - started) * 1e3, (done - made) * 1e3,
            (done - started) * 1e3]


def row(servers, rounds):
    calls = [value for each in rounds for value in each['ms']]
    p50, p95, p99 = report.quantiles(calls)
    return [servers, len(rounds), *(
        statistics.median(value(each) for each in rounds) for value in (
            lambda each: each['found_ms'], lambda each: each['ms'][0],
            lambda each: each['ms'][-1])),
        max(each['ms'][-1] for each in rounds), p50, p95, p99,
        statistics.median(each['load'] for each in rounds)]


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--servers', type=int, nargs='*', default=[20])
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--derive', type=int, default=500,
                        help='faults of the inspector alone')
    parser.add_argument('--json', help='file for the figures')
    return parser.parse_args()


def main():
    options = parse()
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = '1'
        command = namespace.command(sys.executable, *sys.argv)
        os.execvp(command[0], command)  # noqa: S606
    found = {servers: rounds_of(servers, options)
             for servers in options.servers}
    alone = derive(options.derive + WARM_UP) if options.derive else []
    report.table(
        [row(servers, rounds) for servers, rounds in found.items()],
        ['servers', 'rounds', 'found after ms', 'first ms', 'last', 'max',
         'p50 ms', 'p95', 'p99', 'load'])
    if alone:
        print()
        report.table([[what, *report.quantiles(values), max(values)]
                      for what, values in zip(
                          ('derive', 'publish', 'both'),
                          zip(*alone, strict=True), strict=True)],
                     ['%d events' % (2 * MANY + 1), 'p50 ms', 'p95', 'p99',
                      'max'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'derived_ms': alone,
            'rounds': [each for rounds in found.values()
                       for each in rounds]})


if __name__ == '__main__':
    main()
