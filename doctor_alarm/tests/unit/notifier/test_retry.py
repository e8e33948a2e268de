# SPDX-License-Identifier: Apache-2.0

from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier import retry
from doctor_alarm.tests import base

HOUR = 3600 * 1000000


class PolicyTest(base.TestCase):

    def setUp(self):
        super().setUp()
        conf = cfg.ConfigOpts()
        project_conf.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        self.policy = retry.Policy(conf, rand=lambda low, high: 1.0)
        self.conf = conf

    def test_delivered(self):
        decision = self.policy.decide(notifier.Outcome.delivered(), 1, 0)

        self.assertEqual(('delivered', None, None), (
            decision.status, decision.error, decision.pause))

    def test_rejected_is_dead_at_once(self):
        decision = self.policy.decide(
            notifier.Outcome.rejected('HTTP 404'), 1, 0)

        self.assertEqual(('dead', 'HTTP 404', None), (
            decision.status, decision.error, decision.pause))

    def test_a_failure_stays_pending_with_its_reason(self):
        decision = self.policy.decide(
            notifier.Outcome.retry('HTTP 503'), 1, 0)

        self.assertEqual(('pending', 'HTTP 503', 1.0), (
            decision.status, decision.error, decision.pause))

    def test_pauses_double_up_to_the_longest(self):
        self.assertEqual(
            [1, 2, 4, 8, 16, 32, 60, 60],
            [self.policy.pause(n) for n in range(1, 9)])
        self.assertEqual(60, self.policy.pause(10 ** 6))

    def test_pauses_vary_by_a_fifth(self):
        policy = retry.Policy(self.conf)
        pauses = {policy.pause(3) for _ in range(200)}

        self.assertGreater(len(pauses), 100)
        self.assertGreaterEqual(min(pauses), 4 * 0.8)
        self.assertLessEqual(max(pauses), 4 * 1.2)

    def test_retry_after(self):
        for asked, failures, expected in (
                (30, 1, 30), (0, 1, 1), (2, 7, 60), (10 ** 9, 1, 600)):
            decision = self.policy.decide(
                notifier.Outcome.retry('x', retry_after=asked), failures, 0)

            self.assertEqual(expected, decision.pause)

    def test_a_failure_of_an_old_delivery_ends_it(self):
        outcome = notifier.Outcome.retry('no connection', answered=False)

        self.assertEqual(
            'pending', self.policy.decide(outcome, 9, 24 * HOUR).status)
        decision = self.policy.decide(outcome, 9, 24 * HOUR + 1)

        self.assertEqual(
            ('dead', 'given_up', None,
             'given up after 9 attempts: no connection'),
            (decision.status, decision.label, decision.pause,
             decision.error))
