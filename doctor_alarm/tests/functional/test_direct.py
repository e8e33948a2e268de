# SPDX-License-Identifier: Apache-2.0
"""An agent that evaluates in its own process."""

import os

import fixtures

from doctor_alarm.tests.functional import scenario

PIPELINE = """
sources:
  - name: all
    events: ['*']
    sinks: [alarms]
sinks:
  - name: alarms
    publishers: ['direct://']
"""


class TestDirect(scenario.Story):

    parts = ('agent', 'notifier', 'api')

    def setUp(self):
        # Written before the agent starts, read by it alone.
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'event_pipeline.yaml')
        with open(path, 'w') as pipeline:
            pipeline.write(PIPELINE)
        self.extra = '[DEFAULT]\nevent_pipeline_cfg_file = %s\n' % path
        super().setUp()

    def test_without_an_evaluator(self):
        alarm = self.given_alarm('vm1')
        self.when('vm1', 'error')
        self.when('vm1', 'active')
        self.expect(alarm, 'alarm', 'ok')

    def test_acknowledged_after_the_commit(self):
        first, alarm = self.given_alarm('vm0'), self.given_alarm('vm1')
        self.when('vm0', 'error')
        self.expect(first, 'alarm')
        self.cloud.database.stop()
        self.when('vm1', 'error')
        self.wait_until(lambda: 'The commit failed' in self.cloud.log(
            'agent'), 60)
        self.cloud.kill('agent')
        self.cloud.database.start()
        self.cloud.start('agent')
        self.expect(alarm, 'alarm')

    def test_an_absence_is_told_without_any_event(self):
        alarm = self.given_alarm(
            event_rule={'event_type': 'heartbeat', 'timeout': 1})
        self.expect(alarm, 'alarm')
