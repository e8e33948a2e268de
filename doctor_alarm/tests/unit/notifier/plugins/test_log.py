# SPDX-License-Identifier: Apache-2.0

import logging

import fixtures

from doctor_alarm.notifier.plugins import log
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.notifier import contract
from doctor_alarm.tests.unit.notifier import deliveries


class TestLogNotifier(contract.Contract, base.TestCase):
    plugin = log.LogNotifier
    schemes = ('log',)

    def test_one_line_that_names_alarm_and_message(self):
        logged = self.useFixture(fixtures.FakeLogger(
            log.LOG.name, level=logging.INFO))

        async def work(plugin):
            await plugin.deliver(deliveries.a_delivery(
                'log://', reason='first\nsecond'))
        self.with_plugin(work)

        line, = logged.output.splitlines()
        for expected in ('a1', 'm1', 'p1', 'from ok to alarm',
                         'first second', 'sequence 7'):
            self.assertIn(expected, line)
