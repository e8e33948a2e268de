# SPDX-License-Identifier: Apache-2.0

import fixtures

from doctor_alarm.notifier.plugins import test
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.notifier import contract
from doctor_alarm.tests.unit.notifier import deliveries


class TestTestNotifier(contract.Contract, base.TestCase):
    plugin = test.TestNotifier
    schemes = ('test',)

    def test_keeps_the_bodies_in_order(self):
        async def work(plugin):
            for sequence in (1, 2):
                await plugin.deliver(
                    deliveries.a_delivery(sequence=sequence))
            return plugin.received

        self.assertEqual(
            [1, 2], [body['sequence'] for body in self.with_plugin(work)])

    def test_forgets_the_oldest(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.plugins.test.LIMIT', 3))

        async def work(plugin):
            for sequence in range(5):
                await plugin.deliver(
                    deliveries.a_delivery(sequence=sequence))
            return plugin.received

        self.assertEqual(
            [2, 3, 4], [body['sequence'] for body in self.with_plugin(work)])
