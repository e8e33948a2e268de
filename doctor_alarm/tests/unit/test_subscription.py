# SPDX-License-Identifier: Apache-2.0

from unittest import mock

import amqp
import fixtures

from doctor_alarm.messaging import subscription
from doctor_alarm.tests import base


class TestWatch(base.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.subscription.PERIOD', 0))
        self.consumer = mock.Mock(
            queue_name='q', queue_arguments={'x-queue-type': 'quorum'})
        self.conn = mock.Mock(_consumers={self.consumer: 1})
        self.watch = subscription.Watch(self.conn)
        self.watch.latest['1'] = 7
        self.watch.look(lambda tag: True)

    def look(self, *counts, settled=True):
        self.conn.channel.queue_declare.side_effect = [
            mock.Mock(consumer_count=count) for count in counts]
        self.watch.look(lambda tag: settled)

    def assert_renewed(self, times=1):
        self.assertEqual(times, self.consumer.cancel.call_count)
        self.assertEqual(times, self.consumer.consume.call_count)

    def test_a_silent_one_is_renewed(self):
        self.assert_renewed(0)
        self.look(2, 1)
        self.assert_renewed()

    def test_one_that_had_something_is_not(self):
        self.watch.latest['1'] = 8
        self.look()
        self.assert_renewed(0)

    def test_one_in_work_is_not(self):
        self.look(settled=False)
        self.assert_renewed(0)

    def test_only_quorum_queues_lose_one(self):
        self.consumer.queue_arguments = {}
        self.look()
        self.assert_renewed(0)

    def test_one_that_is_not_counted_is_renewed(self):
        self.look(0, 0)
        self.assert_renewed()

    def test_one_that_left_messages_needs_a_new_connection(self):
        error = self.assertRaises(
            amqp.RecoverableConnectionError, self.look, 2, 2)
        self.assertIn('q do not arrive', str(error))

    def test_what_came_just_now_is_not_left(self):
        def cancel(_tag):
            self.watch.latest['1'] = 8
        self.consumer.cancel.side_effect = cancel
        self.look(2, 2)
        self.assert_renewed()

    def test_a_queue_that_is_gone(self):
        self.conn.channel.queue_declare.side_effect = amqp.NotFound
        self.assertRaises(amqp.RecoverableConnectionError,
                          self.watch.look, lambda tag: True)

    def test_a_new_channel_starts_afresh(self):
        self.watch.restart()
        self.watch.look(lambda tag: True)
        self.assert_renewed(0)

    def test_it_is_done_now_and_then(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.subscription.PERIOD', 3600))
        self.look(2, 1)
        self.look(2, 1)
        self.assert_renewed()
