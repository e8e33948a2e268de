# SPDX-License-Identifier: Apache-2.0
"""When outcomes are committed, and in which task calls are made."""

import asyncio

import fixtures

from doctor_alarm.notifier import committing as committing_mod
from doctor_alarm.notifier import ledger
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching


class CollectTest(dispatching.DispatcherTests, base.TestCase):

    def collect(self, seconds, work):
        """Let outcomes gather while a coroutine works on them."""
        async def run():
            self.active = 10
            given = committing_mod.Committing(
                ledger.Ledger(self.conf, self.db), None, None,
                active=lambda: self.active)
            given._to_commit.set()
            collecting = asyncio.create_task(given._collect(seconds))
            await asyncio.sleep(0)
            await work(given, collecting)
            await asyncio.wait_for(collecting, 60)
            self.assertFalse(given._collecting)
        asyncio.run(run())

    def long(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.committing.COLLECTED', 1000.0))
        return 1000.0

    @staticmethod
    def step():
        return ledger.Step('lane', 'token')

    def test_outcomes_gather(self):
        async def work(given, collecting):
            given.add(self.step())
            given.add(self.step())
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertFalse(collecting.done())
            # Nobody else is called.
            self.active = 1
            given.add(self.step())

        self.collect(self.long(), work)

    def test_until_there_are_enough(self):
        async def work(given, _collecting):
            for _ in range(committing_mod.BATCH):
                given.add(self.step())

        self.collect(self.long(), work)

    def test_not_longer_than_the_commit_before(self):
        async def work(given, _collecting):
            given.add(self.step())

        self.long()
        self.collect(0.01, work)

    def test_not_longer_than_its_limit(self):
        async def work(given, _collecting):
            given.add(self.step())

        self.collect(1000.0, work)

    def test_what_is_given_back_does_not_wait(self):
        async def work(given, _collecting):
            given.give_back(self.step())

        self.collect(self.long(), work)

    def test_a_lane_alone_does_not_wait(self):
        collected = []

        async def collect(_given, seconds):
            collected.append(seconds)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.committing.Committing._collect', collect))
        lane = self.lane()
        self.a_dispatcher().wake(self.outbox.fire(lane, times=30))
        self.wait_idle()

        self.assertEqual(30, len(self.plugin.of(lane)))
        self.assertEqual([], collected)


class TaskTest(dispatching.DispatcherTests, base.TestCase):

    def test_plugins_that_never_wait_leave_the_loop_to_others(self):
        turns = []

        async def at_once(delivery):
            loop = asyncio.get_running_loop()
            turns.append(len(turns))
            loop.call_soon(turns.append, 'other')
            return dispatching.notifier.Outcome.delivered()

        self.plugin.deliver = at_once
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(*(self.lane() for _ in range(50))))
        self.wait_idle()

        # Not all calls first.
        self.assertEqual(100, len(turns))
        self.assertIn('other', turns[:25])
