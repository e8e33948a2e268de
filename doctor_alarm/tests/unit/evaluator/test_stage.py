# SPDX-License-Identifier: Apache-2.0

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import stage
from doctor_alarm import exception
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


class HintsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage()).db
        self.outbox = outbox.Outbox(self.db, enclosing=True)
        self.publisher = Publisher()
        self.hints = stage.Hints(self.publisher, self.db)

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


class WakeTest(base.TestCase):

    def test_while_many_wait_nothing_is_enclosed(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.evaluator.stage.ENCLOSING', 2))
        storage_ = self.useFixture(storage.Storage())
        given = stage.Stage(
            storage_.conf, letters=None, stopping=None, source='test')
        self.addCleanup(given._db.dispose)
        self.addCleanup(given._hints.stop)
        hint = {'lanes': [['a', 'b']], 'lease_until': 1, 'committed_at': 1,
                'deliveries': [[]], 'bodies': {'m': '{}'}}

        for _ in range(4):      # nobody sends yet
            given._wake(hint)

        waiting = [given._hints._queue.get() for _ in range(4)]
        plain = {'lanes': [['a', 'b']], 'lease_until': 1, 'committed_at': 1}
        self.assertEqual([hint, hint, plain, plain], waiting)
