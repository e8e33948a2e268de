# SPDX-License-Identifier: Apache-2.0
"""The services on queues of their own beside those of another cloud."""

from doctor_alarm.tests.functional import scenario


class TestPools(scenario.Story):

    extra = ('wakeup_pool = second.wakeup\n'
             '[evaluator]\nevent_pool = second.event\n')

    def test_a_second_one_hears_what_the_first_one_hears(self):
        alarm = self.given_alarm('vm1')
        self.when('vm1', 'error')
        self.expect(alarm, 'alarm')
        # then: its queues have the names of its pools
        self.wait_until(lambda: self.cloud.waiting('second.event') == 0)
        self.assertEqual(0, self.cloud.waiting('second.wakeup'))
        # then: the first one still has the event before it
        self.assertEqual(
            1, self.cloud.waiting('doctor_alarm.event.sample'))
