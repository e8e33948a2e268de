# SPDX-License-Identifier: Apache-2.0
"""The listener on a real RabbitMQ: what must hold however fast it is."""

import queue
import socket
import ssl
import threading
import time
from unittest import mock

import fixtures
import oslo_messaging

from doctor_alarm import messaging
from doctor_alarm.messaging import rabbit
from doctor_alarm.messaging import subscription
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import test_messaging
from doctor_alarm.tests.services import process
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.notifier.plugins import test_http

TOPIC = test_messaging.TOPIC


class ListenerCase(test_messaging.BusTests):

    def take(self, count, timeout=60):
        return [self.got.get(timeout=timeout) for _ in range(count)]

    def payloads(self, taken):
        return [incoming.message['payload'] for incoming in taken]

    def publish_many(self, numbers):
        publisher = messaging.Publisher(self.own(), TOPIC, 'test')
        for n in numbers:
            publisher.publish('event', n)


class AcknowledgeTest(ListenerCase):

    def test_it_is_the_fast_one(self):
        server = self.listen(self.own())
        self.assertIsInstance(server.listener, rabbit.Listener)

    def test_a_lone_acknowledgement_reaches_an_idle_listener_at_once(self):
        """Else its slot of the prefetch window stays taken."""
        self.listen(self.own())
        self.publish_many(range(messaging.OWN_PREFETCH + 1))
        taken = self.take(messaging.OWN_PREFETCH)
        self.wait_until(lambda: self.waiting() == 1)

        taken[7].acknowledge()

        self.assertEqual([messaging.OWN_PREFETCH], self.payloads(self.take(1)))

    def test_slots_behind_one_in_work_are_free_again(self):
        self.listen(self.own())
        self.publish_many(range(messaging.OWN_PREFETCH * 2))
        first, *others = self.take(messaging.OWN_PREFETCH)
        for incoming in others:
            incoming.acknowledge()
        more = self.take(messaging.OWN_PREFETCH - 1)
        self.assertEqual(1, self.waiting())
        for incoming in [first, *more]:
            incoming.acknowledge()
        self.take(1)[0].acknowledge()

    def test_what_was_taken_is_acknowledged_after_a_halt(self):
        server = self.listen(self.own())
        self.publish_many(range(50))
        taken = self.take(50)
        server.halt()
        self.publish_many(['late'])
        for incoming in taken:
            incoming.acknowledge()
        server.disconnect()
        # then: only what came later is there for the next one
        self.wait_until(lambda: self.waiting() == 1)
        self.assertTrue(self.got.empty())

    def test_twice_is_once(self):
        self.listen(self.own())
        self.publish_many(range(3))
        taken = self.take(3)
        for _ in range(2):
            taken[1].acknowledge()
        for incoming in taken:
            incoming.acknowledge()
        self.publish_many(['next'])
        self.assertEqual(['next'], self.payloads(self.take(1)))

    def test_every_message_once_under_a_crowd_of_threads(self):
        """Holes, bursts and lone ones mixed: nothing stays, none twice."""
        seen, done = [], queue.Queue()

        def work():
            for incoming in iter(self.got.get, None):
                seen.append(incoming.message['payload'])
                if len(seen) % 7 == 0:
                    time.sleep(0.002)
                incoming.acknowledge()
                done.put(1)
        for _ in range(4):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self.addCleanup(self.got.put, None)
        server = self.listen(self.own())
        self.publish_many(range(1500))
        for _ in range(1500):
            done.get(timeout=60)
        self.end(server)
        self.assertEqual(sorted(seen), list(range(1500)))
        self.wait_until(lambda: self.waiting() == 0)


class FailureTest(ListenerCase):

    def test_a_channel_that_the_broker_closes(self):
        """Its delivery tags start anew, and so must its prefetch window."""
        server = self.listen(self.own())
        self.publish_many(range(10))
        before = self.take(10)
        # when
        server.listener._channel.basic_ack(4711)
        again = self.take(10)
        self.assertEqual(list(range(10)), sorted(self.payloads(again)))
        # then: it can be seen of each who has it
        self.assertEqual({True}, {incoming.lost for incoming in before})
        self.assertEqual({False}, {incoming.lost for incoming in again})
        # then: acknowledgements of the old channel hurt nobody
        for incoming in before:
            incoming.acknowledge()
        again[0].acknowledge()
        self.publish_many(range(10, messaging.OWN_PREFETCH + 50))
        self.take(messaging.OWN_PREFETCH - 9)
        self.wait_until(lambda: self.waiting() == 49)
        # then: nothing of it was lost
        self.end(server)
        self.wait_until(
            lambda: self.waiting() == messaging.OWN_PREFETCH + 49)

    def test_the_next_host_is_tried(self):
        dead = process.free_port()
        host = self.bus.url.partition('@')[2]
        self.conf.set_override(
            'transport_url', 'rabbit://guest:guest@127.0.0.1:%d,'
            'guest:guest@%s' % (dead, host))
        self.listen(self.own())
        self.publish('x')
        self.assertEqual(['x'], self.payloads(self.take(1)))
        # when
        self.bus.server.stop()
        self.bus.server.start()
        # then: neither is taken for good
        again = self.take(1, timeout=120)
        self.assertEqual(['x'], self.payloads(again))
        again[0].acknowledge()

    def test_a_channel_that_can_not_be_written_to(self):
        """What it should have acknowledged would be in work for ever."""
        server = self.listen(self.own())
        self.publish_many(range(messaging.OWN_PREFETCH))
        taken = self.take(messaging.OWN_PREFETCH)
        # when
        server.listener._channel.basic_ack = mock.Mock(
            side_effect=TimeoutError('timed out'))
        for incoming in taken:
            incoming.acknowledge()
        # then: they come again, and all slots are free afterwards
        for _ in range(2):
            again = self.take(messaging.OWN_PREFETCH)
            for incoming in again:
                incoming.acknowledge()
            self.wait_until(lambda: self.waiting() == 0)
            self.publish_many(range(messaging.OWN_PREFETCH))

    def test_a_listener_whose_broker_is_gone_can_be_ended(self):
        server = self.listen(self.own())
        self.publish('x')
        incoming, = self.take(1)
        self.bus.server.stop()
        incoming.acknowledge()
        ended = threading.Thread(target=self.end, args=(server,), daemon=True)
        ended.start()
        ended.join(60)
        self.assertFalse(ended.is_alive())
        self.bus.server.start()

    def test_heartbeats_go_on_while_all_acknowledgements_wait(self):
        """Messages that trickle in are no sign of life of ours."""
        self.conf.set_override('heartbeat_timeout_threshold', 10,
                               group='oslo_messaging_rabbit')
        self.listen(self.own())
        publisher = messaging.Publisher(self.own(), TOPIC, 'test')
        for n in range(25):
            publisher.publish('event', n)
            time.sleep(1)
        # then: the broker did not end the connection and give them again
        self.assertEqual(list(range(25)), self.payloads(self.take(25)))
        self.assertTrue(self.got.empty())


class OneByOneTest(ListenerCase):

    def listen_alone(self, got):
        server = messaging.BatchServer(
            self.own(), [oslo_messaging.Target(topic=TOPIC)], got.put,
            pool='alone', priorities=['sample'],
            arguments=messaging.ONE_BY_ONE)
        server.start()
        self.addCleanup(self.end, server)
        return server

    def test_one_has_all_and_leaves_the_rest_to_the_next(self):
        second = queue.Queue()
        first = self.listen_alone(self.got)
        self.listen_alone(second)
        self.publish_many(range(30))
        taken = self.take(30)
        # given: some of it is done
        for incoming in taken[:10:2]:
            incoming.acknowledge()
        self.assertTrue(second.empty())

        self.end(first)

        rest = [second.get(timeout=60).message['payload'] for _ in range(25)]
        self.assertEqual([1, 3, 5, 7, 9, *range(10, 30)], rest)
        self.publish_many(['next'])
        self.assertEqual('next', second.get(timeout=60).message['payload'])
        self.assertTrue(self.got.empty())


class DeletedQueueTest(ListenerCase):
    """Somebody deletes a queue of ours under traffic."""

    DELETE = 'rabbit_amqqueue:delete(Q, false, false, <<"test">>)'
    CREATE = ('rabbit_amqqueue:declare(amqqueue:get_name(Q), true, false,'
              ' amqqueue:get_arguments(Q), none, <<"test">>)')

    def setUp(self):
        super().setUp()
        # Every second and a half.
        self.conf.set_override('heartbeat_timeout_threshold', 9,
                               group='oslo_messaging_rabbit')
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.subscription.PERIOD', 1))
        self.looks = []
        plain = subscription.Watch._renew

        def renew(watch, *args):
            plain(watch, *args)
            self.looks.append(watch)
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.subscription.Watch._renew', renew))

    def for_all_queues(self, *actions):
        self.bus.server.evaluate(
            '[begin %s end || Q <- rabbit_amqqueue:list(<<"%s">>)], ok' % (
                ', '.join(actions), self.bus.url.rpartition('/')[2]))

    def gets(self, payload):
        """Wait for it, whatever comes before."""
        while self.payloads(taken := self.take(1)) != [payload]:
            pass
        taken[0].acknowledge()

    def test_it_is_made_again(self):
        self.listen(self.own())
        self.for_all_queues(self.DELETE)
        self.publish('x')
        self.gets('x')

    def test_one_made_again_before_the_listener_knows(self):
        """The broker says nothing, and loses what it hands out."""
        for count in (1, 2):
            servers = [self.listen(self.own()) for _ in range(count)]
            self.publish('before')
            self.gets('before')
            self.for_all_queues(self.DELETE, self.CREATE)
            # then: a lone one does arrive, and none is left with anybody
            for n in range(5):
                self.publish(n)
            missing = set(range(5))
            while missing:
                missing -= set(self.payloads(self.take(1)))
            for server in servers:
                self.end(server)
            self.for_all_queues(self.DELETE)

    def test_a_sender_that_has_declared_it_loses_nothing(self):
        """The broker confirms what it drops."""
        publisher = messaging.Publisher(self.own(), TOPIC, 'test')
        publisher.publish('event', 'before')
        self.for_all_queues(self.DELETE)

        publisher.publish('event', 'after')

        self.assertEqual(1, self.waiting())
        publisher.publish('event', 'later')
        self.assertEqual(2, self.waiting())

    def test_who_is_idle_stays_connected(self):
        server = self.listen(self.own())
        other = self.listen(self.own())
        self.publish('x')
        busy = self.take(1)
        channels = [one.listener._channel for one in (server, other)]
        # when: one of them has something in work
        self.looks.clear()
        self.wait_until(lambda: len(self.looks) >= 4)
        # then: it is not renewed, the other one is, and neither reconnects
        self.assertEqual(1, len(set(map(id, self.looks[1:]))))
        self.publish_many(['y', 'z'])
        self.assertEqual({'y', 'z'}, set(self.payloads(self.take(2))))
        for incoming in busy:
            incoming.acknowledge()
        self.assertEqual(
            channels, [one.listener._channel for one in (server, other)])


class TlsTest(ListenerCase):

    def setUp(self):
        super().setUp()
        directory = self.useFixture(fixtures.TempDir()).path
        cert, key = directory + '/cert.pem', directory + '/key.pem'
        test_http.write_certificate(cert, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        proxy = Proxy(self.bus.server.port, context)
        self.addCleanup(proxy.close)
        self.conf.set_override(
            'transport_url', 'rabbit://guest:guest@127.0.0.1:%d/%s' % (
                proxy.port, self.bus.url.rpartition('/')[2]))
        for name, value in (('ssl', True), ('ssl_ca_file', cert)):
            self.conf.set_override(name, value, group='oslo_messaging_rabbit')

    def test_bursts_and_lone_messages(self):
        self.listen(self.own())
        self.publish_many(range(300))
        for _ in range(300):
            self.take(1)[0].acknowledge()
        # then: nothing stays in the buffer of TLS while the socket is idle
        for size in (1, 20000, 70000):
            self.publish_many(['x' * size])
            incoming, = self.take(1)
            self.assertEqual(size, len(incoming.message['payload']))
            incoming.acknowledge()
        self.assertEqual(0, self.waiting_plain())

    def waiting_plain(self):
        self.conf.clear_override('ssl', group='oslo_messaging_rabbit')
        self.conf.set_override('transport_url', self.bus.url)
        return self.waiting()


class OtherDriverTest(base.TestCase):

    def test_fake(self):
        conf = self.useFixture(storage.Storage()).conf
        conf.set_override('transport_url', 'fake://')
        transport = messaging.get_transport(conf)
        got = queue.Queue()
        server = messaging.BatchServer(
            transport, [oslo_messaging.Target(topic='t', exchange='e')],
            got.put, priorities=['sample'])
        server.start()
        self.addCleanup(server.disconnect)
        self.addCleanup(server.halt)
        messaging.Publisher(transport, 't', 'test', exchange='e').publish(
            'event', {'n': 1})
        incoming = got.get(timeout=30)
        self.assertEqual({'n': 1}, incoming.message['payload'])
        incoming.acknowledge()


class Proxy:
    """TLS outside, a plain connection inside."""

    def __init__(self, port, context):
        self._target = port
        self._context = context
        self._server = socket.create_server(('127.0.0.1', 0))
        self.port = self._server.getsockname()[1]
        self._sockets = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for one in self._sockets:
            one.close()

    def _accept(self):
        while True:
            try:
                plain, _address = self._server.accept()
                outer = self._context.wrap_socket(plain, server_side=True)
            except OSError:
                if self._server.fileno() < 0:
                    return
                continue
            inner = socket.create_connection(('127.0.0.1', self._target))
            self._sockets += [outer, inner]
            for ends in ((outer, inner), (inner, outer)):
                threading.Thread(target=self._copy, args=ends,
                                 daemon=True).start()

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            for end in (source, target):
                end.close()
