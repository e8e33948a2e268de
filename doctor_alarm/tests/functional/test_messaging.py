# SPDX-License-Identifier: Apache-2.0

import json
import queue
import threading
import time

import amqp
import fixtures
import kombu
import oslo_messaging
from testtools import matchers

from doctor_alarm import dead_letter
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.notifier import service as notifier
from doctor_alarm.tests import base
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage

TOPIC = 'doctor_alarm.event'


class BusTests(base.TestCase):

    def setUp(self):
        super().setUp()
        self.bus = self.useFixture(rabbitmq.VirtualHost())
        self.conf = self.useFixture(storage.Storage()).conf
        self.conf.set_override('transport_url', self.bus.url)
        self.got = queue.Queue()

    def listen(self, transport, topic=TOPIC, on_message=None, pool=None,
               **kwargs):
        server = messaging.BatchServer(
            transport, [oslo_messaging.Target(topic=topic, **kwargs)],
            on_message or self.got.put, pool=pool, priorities=['sample'])
        server.start()
        self.addCleanup(self.end, server)
        return server

    def end(self, server):
        server.halt()
        server.disconnect()

    def own(self):
        return self.ended(messaging.get_own_transport(self.conf))

    def hinted(self):
        return self.ended(messaging.get_hint_transport(self.conf))

    def ended(self, transport):
        """Disconnect after the test: else it tries for ever."""
        self.addCleanup(transport.cleanup)
        return transport

    def publish(self, payload, transport=None, topic=TOPIC):
        messaging.Publisher(transport or self.own(), topic, 'test').publish(
            'event', payload)

    def raw_publish(self, body, queue_name=TOPIC + '.sample'):
        with kombu.Connection(dead_letter.kombu_url(self.own())) as conn:
            kombu.Producer(conn.channel()).publish(
                body, routing_key=queue_name, exchange='',
                content_type='application/json', content_encoding='utf-8')

    def waiting(self, name=TOPIC + '.sample'):
        """Number of messages that are ready in a queue."""
        with kombu.Connection(dead_letter.kombu_url(self.own())) as conn:
            return conn.channel().queue_declare(
                name, passive=True).message_count


class TestOwnHop(BusTests):

    def test_published_before_anybody_listened(self):
        self.publish([{'n': 1}])
        self.listen(self.own())
        incoming = self.got.get(timeout=60)
        self.assertEqual([{'n': 1}], incoming.message['payload'])
        self.assertEqual('test', incoming.message['publisher_id'])
        incoming.acknowledge()

    def test_what_is_not_acknowledged_comes_again(self):
        server = self.listen(self.own())
        for n in range(3):
            self.publish(n)
        first = [self.got.get(timeout=60) for _ in range(3)]
        first[1].acknowledge()
        self.end(server)
        self.wait_until(lambda: self.waiting() == 2)

    def test_what_came_before_a_lost_connection_comes_again_for_good(self):
        """oslo.messaging would drop it unacknowledged as a duplicate."""
        self.listen(self.own())
        self.publish('x')
        self.got.get(timeout=60)
        self.bus.server.stop()
        self.bus.server.start()
        again = self.got.get(timeout=60)
        self.assertEqual('x', again.message['payload'])
        again.acknowledge()
        self.publish('y')
        self.assertEqual('y', self.got.get(timeout=60).message['payload'])

    def test_acknowledged_from_another_thread_in_any_order(self):
        self.listen(self.own())
        for n in range(20):
            self.publish(n)
        taken = [self.got.get(timeout=60) for _ in range(20)]
        threads = [threading.Thread(target=m.acknowledge)
                   for m in reversed(taken)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.publish('last')
        self.got.get(timeout=60).acknowledge()
        self.assertEqual(0, self.waiting())

    def test_prefetch_is_bounded(self):
        self.listen(self.own())
        publisher = messaging.Publisher(self.own(), TOPIC, 'test')
        for n in range(messaging.OWN_PREFETCH + 50):
            publisher.publish('event', n)
        self.wait_until(
            lambda: self.got.qsize() == messaging.OWN_PREFETCH, timeout=60)
        self.wait_until(lambda: self.waiting() == 50)

    def test_publish_without_a_broker_raises(self):
        publisher = messaging.Publisher(self.own(), TOPIC, 'test')
        publisher.publish('event', 1)
        self.bus.server.stop()
        error = self.assertRaises(exception.PublishFailed,
                                  publisher.publish, 'event', 2)
        self.assertNotIn('guest:guest', str(error))
        self.bus.server.start()
        publisher.publish('event', 3)
        self.wait_until(lambda: self.waiting() == 2)

    def test_publish_to_a_broker_that_hangs_raises(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.transport.CONFIRM_TIMEOUT', 0.5))
        publisher = messaging.Publisher(self.own(), TOPIC, 'test')
        publisher.publish('event', 1)
        self.addCleanup(self.bus.server.go_on)
        self.bus.server.hang()
        self.assertRaises(exception.PublishFailed,
                          publisher.publish, 'event', 2)
        self.bus.server.go_on()
        publisher.publish('event', 3)
        # What was not confirmed may have arrived: twice is allowed.
        self.wait_until(lambda: self.waiting() >= 2)

    def test_a_publish_with_a_deadline_ends_with_it(self):
        """Without one it goes on for more than a minute."""
        publisher = messaging.Publisher(self.own(), TOPIC, 'test', deadline=3)
        publisher.publish('event', 1)
        self.addCleanup(self.bus.server.go_on)
        self.bus.server.hang()

        started = time.monotonic()
        error = self.assertRaises(exception.PublishFailed,
                                  publisher.publish, 'event', 2)
        took = time.monotonic() - started

        self.assertThat(took, matchers.LessThan(9))
        self.assertIn('within 3 s', str(error))
        self.bus.server.go_on()
        publisher.publish('event', 3)
        # What was given up may arrive nevertheless.
        self.wait_until(lambda: self.waiting() >= 2)

    def test_a_crowd_with_a_deadline_is_bounded(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.publish.CROWD', 2))
        publisher = messaging.Publisher(self.own(), TOPIC, 'test', deadline=2)
        publisher.publish('event', 1)
        self.addCleanup(self.bus.server.go_on)
        self.bus.server.hang()
        failures = queue.Queue()

        def publish(n):
            failures.put(self.assertRaises(
                exception.PublishFailed, publisher.publish, 'event', n))
        callers = [threading.Thread(target=publish, args=(n,))
                   for n in range(6)]
        for caller in callers:
            caller.start()
        for _ in callers:
            failures.get(timeout=120)
        senders = [thread for thread in threading.enumerate()
                   if thread.name == 'publish']
        self.assertThat(len(senders), matchers.LessThan(3))

        self.bus.server.go_on()
        # then: it works again, as soon as the given up ones have ended
        self.wait_until(lambda: self.succeeds(publisher), timeout=120)

    def succeeds(self, publisher):
        try:
            publisher.publish('event', 'x')
        except exception.PublishFailed:
            return False
        return True

    def test_every_pool_gets_every_event(self):
        pools = {name: queue.Queue() for name in ('one', 'two')}
        for name, got in pools.items():
            self.listen(self.own(), on_message=got.put, pool=name)
        for n in range(20):
            self.publish(n)
        for got in pools.values():
            taken = [got.get(timeout=30) for _ in range(20)]
            self.assertEqual(list(range(20)),
                             [x.message['payload'] for x in taken])
            for incoming in taken:
                incoming.acknowledge()
        # then: the queue without a pool has them for another reader
        self.wait_until(lambda: self.waiting('one') == 0)
        self.assertEqual(20, self.waiting())

    def test_consumers_without_a_pool_share(self):
        self.check_sharing(None)

    def test_consumers_of_a_pool_share(self):
        self.check_sharing('one')

    def check_sharing(self, pool):
        readers = [queue.Queue() for _ in range(2)]
        for got in readers:
            self.listen(self.own(), on_message=got.put, pool=pool)
        for n in range(20):
            self.publish(n)
        self.wait_until(
            lambda: sum(got.qsize() for got in readers) == 20, timeout=30)
        seen = [{got.get().message['payload'] for _ in range(got.qsize())}
                for got in readers]
        self.assertEqual(set(range(20)), seen[0] | seen[1])
        self.assertEqual(set(), seen[0] & seen[1])
        self.assertTrue(all(seen))

    def test_other_settings_stop_with_one_line(self):
        with kombu.Connection(dead_letter.kombu_url(self.own())) as conn:
            conn.channel().queue_declare(
                TOPIC + '.sample', durable=True, auto_delete=False)
        error = self.assertRaises(
            exception.QueueMismatch, self.listen, self.own())
        self.assertIn(TOPIC, str(error))
        self.assertIn('inequivalent arg', str(error))
        self.assertNotIn('\n', str(error))
        self.assertNotIn('guest:guest', str(error))

    def test_check_leaves_nothing_behind(self):
        server = messaging.BatchServer(
            self.own(), [oslo_messaging.Target(topic=TOPIC)], self.got.put,
            priorities=['sample'])
        server.check()
        self.publish(1)
        self.assertEqual(1, self.waiting())


class TestDeadLetters(BusTests):

    def setUp(self):
        super().setUp()
        self.letters = dead_letter.QueueDeadLetters(self.own())
        self.letters.declare()

    def test_a_body_that_is_not_json_is_kept(self):
        self.listen(self.own())
        for body in (b'{not json', b'\xff\xfe\x00', b'[1, 2]', b'"text"',
                     b'{"oslo.version": "2.0", "oslo.message": "{"}'):
            self.raw_publish(body)
        self.publish('good')
        self.got.get(timeout=60).acknowledge()
        letters = self.wait_until(lambda: len(self.letters.list()) == 5
                                  and self.letters.list())
        self.assertEqual({TOPIC + '.sample'}, {x.source for x in letters})
        self.assertIn('{not json', [x.body for x in letters])
        self.assertTrue(self.got.empty())

    def test_put_show_and_replay(self):
        self.publish('first')
        body = {'message_id': 'm1', 'event_type': 'event',
                'publisher_id': 'p', 'priority': 'SAMPLE',
                'payload': [{'bad': 1}]}
        self.letters.put('a trait is wrong', 'm1', TOPIC + '.sample', body)
        self.letters.put('another', 'm2', TOPIC + '.sample', {})
        listed = self.letters.list()
        self.assertEqual(['m1', 'm2'], [x.message_id for x in listed])
        self.assertEqual('a trait is wrong', listed[0].reason)
        self.assertAlmostEqual(time.time(), listed[0].created_at / 1e6,
                               delta=60)
        self.assertEqual(listed[0], self.letters.show(listed[0].id))

        self.letters.replay(listed[0].id)

        self.assertEqual(['m2'], [x.message_id for x in self.letters.list()])
        self.listen(self.own())
        payloads = [self.got.get(timeout=60).message['payload']
                    for _ in range(2)]
        self.assertEqual(['first', [{'bad': 1}]], payloads)
        self.assertRaises(exception.NotFound, self.letters.show, 'no')
        self.assertRaises(exception.NotFound, self.letters.replay, 'no')

    def test_without_its_queue_a_letter_stays(self):
        self.letters.put('why', 'm1', 'gone.sample', {})
        letter, = self.letters.list()
        self.assertRaises(exception.Invalid, self.letters.replay, letter.id)
        self.assertEqual([letter.id], [x.id for x in self.letters.list()])

    def test_a_queue_that_nobody_reads_is_deleted(self):
        server = self.listen(self.own())
        name = TOPIC + '.sample'
        # It consumes as soon as it gets something, and a moment after it
        # has begun to listen.
        self.publish(0)
        self.got.get(timeout=60).acknowledge()
        self.assertRaises(exception.Invalid, self.letters.delete_queue, name)
        self.end(server)
        self.publish(1)
        self.assertRaises(exception.Invalid, self.letters.delete_queue, name)
        self.assertEqual(1, self.letters.delete_queue(name, True))
        self.assertRaises(exception.NotFound, self.letters.delete_queue, name)

    def test_a_refused_letter_is_replayed_as_it_was(self):
        self.listen(self.own())
        self.raw_publish(b'{not json')
        letter = self.wait_until(self.letters.list)[0]
        self.letters.replay(letter.id)
        again = self.wait_until(self.letters.list)
        self.assertEqual([letter.id], [x.id for x in again])

    def test_without_a_broker_it_raises(self):
        self.bus.server.stop()
        self.assertRaises(exception.PublishFailed, self.letters.put,
                          'r', 'm', 's', {})
        self.bus.server.start()


class TestHints(BusTests):

    def test_a_hint_reaches_who_listens(self):
        publisher = messaging.HintPublisher(
            self.hinted(), 'doctor_alarm.wakeup', ttl=60)
        server = self.listen(
            self.hinted(), 'doctor_alarm.wakeup',
            exchange=messaging.HINT_EXCHANGE)
        publisher.publish({'lanes': [['l', 't']]})
        incoming = self.got.get(timeout=60)
        self.assertEqual({'lanes': [['l', 't']]}, incoming.message['payload'])
        incoming.acknowledge()

        # when: nobody listens any more
        self.end(server)

        # then: the publisher knows, and nothing stays in the broker
        self.assertRaises(
            exception.PublishFailed, publisher.publish, {'lanes': []})
        self.assertRaises(amqp.NotFound, self.waiting,
                          'doctor_alarm.wakeup.sample')

    def test_a_hint_to_nobody_is_known_to_be_lost(self):
        publisher = messaging.HintPublisher(
            self.hinted(), 'doctor_alarm.wakeup', ttl=60)
        for _ in range(2):
            # the first one makes the exchange: then it is the queue that
            # is missing
            self.assertRaises(exception.PublishFailed, publisher.publish,
                              {'lanes': []})

    def test_a_broker_that_is_away_has_not_got_it(self):
        publisher = self.hinting()
        self.bus.server.stop()
        self.addCleanup(self.bus.server.start)
        # The first time over the connection that was closed meanwhile.
        self.assertRaises(
            exception.PublishFailed, publisher.publish, {'lanes': []})

        error = self.assertRaises(
            exception.PublishFailed, publisher.publish, {'lanes': []})

        self.assertNotIsInstance(error, exception.PublishInDoubt)

    def test_a_broker_that_hangs_may_have_got_it(self):
        publisher = self.hinting()
        self.addCleanup(self.bus.server.go_on)
        self.bus.server.hang()

        self.assertRaises(exception.PublishInDoubt,
                          publisher.publish, {'lanes': ['in doubt']})

        # then: it has
        self.bus.server.go_on()
        self.assertEqual({'lanes': ['in doubt']},
                         self.got.get(timeout=60).message['payload'])

    def test_a_refusal_is_no_doubt(self):
        publisher = messaging.HintPublisher(
            self.hinted(), 'doctor_alarm.wakeup', ttl=60)
        for _ in range(2):
            # the first one makes the exchange
            error = self.assertRaises(exception.PublishFailed,
                                      publisher.publish, {'lanes': []})
            self.assertNotIsInstance(error, exception.PublishInDoubt)

    def test_one_that_nobody_takes_is_forgotten(self):
        publisher = self.hinting(ttl=1)
        # The first ones are taken and never acknowledged.
        for n in range(messaging.PREFETCH + 10):
            publisher.publish({'n': n})
        self.wait_until(lambda: self.got.qsize() == messaging.PREFETCH)

        self.wait_until(
            lambda: self.waiting('doctor_alarm.wakeup.sample') == 0)

    def test_one_that_comes_again_is_known_by_that(self):
        publisher = self.hinting()
        publisher.publish({'n': 1})
        first = self.got.get(timeout=60)

        # when: its connection ends before it was acknowledged, while another
        # listener keeps the queue
        self.listen(self.hinted(), 'doctor_alarm.wakeup',
                    exchange=messaging.HINT_EXCHANGE)
        self.end(self.listening)
        again = self.got.get(timeout=60)

        self.assertEqual(first.message['payload'], again.message['payload'])
        self.assertIs(False, notifier._redelivered(first))
        self.assertIs(True, notifier._redelivered(again))

    def hinting(self, ttl=60):
        """A publisher whose connection is there, and a listener."""
        self.listening = self.listen(
            self.hinted(), 'doctor_alarm.wakeup',
            exchange=messaging.HINT_EXCHANGE)
        publisher = messaging.HintPublisher(
            self.hinted(), 'doctor_alarm.wakeup', ttl=ttl)
        publisher.publish({})
        self.got.get(timeout=60).acknowledge()
        return publisher

    def test_every_pool_gets_every_hint(self):
        others = queue.Queue()
        for name, on_message in (('one', self.got.put), ('two', others.put)):
            self.listen(self.hinted(), 'doctor_alarm.wakeup', on_message,
                        pool=name, exchange=messaging.HINT_EXCHANGE)
        publisher = messaging.HintPublisher(
            self.hinted(), 'doctor_alarm.wakeup', ttl=60)
        for n in range(10):
            publisher.publish({'n': n})
        self.wait_until(
            lambda: self.got.qsize() == others.qsize() == 10, timeout=30)

    def test_two_listeners_share_the_hints(self):
        others = queue.Queue()
        for on_message in (self.got.put, others.put):
            self.listen(self.hinted(),
                        'doctor_alarm.wakeup', on_message,
                        exchange=messaging.HINT_EXCHANGE)
        publisher = messaging.HintPublisher(
            self.hinted(), 'doctor_alarm.wakeup', ttl=60)
        for n in range(10):
            publisher.publish({'n': n})
        self.wait_until(
            lambda: self.got.qsize() + others.qsize() == 10)
        self.assertEqual(5, self.got.qsize())


class TestForeignBus(BusTests):

    def nova(self, **options):
        query = '&'.join('%s=%s' % item for item in options.items())
        conf = self.useFixture(storage.Storage()).conf
        conf.set_override('transport_url', '%s?%s' % (self.bus.url, query))
        conf.set_override('control_exchange', 'nova')
        notifier = oslo_messaging.Notifier(
            self.ended(oslo_messaging.get_notification_transport(conf)),
            publisher_id='compute.h1', driver='messagingv2',
            topics=['notifications'])
        notifier.sample({}, 'compute.instance.update', {'n': 1})

    def foreign(self, query=''):
        return self.ended(
            messaging.get_transport(self.conf, self.bus.url + query))

    def hear(self, query=''):
        self.listen(self.foreign(query), 'notifications', exchange='nova')
        incoming = self.got.get(timeout=60)
        self.assertEqual({'n': 1}, incoming.message['payload'])
        incoming.acknowledge()

    def test_default_nova(self):
        self.nova()
        self.hear()

    def test_nova_with_quorum_queues(self):
        self.nova(rabbit_quorum_queue='true')
        self.hear('?rabbit_quorum_queue=true')

    def test_global_quorum_option_is_overridden_by_the_url(self):
        self.nova()
        self.conf.set_override('rabbit_quorum_queue', True,
                               group='oslo_messaging_rabbit')
        self.hear('?rabbit_quorum_queue=false')

    def test_mismatch_stops_with_one_line(self):
        self.nova()
        error = self.assertRaises(
            exception.QueueMismatch, self.hear, '?rabbit_quorum_queue=true')
        self.assertIn('notifications', str(error))

    def test_our_queues_are_quorum_and_dead_lettered(self):
        self.publish(1)
        arguments = self.bus.server.evaluate(
            'lists:flatten(io_lib:format("~p", [[amqqueue:get_arguments(Q)'
            ' || Q <- rabbit_amqqueue:list(<<"%s">>)]]))'
            % self.bus.url.rpartition('/')[2])
        for part in ('quorum', str(messaging.DELIVERY_LIMIT),
                     messaging.DEAD_LETTER):
            self.assertIn(part, arguments)


class TestBatcher(base.TestCase):

    def test_takes_what_came_since_the_last_call(self):
        entered, leave = threading.Event(), threading.Event()
        seen = []

        def process(batch):
            seen.append(batch)
            entered.set()
            leave.wait(60)

        batcher = messaging.Batcher('t', process, limit=3)
        batcher.start()
        batcher.submit(0)
        entered.wait(60)
        for n in range(1, 6):
            batcher.submit(n)
        leave.set()
        batcher.stop()
        self.assertEqual([[0], [1, 2, 3], [4, 5]], seen)

    def test_a_failing_batch_does_not_end_it(self):
        seen = []

        def process(batch):
            if 1 in batch:
                raise ValueError
            seen.extend(batch)

        batcher = messaging.Batcher('t', process, limit=3)
        for n in (0, 1, 2, 3):
            batcher.submit(n)
        batcher.start()
        batcher.stop()
        self.assertEqual([0, 2, 3], seen)

    def test_chunks_bound_count_and_size(self):
        docs = [{'n': 'x' * 100} for _ in range(10)]
        self.assertEqual([4, 4, 2], [
            len(c) for c in messaging.chunks(docs, count=4)])
        for chunk in messaging.chunks(docs, size=350):
            self.assertLessEqual(len(json.dumps(chunk)), 360)
        self.assertEqual(10, sum(
            len(c) for c in messaging.chunks(docs, size=350)))
        self.assertEqual([[docs[0]]], list(messaging.chunks(docs[:1], 1, 1)))
