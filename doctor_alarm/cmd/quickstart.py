# SPDX-License-Identifier: Apache-2.0
"""The demonstration of tools/quickstart.sh: a host fails and comes back.

Starts the standalone service, defines alarms of two tenants over its API, has
a host go down and up, and shows who was told and how long that took.
"""
from __future__ import annotations

import argparse
import datetime
import http.server
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

from doctor_alarm.cmd import fault as fault_cmd
from doctor_alarm.cmd import standalone as standalone_cmd
from doctor_alarm import exception
from doctor_alarm import fault as words
from doctor_alarm import service
from doctor_alarm import standalone

#: Seconds that each step may take.
PATIENCE = 30.0
HOST = 'compute-1'
#: The servers on it: name -> (id, tenant).
SERVERS = {
    'web': ('0e42a57d-bbbd-46da-b07b-93b35905cf69', 'green'),
    'queue': ('b9d4b7a6-64c5-4a2b-9a0c-5f5dd6e5a6c1', 'green'),
    'shop': ('f3f4d2c1-8b0e-4c57-9d7a-2a1f0e6b7c55', 'blue'),
}
_RAISED, _CLEARED = 'alarm', 'ok'


class Receiver:
    """The tenants' side: web hooks on loopback, one path for each tenant."""

    def __init__(self) -> None:
        #: (tenant whose hook was called, body)
        self.got: queue.SimpleQueue[
            tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        got = self.got

        class Hook(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                length = int(self.headers['Content-Length'])
                got.put((self.path.strip('/'),
                         json.loads(self.rfile.read(length))))
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

    def __init__(self, url: str, receiver: Receiver) -> None:
        self._url = url
        self._receiver = receiver

    def play(self) -> bool:
        """Play the fault and its end; return whether all were told of it."""
        say('1. Two tenants have servers on the host %s, and alarms:' % HOST)
        for name, (server_id, tenant) in SERVERS.items():
            self._define_alarm(name, server_id, tenant)
            say('     %-6s %s down' % (tenant, name))
        say('\n2. %s goes down, and a monitor tells of it. The tenants hear:'
            % HOST)
        fault_id = self._post(words.HOST_DOWN, words.DOWN)
        told = self._expect(_RAISED)
        arrived = told and self._show_time_line(fault_id)
        say('\n3. %s is back. The alarms clear:' % HOST)
        self._post(words.HOST_UP, words.UP)
        return self._expect(_CLEARED) and arrived

    def _define_alarm(self, name: str, server_id: str, tenant: str) -> None:
        hook = [self._receiver.url + tenant]
        self._call('POST', '/v2/alarms', {
            'name': '%s down' % name, 'type': 'event', 'severity': 'critical',
            'alarm_actions': hook, 'ok_actions': hook,
            'event_rule': {
                'event_type': words.SERVER_EVENT,
                'query': [_equals('instance_id', server_id),
                          _equals('state', 'error')],
                'clear': {'event_type': words.SERVER_EVENT,
                          'query': [_equals('state', 'active')]}}},
            tenant, 'member')

    def _post(self, event_type: str, status: str) -> str:
        """Tell what a monitor tells; return the id that it gets."""
        occurred_at = _now()    # the monitor is quick here
        answer = self._call('POST', '/v1/events', {'event': {
            'time': _now(), 'type': event_type, 'details': {
                words.HOSTNAME: HOST, words.STATUS: status,
                words.SOURCE: 'quickstart',
                words.OCCURRED_AT: occurred_at}}}, 'service', 'monitor')
        found: str = answer['message_ids'][0]
        return found

    def _expect(self, state: str) -> bool:
        """Show what the tenants are told; return whether each was, of its own.
        """
        left = {(tenant, '%s down' % name, state)
                for name, (_id, tenant) in SERVERS.items()}
        deadline = time.monotonic() + PATIENCE
        while left:
            try:
                tenant, body = self._receiver.got.get(
                    timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                say('     Nobody was told of: %s' % ', '.join(
                    '%s %s' % item[:2] for item in sorted(left)))
                return False
            traits = {name: value for name, _type, value
                      in body['reason_data']['event']['traits']}
            say('     %-6s %-10s %s -> %s  (%s)' % (
                tenant, body['alarm_name'], body['previous'],
                body['current'], traits[words.ROOT_CAUSE]))
            told = tenant, body['alarm_name'], body['current']
            if told not in left:
                return False
            left.remove(told)
        return True

    def _show_time_line(self, fault_id: str) -> bool:
        """Return whether every notification got through."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._call(
                'GET', '/v1/faults/%s' % fault_id, None, 'admin', 'admin')
            arrived: bool = found['delivered'] == len(SERVERS)
            if arrived or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        say('\n%s' % fault_cmd.time_line(found))
        say('Stages of OPNFV Doctor; T03 and T04 are nova\'s, here is none.')
        return arrived

    def _call(self, method: str, path: str, doc: Any, project: str,
              role: str) -> Any:
        request = urllib.request.Request(  # noqa: S310
            self._url + path, method=method,
            data=None if doc is None else json.dumps(doc).encode(),
            headers={'Content-Type': 'application/json', 'X-User-Id': role,
                     'X-Project-Id': project, 'X-Roles': role})
        with urllib.request.urlopen(  # noqa: S310
                request, timeout=PATIENCE) as answer:
            return json.loads(answer.read() or b'null')


def main() -> int:
    """Run the demonstration; return 0 if everybody was told."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix='doctor-alarm-') as folder:
        arguments = ['--state-path', folder, '--port', str(options.port)]
        ended = threading.Event()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        try:
            conf = standalone_cmd.prepare(arguments, 'doctor-alarm')
            conf.set_override('resource_map_file', _map(folder),
                              group='inspector')
            # Its log would tear the story apart.
            logging.getLogger().setLevel(logging.WARNING)
            logging.getLogger('doctor_alarm').setLevel(logging.WARNING)
            worker = standalone.Standalone(conf)
            try:
                worker.open()
                return _demonstrate(worker.url, options.once, ended)
            finally:
                worker.stop()
        except exception.DoctorAlarmException as exc:
            return service.fail(exc)


def _map(folder: str) -> str:
    """Write down which servers are on the host, in place of nova."""
    path = pathlib.Path(folder, 'servers.json')
    path.write_text(json.dumps({HOST: [
        {'id': server_id, 'name': name, 'project_id': tenant}
        for name, (server_id, tenant) in SERVERS.items()]}))
    return str(path)


def _demonstrate(url: str, once: bool, ended: threading.Event) -> int:
    say('doctor_alarm serves on %s (SQLite, no broker)\n' % url)
    receiver = Receiver()
    try:
        arrived = Demonstration(url, receiver).play()
        if not once and arrived:
            _show_commands(url)
            ended.wait()
    finally:
        receiver.close()
    return 0 if arrived else 1


def _show_commands(url: str) -> None:
    say('\nTry next, in another terminal:\n')
    say('  . %s/bin/activate' % _shown(pathlib.Path(sys.prefix)))
    say('  openstack --os-auth-type none --os-endpoint %s \\\n'
        '    alarm list --filter all_projects=true' % url)
    say('  curl -s %s/v1/faults' % url)
    say("  curl -i %s/v1/events -H 'Content-Type: application/json' -d '{\n"
        '    "time": "\'$(date -u +%%FT%%T)\'", "type": "%s",\n'
        '    "details": {"hostname": "%s"}}\'' % (
            url, words.HOST_DOWN, HOST))
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


def _equals(trait: str, value: str) -> dict[str, str]:
    return {'field': 'traits.' + trait, 'op': 'eq', 'value': value}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


if __name__ == '__main__':
    sys.exit(main())
