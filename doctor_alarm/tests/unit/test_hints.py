# SPDX-License-Identifier: Apache-2.0
"""Whether a wake-up that could not be sent may have arrived."""

import threading
import time

import fixtures

from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.tests import amqp_broker
from doctor_alarm.tests import base
from doctor_alarm.tests import storage


class HintPublisherTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.broker = self.useFixture(amqp_broker.Broker())
        conf = self.useFixture(storage.Storage()).conf
        conf.set_override('transport_url', self.broker.url)
        transport = messaging.get_hint_transport(conf)
        self.addCleanup(transport.cleanup)
        self.publisher = messaging.HintPublisher(
            transport, 'doctor_alarm.wakeup', ttl=60)
        self.publisher.publish({'n': 1})

    def failure(self, hint=None):
        return self.assertRaises(
            exception.PublishFailed, self.publisher.publish, hint or {'n': 2})

    def test_a_connection_that_was_closed_before_leaves_no_doubt(self):
        """A broker was restarted, or another node has taken its place."""
        self.broker.drop_connections()
        self.assertNotIsInstance(self.failure(), exception.PublishInDoubt)
        self.assertEqual(1, self.broker.messages)

    def test_the_next_one_goes_over_a_new_connection(self):
        self.broker.drop_connections()
        self.failure()
        self.publisher.publish({'n': 3})
        self.assertEqual(2, self.broker.messages)

    def test_one_that_was_read_and_not_confirmed_is_in_doubt(self):
        self.broker.before_answer = amqp_broker.close
        self.assertIsInstance(self.failure(), exception.PublishInDoubt)
        self.assertEqual(2, self.broker.messages)

    def test_a_broker_that_hangs_is_left_when_it_does_not_confirm(self):
        """Neither a channel nor a connection is closed the polite way."""
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.transport.HINT_TIMEOUT', 0.5))
        hangs = threading.Event()
        self.addCleanup(hangs.set)
        self.broker.before_answer = lambda _connection: hangs.wait()
        began = time.monotonic()

        for _ in range(2):
            self.assertIsInstance(self.failure(), exception.PublishInDoubt)

        # A heartbeat of oslo.messaging, for which it would wait, is 60.
        self.assertLess(time.monotonic() - began, 45)
        self.broker.before_answer = lambda _connection: None
        self.publisher.publish({'n': 3})
        self.assertEqual(4, self.broker.messages)

    def test_a_broker_that_vanishes_is_left_soon(self):
        """Its host has no power: nothing says that the connection ended."""
        # As a large one does not fit into the buffers, it is not even sent.
        for hint in ({'n': 2}, {'n': 'x' * 20_000_000}):
            self.broker.freeze()
            began = time.monotonic()
            self.assertIsInstance(
                self.failure(hint), exception.PublishInDoubt)
            self.assertLess(
                time.monotonic() - began, 0.8 * messaging.CONFIRM_TIMEOUT)
            self.broker.thaw()
            self.publisher.publish({'n': 3})
