# SPDX-License-Identifier: Apache-2.0

import datetime

from doctor_alarm.monitors import hosts
from doctor_alarm.monitors import icmp
from doctor_alarm.monitors import pinger
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.monitors import recorder

SETTINGS = pinger.Settings(
    interval=1.0, timeout=0.5, down_after=3, up_after=2, hold_down=0.0)


class Net:
    """Answers after a while for the addresses that are there."""

    def __init__(self):
        self.silent = set()
        self.unsendable = {}
        self.answers = []
        self.sent = []

    def send(self, address, sequence):
        if address in self.unsendable:
            raise self.unsendable[address]
        self.sent.append((address, sequence))
        if address not in self.silent:
            self.answers.append((address, sequence))

    def receive(self):
        answers, self.answers = self.answers, []
        return answers


class PingerTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.net = Net()
        self.reporter = recorder.Recorder()
        self.now = 100.0

    def given(self, *names, canaries=(), settings=SETTINGS):
        self.names = {name: '127.0.0.%d' % (number + 1)
                      for number, name in enumerate(names)}
        self.pinger = pinger.Pinger(settings, self.net, self.reporter)
        self.pinger.watch(hosts.HostList(self.names, canaries), self.now)

    def run_for(self, seconds, tick=0.05):
        """Step as the monitor does, on a clock of our own."""
        for _ in range(round(seconds / tick)):
            self.pinger.step(self.now)
            self.now += tick

    def test_a_host_goes_and_comes_back(self):
        self.given('h1', 'h2')
        self.run_for(5)
        self.assertEqual([], self.reporter.told)

        self.net.silent.add('127.0.0.1')
        began = self.now
        self.run_for(3 * 1.0 + 0.5 + 0.1)
        self.assertEqual([('host/h1', 'down')], self.reporter.take())
        self.assertEqual({'down': 1, 'up': 1}, self.pinger.count())
        self.assertLess(self.now - began, 3.7)

        self.net.silent.clear()
        self.run_for(2.1)
        self.assertEqual([('host/h1', 'up')], self.reporter.take())
        self.assertEqual({'down': 0, 'up': 2}, self.pinger.count())

    def test_it_began_with_the_first_ping_without_an_answer(self):
        self.given('h1')
        self.run_for(5)
        self.net.silent.add('127.0.0.1')
        sent = len(self.net.sent)
        while len(self.net.sent) == sent:
            self.run_for(0.05)
        began = self.now - 0.05
        while not self.reporter.findings:
            self.run_for(0.05)
        finding, = self.reporter.findings
        self.assertAlmostEqual(
            self.now - 0.05 - began,
            (finding.time - finding.occurred_at).total_seconds(), 5)
        details = finding.body('ping')['event']['details']
        self.assertEqual(
            finding.occurred_at, datetime.datetime.fromisoformat(
                details['occurred_at']))

        # and: its return has no such time
        self.net.silent.clear()
        self.reporter.take()
        while not self.reporter.findings:
            self.run_for(0.05)
        finding, = self.reporter.findings
        self.assertIsNone(finding.occurred_at)
        self.assertNotIn(
            'occurred_at', finding.body('ping')['event']['details'])

    def test_two_losses_are_not_three(self):
        self.given('h1')
        self.run_for(2)
        self.net.silent.add('127.0.0.1')
        self.run_for(2)
        self.net.silent.clear()
        self.run_for(10)

        self.assertEqual([], self.reporter.told)

    def test_pings_are_spread_over_the_interval(self):
        self.given(*['h%d' % n for n in range(100)])

        self.now += 0.025
        for _ in range(20):
            before = len(self.net.sent)
            self.run_for(0.05)
            self.assertIn(len(self.net.sent) - before, range(2, 8))

        self.run_for(0.1)
        self.assertEqual(100, len({address for address, _ in self.net.sent}))

    def test_what_was_not_running_has_lost_nothing(self):
        """The process is stopped: answers that wait are answers."""
        self.given('h1')
        self.run_for(2)
        self.pinger.step(self.now)
        for _ in range(10):
            self.now += 60
            self.pinger.step(self.now)

        self.assertEqual([], self.reporter.told)

    def test_what_was_missed_is_not_made_up_for(self):
        self.given('h1')
        self.run_for(1)
        self.now += 600
        before = len(self.net.sent)
        self.run_for(1)

        self.assertIn(len(self.net.sent) - before, (1, 2))

    def test_an_answer_of_somebody_else_does_not_count(self):
        self.given('h1')
        self.net.silent.add('127.0.0.1')
        for _ in range(100):
            self.run_for(0.05)
            self.net.answers = [
                ('127.0.0.9', sequence) for _to, sequence in self.net.sent
            ] + [('127.0.0.1', 60000)]

        self.assertEqual([('host/h1', 'down')], self.reporter.told)

    def test_an_answer_counts_once(self):
        self.given('h1')
        self.run_for(1)
        old = self.net.sent[0]
        self.net.silent.add('127.0.0.1')
        for _ in range(100):
            self.run_for(0.05)
            self.net.answers = [old]

        self.assertEqual([('host/h1', 'down')], self.reporter.told)

    def test_what_can_not_be_sent_is_lost(self):
        self.given('h1')
        self.net.unsendable['127.0.0.1'] = icmp.Unsent(
            'Network is unreachable', ours=False)
        self.run_for(2.2)

        self.assertEqual([('host/h1', 'down')], self.reporter.told)
        self.assertIn('Network is unreachable',
                      self.reporter.findings[0].cause)

    def test_what_we_can_not_send_says_nothing(self):
        self.given('h1')
        self.net.unsendable['127.0.0.1'] = icmp.Unsent(
            'No buffer space available', ours=True)
        self.run_for(20)

        self.assertEqual([], self.reporter.told)

    def test_a_monitor_that_is_cut_off_reports_nothing(self):
        self.given('h1', 'h2', canaries=('127.9.9.9',))
        self.run_for(3)
        self.net.silent.update(['127.0.0.1', '127.0.0.2', '127.9.9.9'])
        self.run_for(20)
        self.assertEqual([], self.reporter.told)

        # the net is back, but for one host
        self.net.silent = {'127.0.0.2'}
        self.run_for(6)
        self.assertEqual([('host/h2', 'down')], self.reporter.take())

    def test_one_canary_is_enough(self):
        self.given('h1', canaries=('127.9.9.8', '127.9.9.9'))
        self.run_for(3)
        self.net.silent.update(['127.0.0.1', '127.9.9.9'])
        self.run_for(4)

        self.assertEqual([('host/h1', 'down')], self.reporter.told)

    def test_a_canary_is_no_host(self):
        self.given('h1', canaries=('127.9.9.9',))
        self.net.silent.add('127.9.9.9')
        self.run_for(20)

        self.assertEqual([], self.reporter.told)
        self.assertEqual({'down': 0, 'up': 1}, self.pinger.count())

    def test_another_list(self):
        self.given('h1', 'h2', 'h3')
        self.net.silent.update(['127.0.0.1', '127.0.0.2'])
        self.run_for(4)
        self.assertEqual({('host/h1', 'down'), ('host/h2', 'down')},
                         set(self.reporter.take()))

        # h1 stays, h2 goes, h3 gets another address, h4 comes
        self.net.silent.add('127.0.0.5')
        self.pinger.watch(hosts.HostList({
            'h1': '127.0.0.1', 'h3': '127.0.0.5', 'h4': '127.0.0.4'}),
            self.now)
        self.run_for(4)

        self.assertEqual([('host/h3', 'down')], self.reporter.take())
        self.assertEqual(['host/h2'], self.reporter.forgotten)
        self.assertEqual({'down': 2, 'up': 1}, self.pinger.count())

    def test_what_was_down_before_this_process(self):
        self.reporter.known.add('host/h1')
        self.given('h1', 'h2')
        self.net.silent.add('127.0.0.2')
        self.run_for(4)

        self.assertEqual({('host/h1', 'up'), ('host/h2', 'down')},
                         set(self.reporter.told))

    def test_numbers_begin_again(self):
        self.given('h1')
        self.pinger._sequence = 65534
        self.run_for(5)
        self.assertEqual([65535, 0, 1], [
            sequence for _to, sequence in self.net.sent[:3]])
        self.assertEqual([], self.reporter.told)

    def test_more_under_way_than_there_are_numbers(self):
        self.given('h1', settings=pinger.Settings(
            interval=0.1, timeout=60.0, down_after=3, up_after=1,
            hold_down=0.0))
        self.net.silent.add('127.0.0.1')
        for _ in range(4):
            self.run_for(0.1)
            self.pinger._sequence = 0

        self.assertEqual([('host/h1', 'down')], self.reporter.told)
