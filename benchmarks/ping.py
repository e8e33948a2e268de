# SPDX-License-Identifier: Apache-2.0
"""What it costs to ping many hosts, and how soon one that is gone is found.

    python benchmarks/ping.py [--hosts N ...] [--interval S] [--seconds S]
        [--rounds N] [--json FILE]

Runs doctor-alarm-monitor, as it is shipped, against addresses of loopback, in
a network namespace of its own (as root, or where users may make namespaces).
Told are the share of one core that the monitor takes, its memory, and the
milliseconds from the moment at which a host is gone (its address can not be
reached, or nobody answers any more) until the event API is asked to take
compute.host.down: of one host, and of all hosts at once.
"""

import argparse
import http.server
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psutil

import report

SYSCTL = pathlib.Path('/proc/sys/net/ipv4')
_INSIDE = 'DOCTOR_ALARM_PING_BENCHMARK'


class EventApi(http.server.ThreadingHTTPServer):
    """Takes events; notes what came of whom when, in seconds."""

    daemon_threads = True

    def __init__(self):
        self.heard = {}
        super().__init__(('127.0.0.1', 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait(self, kind, hosts, since, patience=120):
        """Wait for an event of each host; return when they came."""
        deadline = time.time() + patience
        while True:
            found = [self.heard.get((kind, host), 0) for host in hosts]
            if min(found) > since:
                return found
            if time.time() > deadline:
                sys.exit('%s of %d hosts did not come' % (
                    kind, sum(when <= since for when in found)))
            time.sleep(0.001)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        now = time.time()
        doc = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        for item in doc.get('events', [doc]):
            event = item['event']
            self.server.heard[
                event['type'], event['details']['hostname']] = now
        self.send_response(202)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_args):
        """Nothing."""


class Monitor:
    """The process under test."""

    def __init__(self, api, count, options):
        self.hosts = {
            'compute-%d' % n: '127.1.%d.%d' % divmod(n, 250)
            for n in range(count)}
        self._folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self._folder.name)
        (folder / 'hosts.json').write_text(json.dumps(self.hosts))
        (folder / 'conf').write_text(
            '[monitor]\nendpoint = http://127.0.0.1:%d\n'
            '[monitor_ping]\nhosts_file = %s/hosts.json\ninterval = %g\n'
            'timeout = %g\ndown_after = %d\nhold_down = 0\n' % (
                api.server_address[1], folder, options.interval,
                options.timeout, options.down_after))
        self._log = open(folder / 'log', 'wb')      # noqa: SIM115
        self._child = subprocess.Popen(
            [sys.executable, '-m', 'doctor_alarm.cmd.monitor',
             '--config-file', str(folder / 'conf'), 'ping'],
            stdout=self._log, stderr=subprocess.STDOUT)
        self._process = psutil.Process(self._child.pid)
        deadline = time.time() + 120
        while b' works' not in (folder / 'log').read_bytes():
            if self._child.poll() is not None or time.time() > deadline:
                sys.exit((folder / 'log').read_text())
            time.sleep(0.05)

    def cost(self, seconds):
        """Return the share of a core, and pings per second, meanwhile."""
        before, echos, began = self._cpu(), _echos(), time.monotonic()
        time.sleep(seconds)
        spent = time.monotonic() - began
        return ((self._cpu() - before) / spent,
                (_echos() - echos) / spent)

    @property
    def memory(self):
        """Mebibytes."""
        return self._process.memory_info().rss / 2 ** 20

    def end(self):
        self._child.send_signal(signal.SIGTERM)
        self._child.wait(60)
        self._log.close()
        self._folder.cleanup()

    def _cpu(self):
        times = self._process.cpu_times()
        return times.user + times.system


def _echos():
    """Return the pings that came to this network, ever."""
    lines = pathlib.Path('/proc/net/snmp').read_text().splitlines()
    names, values = (line.split() for line in lines
                     if line.startswith('Icmp:'))
    return int(values[names.index('InEchos')])


def _ip(*arguments):
    subprocess.run(['ip', *arguments], check=True)


def one_gone(api, monitor, number):
    """Return milliseconds until a host that can not be reached is found."""
    name = 'compute-%d' % (number * 7 % len(monitor.hosts))
    where = ('route', 'unreachable', monitor.hosts[name], 'table', 'local')
    # at another moment of the interval each time
    time.sleep(0.37 * (number % 5))
    since = time.time()
    _ip(where[0], 'add', *where[1:])
    [when] = api.wait('compute.host.down', [name], since)
    again = time.time()
    _ip(where[0], 'del', *where[1:])
    api.wait('compute.host.up', [name], again)
    return (when - since) * 1e3


def all_gone(api, monitor):
    """Return milliseconds until the first and the last is found."""
    since = time.time()
    (SYSCTL / 'icmp_echo_ignore_all').write_text('1\n')
    found = api.wait('compute.host.down', monitor.hosts, since)
    again = time.time()
    (SYSCTL / 'icmp_echo_ignore_all').write_text('0\n')
    api.wait('compute.host.up', monitor.hosts, again)
    return (min(found) - since) * 1e3, (max(found) - since) * 1e3


def measure(count, options):
    api = EventApi()
    monitor = Monitor(api, count, options)
    try:
        time.sleep(3)
        if api.heard:
            sys.exit('a host that is there was reported')
        core, pings = monitor.cost(options.seconds)
        if api.heard:
            sys.exit('a host that is there was reported')
        found = [one_gone(api, monitor, n) for n in range(options.rounds)]
        first, last = all_gone(api, monitor)
        return {'hosts': count, 'pings_per_s': pings, 'core': core,
                'memory_mib': monitor.memory, 'one_gone_ms': found,
                'all_gone_first_ms': first, 'all_gone_last_ms': last}
    finally:
        monitor.end()
        api.shutdown()
        api.server_close()


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--hosts', type=int, nargs='*',
                        default=[100, 1000, 3000])
    parser.add_argument('--interval', type=float, default=1.0)
    parser.add_argument('--timeout', type=float, default=1.0)
    parser.add_argument('--down-after', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=20)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--datagram', action='store_true',
                        help='sockets without privilege, not raw ones')
    parser.add_argument('--json', help='file for the figures')
    return parser.parse_args()


def main():
    options = parse()
    if _INSIDE not in os.environ:
        privilege = [] if os.getuid() == 0 else ['--map-root-user']
        os.environ[_INSIDE] = '1'
        os.execvp('unshare', [  # noqa: S606, S607
            'unshare', '--net', *privilege, sys.executable, *sys.argv])
    _ip('link', 'set', 'lo', 'up')
    if options.datagram:
        (SYSCTL / 'ping_group_range').write_text('0\t0\n')
    found = [measure(count, options) for count in options.hosts]
    report.table(
        [[row['hosts'], row['pings_per_s'], 100 * row['core'],
          row['memory_mib'], statistics.median(row['one_gone_ms']),
          max(row['one_gone_ms']), row['all_gone_first_ms'],
          row['all_gone_last_ms']] for row in found],
        ['hosts', 'pings/s', '% of a core', 'MiB', 'one gone ms', 'max',
         'all gone: first ms', 'last'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rounds': found})


if __name__ == '__main__':
    main()
