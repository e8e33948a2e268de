# SPDX-License-Identifier: Apache-2.0
"""What is private of oslo.messaging and py-amqp, and what we do without it."""

import inspect
import json
import random
from unittest import mock

import amqp
from amqp import transport as amqp_transport
from oslo_messaging._drivers import base as driver_base
from oslo_messaging._drivers import common as rpc_common
from oslo_messaging._drivers import impl_rabbit

from doctor_alarm.messaging import rabbit
from doctor_alarm.messaging import wire
from doctor_alarm.tests import base


REFUSED = (TypeError, ValueError, rpc_common.UnsupportedRpcEnvelopeVersion)


class WindowTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.window = rabbit.Window()
        for tag in range(1, 6):
            self.window.add(tag)

    def test_a_lone_message(self):
        self.assertEqual([(1, False)], self.window.settle([1]))

    def test_one_frame_for_what_is_complete(self):
        self.assertEqual([(3, True)], self.window.settle([3, 1, 2]))
        self.assertEqual([(5, True)], self.window.settle([4, 5]))

    def test_behind_one_in_work_each_alone(self):
        self.assertEqual([(2, True), (4, False), (5, False)],
                         self.window.settle([1, 5, 2, 4]))
        self.assertEqual([(3, False)], self.window.settle([3]))

    def test_what_was_acknowledged_alone_is_not_again(self):
        self.window.settle([2, 5])
        self.assertEqual([(3, True)], self.window.settle([1, 3]))
        self.window.add(6)
        self.assertEqual([(6, True)], self.window.settle([4, 6]))

    def test_what_was_refused_is_no_end_of_a_frame(self):
        self.window.refuse(6)
        self.window.add(7)
        self.assertEqual([(5, True)], self.window.settle([1, 2, 3, 4, 5]))
        self.assertEqual([(7, False)], self.window.settle([7]))

    def test_every_order(self):
        """As a broker counts: each message once, none that is in work."""
        for seed in range(300):
            dice = random.Random(seed)
            window, waiting = rabbit.Window(), set()
            inside, settled, tag = [], set(), 0
            for _ in range(60):
                for _ in range(dice.randrange(5)):
                    tag += 1
                    waiting.add(tag)
                    if dice.random() < .1:
                        window.refuse(tag)
                        waiting.discard(tag)
                    else:
                        window.add(tag)
                        inside.append(tag)
                done = dice.sample(inside, dice.randint(0, len(inside)))
                inside = [one for one in inside if one not in done]
                for last, multiple in window.settle(done):
                    self.assertIn(last, waiting, 'seed %d' % seed)
                    gone = {one for one in waiting if one == last
                            or multiple and one < last}
                    waiting -= gone
                    settled |= gone
                self.assertEqual(set(inside), waiting, 'seed %d' % seed)


class ReaderTest(base.TestCase):

    def test_small_pieces_of_large_ones(self):
        pieces = iter([b'abcdef', b'gh', b''])
        reader = rabbit.Reader(lambda size: next(pieces))
        self.assertFalse(reader.ready)
        self.assertEqual(b'ab', reader(2))
        self.assertTrue(reader.ready)
        self.assertEqual(b'cdef', reader(100))
        self.assertFalse(reader.ready)
        self.assertEqual(b'gh', reader(5))
        self.assertEqual(b'', reader(1))

    def test_an_error_loses_nothing(self):
        recv = mock.Mock(side_effect=[b'abc', TimeoutError, b'def'])
        reader = rabbit.Reader(recv)
        self.assertEqual(b'ab', reader(2))
        self.assertEqual(b'c', reader(2))
        self.assertRaises(TimeoutError, reader, 1)
        self.assertEqual(b'd', reader(1))


class DecodeTest(base.TestCase):

    NOTE = {'event_type': 'x', 'payload': {'n': 1}}

    def decode(self, body, **properties):
        properties = {'content_type': 'application/json',
                      'content_encoding': 'utf-8'} | properties
        raw = mock.Mock(body=body, properties=properties)
        return wire.decode(raw)

    def test_an_envelope(self):
        inner = self.NOTE | {'_context_user': 'u', '_unique_id': 'i',
                             '_msg_id': None, '_other': 1}
        body = json.dumps({'oslo.version': '2.0',
                           'oslo.message': json.dumps(inner)})
        expected = self.NOTE | {'_other': 1}, {'user': 'u'}
        self.assertEqual(expected, self.decode(body))
        self.assertEqual(expected, self.decode(body.encode()))

    def test_without_an_envelope(self):
        self.assertEqual((self.NOTE, {}), self.decode(json.dumps(self.NOTE)))

    def test_as_oslo_messaging_does(self):
        for body in ('[1]', '"text"', '7', 'null', '{', '',
                     '{"oslo.version": "9.0", "oslo.message": "{}"}',
                     '{"oslo.version": "2.0", "oslo.message": "[]"}',
                     '{"oslo.version": "2.0", "oslo.message": 5}'):
            self.assertRaises(REFUSED, self.decode, body)
        self.assertRaises(ValueError, self.decode, b'\xff{}')

    def test_other_kinds_are_left_to_kombu(self):
        for properties in ({'content_type': 'application/x-yaml'},
                           {'content_encoding': 'latin-1'},
                           {'application_headers': {'compression': 'gzip'}}):
            raw = mock.Mock(body=b'', properties={
                'content_type': 'application/json',
                'content_encoding': 'utf-8'} | properties)
            raw.channel.message_to_python.return_value.payload = dict(
                self.NOTE)
            self.assertEqual((self.NOTE, {}), wire.decode(raw))


class ContractTest(base.TestCase):
    """What the fast listener takes for granted.

    When one of these fails, compare doctor_alarm/messaging/rabbit.py with the
    new version of the library.
    """

    def source(self, thing):
        return inspect.getsource(thing)

    def test_consume_drains_the_connection_and_checks_heartbeats(self):
        source = self.source(impl_rabbit.Connection.consume)
        for part in ('self.connection.drain_events(timeout=poll_timeout)',
                     'except TimeoutError:', 'self._heartbeat_check()',
                     'if self._consume_loop_stopped:',
                     'self.connection.maybe_switch_next()'):
            self.assertIn(part, source)

    def test_consumers_are_registered_with_their_callback(self):
        self.assertIn('self.queue.consume(callback=self._callback',
                      self.source(impl_rabbit.Consumer.consume))
        self.assertIn('self._consumers = {}',
                      self.source(impl_rabbit.Connection.__init__))

    def test_every_new_channel_gets_its_prefetch_window(self):
        source = self.source(impl_rabbit.Connection._set_current_channel)
        self.assertIn('if self.purpose == rpc_common.PURPOSE_LISTEN:\n'
                      '                self._set_qos(new_channel)', source)
        self.assertLess(source.index('_set_qos'),
                        source.index('consumer.declare(self)'))

    def test_a_closed_channel_is_revived_before_the_error_is_raised(self):
        source = self.source(amqp.Channel._on_close)
        self.assertLess(source.index('self._do_revive()'),
                        source.index('raise error_for_code'))

    def test_all_is_read_through_one_function(self):
        for transport in (amqp_transport.TCPTransport,
                          amqp_transport.SSLTransport):
            self.assertIn('self._quick_recv = self.sock.',
                          self.source(transport._setup_transport))
            source = self.source(transport._read)
            self.assertIn('recv = self._quick_recv', source)
            self.assertIn('recv(n - len(rbuf))', source)
            self.assertNotIn('self.sock', source)

    def test_a_frame_is_read_by_blocking_read(self):
        self.assertEqual(
            ['self', 'timeout'],
            list(inspect.signature(
                amqp.Connection.blocking_read).parameters))
        self.assertIn('self.transport.read_frame()',
                      self.source(amqp.Connection.blocking_read))

    def test_the_adapter_that_is_replaced(self):
        for name in ('start', 'stop', 'cleanup'):
            theirs, ours = (
                len(inspect.signature(getattr(one, name)).parameters)
                for one in (driver_base.PollStyleListenerAdapter,
                            rabbit.Listener))
            self.assertIn(ours - theirs, (0, 1), name)
        self.assertIn(
            'self._poll_style_listener = poll_style_listener', self.source(
                driver_base.PollStyleListenerAdapter.__init__))
