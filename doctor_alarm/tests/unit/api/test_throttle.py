# SPDX-License-Identifier: Apache-2.0

import fixtures

from doctor_alarm.api import throttle
from doctor_alarm.tests import base

EVE = ('192.0.2.1', 'alice')


class ThrottleTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.log = self.useFixture(fixtures.FakeLogger())
        self.throttle = self.make(3)

    def make(self, free):
        return throttle.Throttle(free, lambda: self.now)

    def fail(self, times, who=EVE):
        for _time in range(times):
            self.throttle.failed(who)

    def test_pauses_grow_up_to_a_minute(self):
        self.fail(2)
        self.assertEqual(0, self.throttle.pause(EVE))

        seen = []
        for _time in range(9):
            self.fail(1)
            seen.append(self.throttle.pause(EVE))
            self.now += seen[-1]
            self.assertEqual(0, self.throttle.pause(EVE))
        self.assertEqual([1, 2, 4, 8, 16, 32, 60, 60, 60], seen)

        self.fail(2000)
        self.assertEqual(60, self.throttle.pause(EVE))

    def test_others_do_not_wait(self):
        self.fail(9)

        for other in (('192.0.2.2', 'alice'), ('192.0.2.1', 'bob')):
            self.assertEqual(0, self.throttle.pause(other))

    def test_who_succeeds_begins_anew(self):
        self.fail(2)
        self.throttle.passed(EVE)
        self.fail(2)

        self.assertEqual(0, self.throttle.pause(EVE))

    def test_failures_are_forgotten(self):
        self.fail(2)
        self.now += throttle.MEMORY + 1
        self.fail(2)

        self.assertEqual(0, self.throttle.pause(EVE))

    def test_memory_is_bounded(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.api.throttle.CAPACITY', 10))
        self.fail(3)
        for number in range(9):
            self.fail(3, ('192.0.2.1', str(number)))
        self.assertEqual(1, self.throttle.pause(EVE))
        self.fail(1)

        # then: it is not the first that goes, but the longest ago
        self.fail(3, ('192.0.2.1', 'one more'))

        self.assertEqual(2, self.throttle.pause(EVE))
        self.assertEqual(0, self.throttle.pause(('192.0.2.1', '0')))
        self.assertEqual(10, len(self.throttle._records))

    def test_it_can_be_off(self):
        self.throttle = self.make(0)
        self.fail(100)

        self.assertEqual(0, self.throttle.pause(EVE))

    def test_the_log_tells_once(self):
        self.fail(9)

        line, = self.log.output.splitlines()
        self.assertIn('192.0.2.1 as alice', line)


class WhoTest(base.TestCase):

    def test_addresses(self):
        for address, expected in [
                ('192.0.2.1', '192.0.2.1'),
                ('::ffff:192.0.2.1', '192.0.2.1'),
                ('2001:db8:1:2:3::4', '2001:db8:1:2::/64'),
                ('[2001:db8:1:2::5]', '2001:db8:1:2::/64'),
                ('fe80::1%eth0', 'fe80::/64'),
                ('192.0.2.1:4711', '192.0.2.1'),
                ('[2001:db8:1:2::5]:4711', '2001:db8:1:2::/64'),
                ('[fe80::1%eth0]:4711', 'fe80::/64'),
                ('unknown', 'unknown'), ('x' * 999, 'x' * 64)]:
            self.assertEqual((expected, 'a'), throttle.who(address, 'a'))
        self.assertEqual(('', 'n' * 64), throttle.who('', 'n' * 99))


class ClientTest(base.TestCase):

    def client(self, proxied=True, **environ):
        return throttle.client(
            {'REMOTE_ADDR': '192.0.2.1', **environ}, proxied)

    def test_without_a_proxy_nobody_is_believed(self):
        self.assertEqual('192.0.2.1', self.client(
            False, HTTP_X_FORWARDED_FOR='9.9.9.9',
            HTTP_FORWARDED='for=9.9.9.9'))
        self.assertEqual('', throttle.client({}, False))

    def test_what_the_proxy_adds_counts(self):
        for number in range(3):
            # REMOTE_ADDR is what the middleware made of the header.
            claimed = '10.0.0.%d' % number
            said = claimed + ', 192.0.2.7'
            self.assertEqual('192.0.2.7', self.client(
                REMOTE_ADDR=said, HTTP_X_FORWARDED_FOR=said,
                HTTP_FORWARDED='for=' + claimed))
            self.assertEqual('192.0.2.7:1', self.client(
                REMOTE_ADDR=claimed, HTTP_FORWARDED=(
                    'for=%s, proto=https;For="192.0.2.7:1"' % claimed)))

    def test_a_proxy_that_says_nothing(self):
        for headers in ({}, {'HTTP_FORWARDED': 'proto=https'},
                        {'HTTP_X_FORWARDED_FOR': ''}):
            self.assertEqual('192.0.2.1', self.client(**headers))
