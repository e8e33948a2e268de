# SPDX-License-Identifier: Apache-2.0

import asyncio

from doctor_alarm.notifier import timeout
from doctor_alarm.tests import base

#: Never over in a test.
LONG = 300.0


async def forever():
    await asyncio.Event().wait()


class TimeoutTest(base.TestCase):

    def run_(self, work):
        return asyncio.run(asyncio.wait_for(work, 60))

    def test_returns_what_the_call_returns(self):
        async def work():
            given = timeout.Timeout(LONG)
            found = await given.run(asyncio.sleep(0, 'found'))
            self.assertEqual({}, given._ends)
            return found

        self.assertEqual('found', self.run_(work()))

    def test_errors_pass(self):
        async def fail():
            raise KeyError('own')

        async def work():
            with self.assertRaisesRegex(KeyError, 'own'):
                await timeout.Timeout(LONG).run(fail())

        self.run_(work())

    def test_what_takes_too_long_is_ended(self):
        ended = []

        async def note():
            try:
                await forever()
            finally:
                ended.append(True)

        async def work():
            with self.assertRaises(TimeoutError):
                await timeout.Timeout(0.01).run(note())
            # The task goes on as if nothing had been.
            await asyncio.sleep(0)
            return asyncio.current_task().cancelling()

        self.assertEqual(0, self.run_(work()))
        self.assertEqual([True], ended)

    def test_each_has_its_own_time(self):
        async def one(given, pause):
            await asyncio.sleep(pause)
            loop = asyncio.get_running_loop()
            started = loop.time()
            with self.assertRaises(TimeoutError):
                await given.run(forever())
            return loop.time() - started

        async def work():
            given = timeout.Timeout(0.2)
            took = await asyncio.gather(*(
                one(given, pause) for pause in (0, 0.1, 0.15, 0.5)))
            self.assertEqual({}, given._ends)
            return took

        for seconds in self.run_(work()):
            self.assertGreaterEqual(seconds, 0.199)

    def test_the_end_of_others_ends_nothing(self):
        async def work():
            given = timeout.Timeout(0.2)
            long = asyncio.create_task(given.run(forever()))
            await asyncio.sleep(0.1)
            short = [given.run(asyncio.sleep(0)) for _ in range(10)]
            await asyncio.gather(*short)
            await asyncio.wait([long])
            # Nobody is left: it does not wake up again.
            self.assertIsNone(given._timer)
            return long.exception()

        self.assertIsInstance(self.run_(work()), TimeoutError)

    def test_a_cancellation_by_others_stays_one(self):
        async def work():
            task = asyncio.create_task(timeout.Timeout(LONG).run(forever()))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        self.assertTrue(self.run_(work()))

    def test_a_cancellation_at_the_same_time_stays_one(self):
        async def work():
            given = timeout.Timeout(LONG)
            task = asyncio.create_task(given.run(forever()))
            await asyncio.sleep(0)
            given._ends[task] = 0.0
            given._check()
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        self.assertTrue(self.run_(work()))

    def test_what_comes_in_spite_of_it_counts(self):
        async def stubborn():
            try:
                await forever()
            except asyncio.CancelledError:
                return 'found'

        async def work():
            found = await timeout.Timeout(0.01).run(stubborn())
            return found, asyncio.current_task().cancelling()

        self.assertEqual(('found', 0), self.run_(work()))
