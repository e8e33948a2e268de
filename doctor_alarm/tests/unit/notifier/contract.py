# SPDX-License-Identifier: Apache-2.0
"""What every notifier plugin promises; the test of each runs it.

::

    class TestX(contract.Contract, base.TestCase):
        plugin = x.XNotifier
        schemes = ('x',)

        async def receiver(self): ...    # that takes deliveries
        cases = (...)
"""

import asyncio
import contextlib
import importlib.metadata

from doctor_alarm.notifier import base
from doctor_alarm.notifier import registry
from doctor_alarm.tests.unit.notifier import deliveries

DELIVERED = base.Status.DELIVERED
RETRY = base.Status.RETRY
REJECTED = base.Status.REJECTED

SECRET = 's3cr3t'


class Case:
    """A row of the table of retry cases.

    :param answer: what the receiver does; the plugin's test knows how
    :param retry_after: seconds that the outcome must ask for
    """

    def __init__(self, name, answer, status, *, retry_after=None,
                 answered=True, reason=''):
        self.name = name
        self.answer = answer
        self.status = status
        self.retry_after = retry_after
        self.answered = answered
        self.reason = reason


class Contract:
    """Mixed into the test case of a plugin."""

    plugin = None
    schemes = ()
    cases = ()

    @contextlib.asynccontextmanager
    async def receiver(self, answer=None):
        """Yield the URL of a receiver that answers in this way."""
        yield '%s://' % self.schemes[0]

    def with_plugin(self, work, **options):
        """Run a coroutine function with a plugin that is started."""
        async def run():
            plugin = self.plugin(deliveries.a_conf(**options))
            await plugin.start()
            try:
                return await asyncio.wait_for(work(plugin), 120)
            finally:
                await plugin.stop()
        return asyncio.run(run())

    def outcome(self, answer=None, url=None, **options):
        """Deliver once to a receiver that answers in this way."""
        async def work(plugin):
            async with self.receiver(answer) as default:
                return await plugin.deliver(
                    deliveries.a_delivery(url or default))
        return self.with_plugin(work, **options)

    def test_its_schemes_are_entry_points(self):
        found = {entry.name: entry.load()
                 for entry in importlib.metadata.entry_points(
                     group=registry.NAMESPACE)}

        for scheme in self.schemes:
            self.assertIs(self.plugin, found[scheme])

    def test_delivers(self):
        self.assertEqual(base.Outcome.delivered(), self.outcome())

    def test_delivers_many_at_once(self):
        async def work(plugin):
            async with self.receiver() as url:
                return await asyncio.gather(*(
                    plugin.deliver(deliveries.a_delivery(url))
                    for _ in range(50)))

        self.assertEqual(
            {DELIVERED}, {outcome.status for outcome in
                          self.with_plugin(work)})

    def test_stops_without_having_delivered(self):
        async def nothing(plugin):
            return 'stopped'

        self.assertEqual('stopped', self.with_plugin(nothing))

    def test_the_table_of_retry_cases(self):
        for case in self.cases:
            outcome = self.outcome(case.answer)

            self.assertEqual(
                (case.status, case.retry_after, case.answered),
                (outcome.status, outcome.retry_after, outcome.answered),
                case.name)
            self.assertIn(case.reason, outcome.reason, case.name)
            self.check_reason(outcome)

    def check_reason(self, outcome):
        """A failure has a reason: one line, no secrets."""
        if outcome.status is DELIVERED:
            return
        self.assertTrue(outcome.reason)
        self.assertTrue(outcome.reason.isprintable())
        self.assertNotIn(SECRET, outcome.reason)
