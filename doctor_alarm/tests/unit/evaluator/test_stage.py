# SPDX-License-Identifier: Apache-2.0

import threading
import time
import types

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import stage
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.tests import amqp_broker
from doctor_alarm.tests import base
from doctor_alarm.tests import outbox
from doctor_alarm.tests import storage


class Publisher:
    """Sends nothing: raises what it is told to."""

    def __init__(self):
        self.error = None
        self.sent = []

    def publish(self, hint):
        if self.error:
            raise self.error(topic='wake', reason='told so')
        self.sent.append(hint)


class Neighbours:
    """Has none, or takes everything."""

    def __init__(self):
        self.told = None

    def tell(self, hint):
        if self.told is None:
            return False
        self.told.append(hint)
        return True


class HintsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage()).db
        self.outbox = outbox.Outbox(self.db, enclosing=True)
        self.publisher = Publisher()
        self.neighbours = Neighbours()
        self.hints = stage.Hints(self.publisher, self.neighbours, self.db)

    def fire(self):
        return self.outbox.fire(self.outbox.lane('test://r/x'))

    def due(self):
        """Lanes that the sweep may take."""
        with self.db.reader() as conn:
            return conn.execute(
                sa.select(models.lane.c.token)
                .where(models.lane.c.due <= self.db.now())).scalars().all()

    def test_what_was_sent_is_somebodys(self):
        hint = self.fire()
        self.hints.send([hint])
        self.assertEqual(([hint], []), (self.publisher.sent, self.due()))

    def test_what_a_neighbour_takes_is_not_sent(self):
        self.neighbours.told = []
        hint = self.fire()
        self.hints.send([hint])
        self.assertEqual(([hint], []), (
            self.neighbours.told, self.publisher.sent))

    def test_a_neighbour_needs_no_broker(self):
        """While the broker is silent it is still told at once."""
        self.publisher.error = exception.PublishFailed
        self.hints.send([self.fire()])
        self.neighbours.told = []
        hint = self.fire()
        self.hints.send([hint])
        self.assertEqual([hint], self.neighbours.told)

    def test_where_nobody_listens_the_sweep_gets_it(self):
        self.publisher.error = exception.PublishFailed
        self.hints.send([self.fire()])
        self.assertEqual([None], self.due())

    def test_what_may_have_arrived_keeps_its_lease(self):
        """A notifier that got it is calling; another one would call too."""
        self.publisher.error = exception.PublishInDoubt
        self.hints.send([self.fire()])
        self.assertEqual([], self.due())
        self.assertIsNotNone(self.outbox.lanes()[0].token)

    def test_after_a_doubt_the_next_one_is_sent(self):
        self.publisher.error = exception.PublishInDoubt
        self.hints.send([self.fire()])
        self.publisher.error = None
        hint = self.fire()
        self.hints.send([hint])
        self.assertEqual([hint], self.publisher.sent)

    def test_behind_a_broker_that_hangs_nobody_waits(self):
        clock = types.SimpleNamespace(now=100.0)
        clock.monotonic = lambda: clock.now

        def hang(hint):
            self.publisher.sent.append(hint)
            clock.now += 10
            raise exception.PublishInDoubt(topic='wake', reason='told so')

        first, second = self.fire(), self.fire()
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.stage.time', clock))
        self.publisher.publish = hang
        self.hints.send([first, second])
        self.assertEqual([first], self.publisher.sent)

        # It is asked again when as much time has passed as it took.
        clock.now += 10
        self.hints.send([second])
        self.assertEqual([first, second], self.publisher.sent)

    def test_to_one_that_can_not_be_reached_nobody_connects_soon(self):
        clock = types.SimpleNamespace(now=100.0)
        clock.monotonic = lambda: clock.now

        def fail(hint):
            clock.now += 5
            raise exception.PublishFailed(topic='wake', reason='told so')

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.stage.time', clock))
        self.publisher.publish = fail
        self.hints.send([self.fire()])
        clock.now += 4

        self.hints.send([self.fire() for _ in range(3)])

        self.assertEqual(109, clock.now)
        self.assertEqual([None] * 4, self.due())

    def test_lanes_that_can_not_be_handed_over_are_nobodys_fault(self):
        """Else an event that was committed would be a dead letter."""
        self.publisher.error = exception.PublishFailed
        hint = self.fire() | {'lanes': [None]}
        self.hints.send([hint])
        self.assertEqual([], self.due())


class WakeTest(base.TestCase):

    hint = {'lanes': [['a', 'b']], 'lease_until': 1, 'committed_at': 1,
            'deliveries': [[]], 'bodies': {'m': '{}'}}

    def setUp(self):
        super().setUp()
        conf = self.useFixture(storage.Storage()).conf
        self.busy = True
        self.stage = stage.Stage(
            conf, letters=None, stopping=None, source='test',
            busy=lambda: self.busy)
        self.addCleanup(self.stage._db.dispose)
        self.addCleanup(self.stage._hints.stop)
        self.publisher = self.stage._sender._publisher = Publisher()

    def queued(self):
        hints = self.stage._hints
        return [hints._queue.get() for _ in range(hints.waiting)]

    def test_while_many_wait_nothing_is_enclosed(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.stage.ENCLOSING', 2))

        for _ in range(4):      # nobody sends yet
            self.stage._wake(self.hint)

        plain = {'lanes': [['a', 'b']], 'lease_until': 1, 'committed_at': 1}
        self.assertEqual(
            [self.hint, self.hint, plain, plain], self.queued())

    def test_while_events_wait_the_thread_sends(self):
        self.stage._sender.send([self.hint])
        self.stage._wake(self.hint)
        self.assertEqual((1, 1), (
            len(self.publisher.sent), len(self.queued())))

    def test_while_nothing_waits_it_is_sent_at_once(self):
        self.stage._sender.send([self.hint])
        self.busy = False
        self.stage._wake(self.hint)
        self.assertEqual((2, 0), (
            len(self.publisher.sent), len(self.queued())))

    def test_a_broker_in_trouble_is_left_to_the_thread(self):
        """Events do not wait for what it may take to give up."""
        self.busy = False
        for error in (exception.PublishFailed, exception.PublishInDoubt):
            self.publisher.error = None
            self.stage._sender.send([self.hint])
            self.publisher.error = error
            self.stage._sender.send([self.hint | {'lanes': []}])
            self.stage._wake(self.hint)
            self.assertEqual([self.hint], self.queued())
            self.stage._sender._silent_until = 0.0

    def test_to_connect_to_the_broker_is_left_to_the_thread(self):
        """A neighbour has taken the last one, and is behind now."""
        self.busy = False
        neighbours = self.stage._sender._neighbours = Neighbours()
        neighbours.told = []
        self.stage._wake(self.hint)
        neighbours.told = None
        self.stage._wake(self.hint)
        self.assertEqual(([], [self.hint]), (
            self.publisher.sent, self.queued()))

    def handed_over(self):
        """Note what is left to the sweep."""
        left = []
        self.stage._sender._hand_over = left.append
        return left

    def test_so_many_wait_at_most(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.stage.QUEUED', 3))
        left = self.handed_over()
        for _ in range(5):      # nobody sends yet
            self.stage._wake(self.hint)
        self.assertEqual((3, 2), (len(self.queued()), len(left)))

    def test_behind_one_that_hangs_nothing_waits(self):
        began, goes_on = threading.Event(), threading.Event()
        self.addCleanup(goes_on.set)
        self.publisher.publish = lambda hint: (began.set(), goes_on.wait())
        left = self.handed_over()
        self.stage.start()
        self.stage._wake(self.hint)
        began.wait(60)
        self.stage._wake(self.hint)     # it may still take it

        self.wait_until(lambda: self.stage._sender.hangs)
        self.stage._wake(self.hint)

        self.assertEqual(([self.hint], 1), (left, self.stage._hints.waiting))


class VanishedBrokerTest(base.TestCase):

    def test_commits_do_not_wait_for_long(self):
        """Its host has no power: nothing says that the connection ended."""
        broker = self.useFixture(amqp_broker.Broker())
        conf = self.useFixture(storage.Storage()).conf
        conf.set_override('transport_url', broker.url)
        given = stage.Stage(
            conf, letters=None, stopping=None, source='test',
            busy=lambda: False)
        given._sender._neighbours = Neighbours()
        self.addCleanup(given._db.dispose)
        given.start()
        self.addCleanup(given._hints.stop, 60)
        given._wake(WakeTest.hint)
        self.wait_until(lambda: given._sender._works)

        broker.freeze()
        took = []
        for _ in range(20):
            began = time.monotonic()
            given._wake(WakeTest.hint)
            took.append(time.monotonic() - began)
        broker.thaw()

        # The one that noticed it; other messages have ten times as long.
        self.assertEqual(1, broker.messages)
        self.assertLess(sum(took), 0.8 * messaging.CONFIRM_TIMEOUT)
