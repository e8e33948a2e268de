# SPDX-License-Identifier: Apache-2.0
"""Hosts that are pinged for real, in a network of our own.

This runs in a network namespace that has a loopback device and nothing else,
see test_ping.py: hosts are addresses of it, which can be taken away.
"""

import json
import pathlib
import re
import signal
import subprocess
import sys

import fixtures

from doctor_alarm import fault
from doctor_alarm.tests import base
from doctor_alarm.tests import eventapi
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import receiver

DOWN, UP = fault.HOST_DOWN, fault.HOST_UP
SYSCTL = pathlib.Path('/proc/sys/net/ipv4')


def ip(*arguments):
    subprocess.run(['ip', *arguments], check=True, capture_output=True)


class Network(fixtures.Fixture):
    """Loopback with one address for each host, to be taken away."""

    def _setUp(self):
        ip('link', 'set', 'lo', 'up')
        # Every address of 127.0.0.0/8 would answer otherwise.
        ip('address', 'flush', 'dev', 'lo')
        for address in ('127.0.0.1', '::1'):
            self.add(address)
        self.addCleanup(self.silence, False)
        self.addCleanup(self.allow, False)

    def add(self, address):
        ip('address', 'add', self._full(address), 'dev', 'lo')

    def take(self, address):
        ip('address', 'del', self._full(address), 'dev', 'lo')

    def _full(self, address):
        return address + ('/128' if ':' in address else '/32')

    def silence(self, silent):
        """Let nobody answer, though everybody is there."""
        (SYSCTL / 'icmp_echo_ignore_all').write_text('%d\n' % silent)

    def allow(self, allowed):
        """Let everybody ping, over datagram sockets."""
        (SYSCTL / 'ping_group_range').write_text(
            '0\t0\n' if allowed else '1\t0\n')


class Monitor(fixtures.Fixture):
    """The process doctor-alarm-monitor."""

    def __init__(self, endpoint, *plugins):
        self._endpoint = endpoint
        self._plugins = plugins or ('ping',)

    def _setUp(self):
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.hosts_file = self.folder / 'hosts.yaml'
        self.config = self.folder / 'test.conf'
        self.state_file = self.folder / 'state'
        self.log_file = self.folder / 'log'
        self.log_file.touch()
        self.child = None
        self.addCleanup(self.end, signal.SIGKILL)

    def configure(self, hosts, monitor='', ping=''):
        self.hosts_file.write_text(json.dumps(hosts))
        self.config.write_text(
            '[monitor]\nendpoint = %s\nstate_file = %s\nretry_initial = 0.1\n'
            'retry_max = 0.5\n%s\n'
            # Losses have a second to be none on a busy machine.
            '[monitor_ping]\nhosts_file = %s\ninterval = 0.1\ntimeout = 1\n'
            'hold_down = 0\n%s\n' % (self._endpoint, self.state_file,
                                     monitor, self.hosts_file, ping))

    def start(self, *before):
        with self.log_file.open('ab') as log:
            self.child = subprocess.Popen(
                [*before, sys.executable, '-m', 'doctor_alarm.cmd.monitor',
                 '--config-file', str(self.config), *self._plugins],
                stdout=log, stderr=subprocess.STDOUT)

    @property
    def log(self):
        if self.child.poll() not in (None, 0):
            raise AssertionError(self.log_file.read_text())
        return self.log_file.read_text()

    def end(self, number=signal.SIGTERM):
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)
            return self.child.wait(60)

    def at_work(self, times=1):
        return self.log.count(' works') == times


class Story(base.TestCase):

    def setUp(self):
        super().setUp()
        self.network = self.useFixture(Network())

    def given_hosts(self, **hosts):
        for address in hosts.values():
            if address not in ('127.0.0.1', '::1'):
                self.network.add(address)
        self.hosts = hosts

    def given_monitor(self, endpoint, **options):
        self.monitor = self.useFixture(Monitor(endpoint))
        self.monitor.configure(self.hosts, **options)
        self.monitor.start()
        self.wait_until(self.monitor.at_work)


class PingTest(Story):

    def setUp(self):
        super().setUp()
        self.api = self.useFixture(eventapi.EventApi())

    def told(self, *expected):
        self.wait_until(lambda: self.api.told == list(expected),
                        message=lambda: '%s\n%s' % (
                            self.api.told, self.monitor.log))

    def given_ping(self, **options):
        self.given_hosts(h1='127.0.0.2', h2='127.0.0.3')
        self.given_monitor(self.api.endpoint, **options)

    def play(self):
        self.network.take('127.0.0.2')
        self.told(('h1', DOWN))
        self.network.add('127.0.0.2')
        self.told(('h1', DOWN), ('h1', UP))
        self.assertEqual(0, self.monitor.end())

    def test_over_raw_sockets(self):
        self.given_ping()
        self.assertIn('over raw sockets', self.monitor.log)
        self.play()

    def test_over_datagram_sockets(self):
        self.network.allow(True)
        self.given_ping()
        self.assertIn('over datagram sockets', self.monitor.log)
        self.play()

    def test_both_versions_of_ip(self):
        self.given_hosts(h4='127.0.0.2', h6='::1')
        self.given_monitor(self.api.endpoint)
        self.network.take('::1')
        self.told(('h6', DOWN))
        self.network.add('::1')
        self.told(('h6', DOWN), ('h6', UP))

    def test_hosts_that_do_not_answer(self):
        self.given_ping()
        self.network.silence(True)
        self.wait_until(lambda: sorted(self.api.told) == [
            ('h1', DOWN), ('h2', DOWN)])
        self.network.silence(False)
        self.wait_until(lambda: sorted(self.api.told) == [
            ('h1', DOWN), ('h1', UP), ('h2', DOWN), ('h2', UP)])
        cause = self.api.events[0]['details']['cause']
        self.assertTrue(re.match('no answer to 3 pings of 127', cause), cause)

    def test_a_monitor_that_is_cut_off(self):
        self.given_ping(ping='canaries = 127.0.0.1')
        self.network.silence(True)
        # then: three times as long as a host has
        self.wait_until(lambda: self.monitor.child.poll() is not None
                        or self.cut_off_for(30))
        self.network.silence(False)
        self.network.take('127.0.0.3')
        self.told(('h2', DOWN))

    def cut_off_for(self, rounds):
        """Say whether so many answers were missed, as the kernel counts."""
        lines = pathlib.Path('/proc/net/snmp').read_text().splitlines()
        names, values = (line.split() for line in lines
                         if line.startswith('Icmp:'))
        count = dict(zip(names[1:], map(int, values[1:]), strict=True))
        missed = count['InEchos'] - count['OutEchoReps']
        return missed > rounds * 3

    def test_another_list(self):
        self.given_ping()
        self.monitor.configure({'h1': '127.0.0.2', 'h3': '127.0.0.4'})
        self.monitor.child.send_signal(signal.SIGHUP)
        # nobody has the address of h3, and h2 is no longer ours
        self.told(('h3', DOWN))
        self.network.take('127.0.0.3')
        self.network.take('127.0.0.2')
        self.told(('h3', DOWN), ('h1', DOWN))

    def test_a_list_that_is_wrong_changes_nothing(self):
        self.given_ping()
        self.monitor.hosts_file.write_text('{"h1": ')
        self.monitor.child.send_signal(signal.SIGHUP)
        self.wait_until(lambda: 'stays as it was' in self.monitor.log)
        self.play()

    def test_a_monitor_that_was_away_when_the_host_came_back(self):
        self.given_ping()
        self.network.take('127.0.0.2')
        self.told(('h1', DOWN))
        self.wait_until(
            lambda: 'host/h1' in self.monitor.state_file.read_text())
        self.monitor.end(signal.SIGKILL)
        self.network.add('127.0.0.2')
        self.monitor.start()

        self.told(('h1', DOWN), ('h1', UP))

    def test_a_monitor_that_was_restarted_does_not_repeat(self):
        self.given_ping()
        self.network.take('127.0.0.2')
        self.told(('h1', DOWN))
        self.wait_until(
            lambda: 'host/h1' in self.monitor.state_file.read_text())
        self.assertEqual(0, self.monitor.end())
        self.monitor.start()
        self.wait_until(lambda: self.monitor.at_work(2))
        self.network.take('127.0.0.3')

        # then: the second fault is the next that is told
        self.told(('h1', DOWN), ('h2', DOWN))

    def test_what_is_found_while_the_event_api_is_away(self):
        self.given_ping()
        self.api.stop()
        self.network.take('127.0.0.2')
        self.wait_until(
            lambda: 'does not take findings' in self.monitor.log)
        self.network.add('127.0.0.2')
        self.network.take('127.0.0.3')
        self.api.start()
        self.wait_until(lambda: ('h2', DOWN) in self.api.told)

        self.assertEqual(('h1', DOWN), self.api.told[0])

    def test_the_end_waits_for_what_was_found(self):
        self.given_ping(monitor='drain_timeout = 60')
        self.api.hang()
        self.network.take('127.0.0.2')
        self.wait_until(lambda: len(self.api._server._open) == 1)
        self.monitor.child.terminate()
        self.api.release()

        self.assertEqual(0, self.monitor.child.wait(60))
        self.assertEqual([('h1', DOWN)], self.api.told)

    def refused(self, *before):
        self.monitor.start(*before)
        self.assertEqual(1, self.monitor.child.wait(60))
        text = self.monitor.log_file.read_text()
        errors = [line for line in text.splitlines()
                  if line.startswith('ERROR: ')]
        self.assertEqual(1, len(errors), text)
        self.assertNotIn('Traceback', text)
        return errors[0]

    def test_without_the_right_to_ping(self):
        self.given_hosts(h1='127.0.0.2')
        self.monitor = self.useFixture(Monitor(self.api.endpoint))
        self.monitor.configure(self.hosts)
        line = self.refused('setpriv', '--bounding-set=-net_raw',
                            '--inh-caps=-net_raw')

        self.assertIn('net.ipv4.ping_group_range', line)
        self.assertIn('CAP_NET_RAW', line)

    def test_options_that_can_not_work(self):
        for plugin, ping, complaint in (
                ('ping', 'hosts_file =', 'name no host'),
                ('ping', 'hosts_file = /none', 'No such file'),
                ('ping', 'interval = 0.01', 'interval'),
                ('pong', '', 'installed are: libvirt, nova_service, ping'),
                ('nova_service', '', 'auth_type')):
            self.monitor = self.useFixture(Monitor(
                self.api.endpoint, plugin))
            self.monitor.configure({'h1': '127.0.0.1'}, ping=ping)
            self.assertIn(complaint, self.refused())


class EndToEndTest(Story):
    """From the host to the receiver, through a service without a bus."""

    def test_a_host_dies_and_returns(self):
        service = self.useFixture(test_standalone.Standalone())
        service.start()
        self.wait_until(lambda: service.up)
        target = self.useFixture(receiver.Receiver())
        answer = service.api('POST', '/v2/alarms', {
            'name': 'a host is down', 'type': 'event',
            'event_rule': {
                'scope': 'cloud', 'event_type': DOWN,
                'clear': {'event_type': UP}},
            'alarm_actions': [target.url], 'ok_actions': [target.url]})
        self.assertEqual(201, answer.status_code, answer.text)
        alarm = answer.json()['alarm_id']
        self.given_hosts(**{'compute-1': '127.0.0.2',
                            'compute-2': '127.0.0.3'})
        self.given_monitor(service.url)

        def told(*states):
            self.wait_until(
                lambda: [body['current'] for body in target.of(alarm)]
                == list(states), message=lambda: self.monitor.log)

        self.network.take('127.0.0.2')
        told('alarm')
        self.network.add('127.0.0.2')
        told('alarm', 'ok')

        event = target.of(alarm)[0]['reason_data']['event']
        traits = {name: value for name, _kind, value in event['traits']}
        self.assertEqual(DOWN, event['event_type'])
        self.assertEqual(('compute-1', 'down', 'critical'), tuple(
            traits[name] for name in ('hostname', 'status', 'severity')))
