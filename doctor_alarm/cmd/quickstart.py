# SPDX-License-Identifier: Apache-2.0
"""The demonstration of tools/quickstart.sh: a fault, from nova to a receiver.

Starts the standalone service, defines an alarm over its API, plays a
notification of nova and shows how the fault travelled.
"""
from __future__ import annotations

import argparse
from collections.abc import Mapping
import datetime
import http.server
import importlib.resources
import json
import logging
import pathlib
import queue
import signal
import sys
import tempfile
import threading
import time
from typing import Any
import urllib.request

import prettytable

from doctor_alarm.agent import endpoint
from doctor_alarm.agent import replay
from doctor_alarm.cmd import standalone as standalone_cmd
from doctor_alarm import exception
from doctor_alarm import service
from doctor_alarm import standalone

#: Seconds that each step may take.
PATIENCE = 30.0
FAULT = 'nova-server-error.json'
#: Stage of the time line -> what it is called here.
STAGES = {
    'notified_at': 'T05  nova generated the notification',
    'transformed_at': 'T06  received, transformed to an event',
    'evaluated_at': 'T07  evaluated: the alarm matches',
    'committed_at': '     committed: it can not be lost any more',
    'fired_at': 'T08  sent to the receiver',
    'received_at': 'T09  acknowledged by the receiver',
}


class Receiver:
    """The application's side: a web hook on loopback."""

    def __init__(self) -> None:
        self.got: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        got = self.got

        class Hook(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                length = int(self.headers['Content-Length'])
                got.put(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Nothing: the output tells a story."""

        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), Hook)
        self._server.daemon_threads = True
        self.url = 'http://127.0.0.1:%d/' % self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class Demonstration:
    """The steps, in the order in which they are shown."""

    def __init__(self, url: str, transformer: endpoint.Transformer,
                 receiver: Receiver) -> None:
        self._url = url
        self._transformer = transformer
        self._receiver = receiver
        self.alarm_id = ''

    def play(self) -> bool:
        """Play the fault; return whether its call-back arrived."""
        fault = _load(FAULT)
        server = fault['message']['payload']
        self._define_alarm(server)
        say('2. nova notifies: server %s' % server['instance_id'])
        say('   went from %s to %s' % (server['old_state'], server['state']))
        event, = self._transformer.events(replay.fresh(fault['message']))
        self._call('POST', '/v1/events', replay.as_posted(event))
        try:
            body = self._receiver.got.get(timeout=PATIENCE)
        except queue.Empty:
            say('   The receiver was not called within %d s.' % PATIENCE)
            return False
        say('3. The receiver was called: alarm "%s"' % body['alarm_name'])
        say('   went from %s to %s\n' % (body['previous'], body['current']))
        self._show_time_line()
        return True

    def _define_alarm(self, server: Mapping[str, Any]) -> None:
        alarm = self._call('POST', '/v2/alarms', {
            'name': 'server down', 'type': 'event', 'severity': 'critical',
            'project_id': server['tenant_id'],
            'alarm_actions': [self._receiver.url],
            'event_rule': {
                'event_type': 'compute.instance.update',
                'query': [_equals('instance_id', server['instance_id']),
                          _equals('state', 'error')],
                'clear': {'event_type': 'compute.instance.update',
                          'query': [_equals('state', 'active')]}}})
        self.alarm_id = alarm['alarm_id']
        say('1. An alarm is defined over the API: "server down",')
        say('   %s' % self.alarm_id)

    def _show_time_line(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            delivery, = self._call(
                'GET', '/v2/alarms/%s/deliveries' % self.alarm_id)
            if (delivery['status'] == 'delivered'
                    or time.monotonic() > deadline):
                break
            time.sleep(0.02)
        times = {stage: datetime.datetime.fromisoformat(at)
                 for stage, at in delivery['timeline'].items() if at}
        table = prettytable.PrettyTable(
            ['stage', 'time (UTC)', 'ms', 'sum'])
        table.align = 'r'
        table.align['stage'] = 'l'
        first = last = times['notified_at']
        for stage, title in STAGES.items():
            # Which commit it was is told by the wake-up only.
            now = times.get(stage, last)
            table.add_row([
                title, now.time().isoformat('microseconds'),
                '%.1f' % _ms(now - last), '%.1f' % _ms(now - first)])
            last = now
        say(table.get_string())

    def _call(self, method: str, path: str, doc: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            self._url + path, method=method,
            data=None if doc is None else json.dumps(doc).encode(),
            headers={'Content-Type': 'application/json'})
        with urllib.request.urlopen(  # noqa: S310
                request, timeout=PATIENCE) as answer:
            return json.loads(answer.read() or b'null')


def main() -> int:
    """Run the demonstration; return 0 if the call-back arrived."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix='doctor-alarm-') as folder:
        arguments = ['--state-path', folder, '--port', str(options.port)]
        ended = threading.Event()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        try:
            conf = standalone_cmd.prepare(arguments, 'doctor-alarm')
            # Its log would tear the story apart.
            logging.getLogger().setLevel(logging.WARNING)
            logging.getLogger('doctor_alarm').setLevel(logging.WARNING)
            worker = standalone.Standalone(conf)
            try:
                worker.open()
                return _demonstrate(worker.url, endpoint.Transformer(conf),
                                    options.once, ended)
            finally:
                worker.stop()
        except exception.DoctorAlarmException as exc:
            return service.fail(exc)


def _demonstrate(url: str, transformer: endpoint.Transformer, once: bool,
                 ended: threading.Event) -> int:
    say('doctor_alarm serves on %s (SQLite, no broker)\n' % url)
    receiver = Receiver()
    try:
        demonstration = Demonstration(url, transformer, receiver)
        arrived = demonstration.play()
        if not once and arrived:
            _show_commands(url, demonstration.alarm_id)
            ended.wait()
    finally:
        receiver.close()
    return 0 if arrived else 1


def _show_commands(url: str, alarm_id: str) -> None:
    say('\nTry next, in another terminal:\n')
    say('  . %s/bin/activate' % _shown(pathlib.Path(sys.prefix)))
    client = '  openstack --os-auth-type none --os-endpoint %s' % url
    say('%s alarm list' % client)
    recovery = _shown(pathlib.Path(__file__).with_name('data')
                      / 'nova-server-active.json')
    say('  doctor-alarm-manage event send --now --url %s \\\n    %s' % (
        url, recovery))
    say('%s \\\n    alarm-history show %s' % (client, alarm_id))
    say('\nServing until Ctrl-C.')


def _shown(path: pathlib.Path) -> str:
    """Return a path as short as it can be typed from here."""
    try:
        return str(path.relative_to(pathlib.Path.cwd()))
    except ValueError:
        return str(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/quickstart.sh', description=(
            'Start the standalone service and show how a fault travels.'))
    parser.add_argument('--once', action='store_true', help=(
        'end after the demonstration; the status tells whether it worked'))
    parser.add_argument('--port', type=int, default=8042, help=(
        'port of the service (default: 8042)'))
    return parser.parse_args()


def _load(name: str) -> dict[str, Any]:
    folder = importlib.resources.files('doctor_alarm.cmd') / 'data'
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def _equals(trait: str, value: str) -> dict[str, str]:
    return {'field': 'traits.' + trait, 'op': 'eq', 'value': value}


def _ms(span: datetime.timedelta) -> float:
    return span / datetime.timedelta(milliseconds=1)


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


if __name__ == '__main__':
    sys.exit(main())
