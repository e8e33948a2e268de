# SPDX-License-Identifier: Apache-2.0

import socket
import threading
import time

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm import guard
from doctor_alarm.tests import base


def a_guard(**options):
    conf = cfg.ConfigOpts()
    project_conf.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    for name, value in options.items():
        conf.set_override(name, value, group='notifier')
    return guard.make(conf)


class AddressTest(base.TestCase):

    def test_blocked_by_default(self):
        for address in (
                '127.0.0.1', '127.8.8.8', '0.0.0.0',    # noqa: S104
                '169.254.169.254', '100.100.100.200', '::', '::1',
                'fe80::1', 'fe80::1%eth0', 'fd00:ec2::254',
                # the same in other words
                '::ffff:127.0.0.1', '::ffff:169.254.169.254',
                '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1',
                '64:ff9b:1::a9fe:a9fe', '::169.254.169.254'):
            self.assertFalse(a_guard().permits(address), address)

    def test_permitted_by_default(self):
        for address in ('10.0.0.5', '192.168.1.1', '172.16.0.1', '192.0.2.7',
                        '2001:db8::1', 'fd12::1', '64:ff9b::a00:5',
                        '::ffff:192.0.2.7', '64:ff9b:1::a00:5'):
            self.assertTrue(a_guard().permits(address), address)

    def test_exceptions(self):
        given = a_guard(blocked_networks=['10.0.0.0/8', 'fd00::/8'],
                        allowed_networks=['10.1.0.0/16', 'fd01::5/128'])

        self.assertEqual(
            [False, True, True, False, True],
            list(map(given.permits, (
                '10.2.0.1', '10.1.0.1', '::ffff:10.1.0.1', 'fd01::6',
                'fd01::5'))))

    def test_loopback_can_be_an_exception(self):
        given = a_guard(allowed_networks=['127.0.0.0/8', '::1/128'])

        for address in ('127.0.0.1', '::1', '::ffff:127.0.0.1'):
            self.assertTrue(given.permits(address), address)
        self.assertFalse(given.permits('::'))

    def test_what_is_no_address(self):
        self.assertFalse(a_guard().permits('localhost'))

    def test_what_is_no_network(self):
        for name in ('blocked_networks', 'allowed_networks'):
            error = self.assertRaises(
                exception.ConfigurationError, a_guard,
                **{name: ['10.0.0.1/8']})

            self.assertIn('[notifier] ' + name, str(error))
            self.assertIn('10.0.0.1/8', str(error))


class HostTest(base.TestCase):

    def names(self, **names):
        """Let these be all the names that there are."""
        def look_up(host, _port, **_options):
            if host not in names:
                raise socket.gaierror(socket.EAI_NONAME, 'unknown')
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', (a, 0))
                    for a in names[host]]
        self.useFixture(fixtures.MonkeyPatch('socket.getaddrinfo', look_up))

    def test_an_address(self):
        self.assertFalse(a_guard().permits_host('169.254.169.254'))
        self.assertTrue(a_guard().permits_host('192.0.2.7'))

    def test_one_of_the_addresses_is_enough(self):
        self.names(good=['192.0.2.7'], bad=['192.0.2.7', '127.0.0.1'])

        self.assertTrue(a_guard().permits_host('good'))
        self.assertFalse(a_guard().permits_host('bad'))

    def test_short_forms_of_addresses_are_looked_up(self):
        for host in ('2130706433', '127.1', '0x7f.1', 'localhost'):
            self.assertFalse(a_guard().permits_host(host), host)

    def test_a_name_that_is_not_known_yet(self):
        self.names()

        self.assertTrue(a_guard().permits_host('later.example'))
        self.assertTrue(a_guard().permits_host('x' * 300))

    def test_names_that_hang_do_not_keep_the_caller(self):
        release = threading.Event()
        self.addCleanup(release.set)
        self.useFixture(fixtures.MonkeyPatch(
            'socket.getaddrinfo', lambda *_a, **_k: release.wait()))
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.guard.LOOK_UP_TIMEOUT', 0.01))

        for _ in range(20):
            self.assertTrue(a_guard().permits_host('hangs.example'))

        # then: many of them neither
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.guard.LOOK_UP_TIMEOUT', 1))
        began = time.monotonic()
        self.assertEqual(set(), a_guard().refused(
            'h%d.example' % n for n in range(200)))
        self.assertLess(time.monotonic() - began, 100)
