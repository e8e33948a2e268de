# SPDX-License-Identifier: Apache-2.0
"""What the parts can do at most, on this machine, in one run.

    python benchmarks/ceilings.py [--count N] [--rounds N] [--json FILE]
        [--only publish consume transaction http]

Publishing with confirmations, consuming, the transaction of the evaluator on
each database against the same statements on the bare driver, and HTTP POST by
several clients. Each alone, broker, database and receiver beside it; the
medians of rounds, in which the ways to do the same follow each other.
"""

import argparse
import asyncio
import contextlib
import datetime
import functools
import http.client
import json
import statistics
import sys
import threading
import time
import uuid

import aiohttp
import kombu
import oslo_messaging
import requests
import sqlalchemy as sa
import urllib3

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import dead_letter
from doctor_alarm import event as event_mod
from doctor_alarm import messaging
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage
import receiver as receiver_mod
import report
import seeds as seeds_mod
import systems

BATCH = 100
ALARMS = 1000


class Table:
    """Rows of (what, how, per second, ms of CPU of this process each)."""

    def __init__(self):
        self.rows = []

    def measure(self, what, how, count, work):
        """Time some work; it may return when it ended, monotonic."""
        cpu, started = time.process_time(), time.monotonic()
        ended = work() or time.monotonic()
        self.rows.append({
            'what': what, 'how': how, 'per_s': count / (ended - started),
            'cpu_ms': (time.process_time() - cpu) * 1e3 / count})
        print(*self.rows[-1].values(), file=sys.stderr)

    def medians(self):
        """Return a row for all rounds of the same."""
        found = {}
        for row in self.rows:
            found.setdefault((row['what'], row['how']), []).append(row)
        return [{'what': what, 'how': how, **{
            key: statistics.median(row[key] for row in several)
            for key in ('per_s', 'cpu_ms')}}
            for (what, how), several in found.items()]


def an_event(i):
    return seeds_mod.event(i, 'error', False)


# Publish and consume


class Bus:
    """A broker, and transports to it as the service has them."""

    def __init__(self, count, table):
        self._count, self._table = count, table
        self._broker = rabbitmq.RabbitMQ()
        self._broker.setUp()
        plain = storage.Storage()
        plain.setUp()
        self._conf = plain.conf
        self._conf.set_override('transport_url', self._broker.url)
        self._kinds = {'classic': messaging.get_transport(self._conf),
                       'quorum': messaging.get_own_transport(self._conf)}
        self.close = contextlib.ExitStack()
        self.close.callback(self._broker.cleanUp)
        self.close.callback(plain.cleanUp)
        for transport in self._kinds.values():
            self.close.callback(transport.cleanup)

    def publish(self):
        for kind in self._kinds:
            for size in (1, BATCH):
                events = [an_event(i) for i in range(self._count)]
                publisher = self._publisher(kind, 'p%d' % size)
                publisher.publish('event', events[:1])
                self._table.measure(
                    'publish, confirmed',
                    '%s queue, %d per message' % (kind, size), len(events),
                    functools.partial(_send, publisher, events, size))

    def _publisher(self, kind, topic):
        return messaging.Publisher(
            self._kinds[kind], '%s.%s' % (topic, kind), 'bench',
            exchange=kind)

    def consume(self):
        consumers = {'oslo, simple listener': self._simple,
                     'oslo, lists of 100': self._batches,
                     'BatchServer': self._ours, 'kombu': self._kombu}
        for kind in self._kinds:
            for number, (how, consume) in enumerate(consumers.items()):
                topic = 'c%d' % number
                self._fill(kind, topic)
                self._table.measure(
                    'consume', '%s queue, %s' % (kind, how), self._count,
                    functools.partial(
                        consume, kind, '%s.%s' % (topic, kind)))

    def _fill(self, kind, topic):
        # The first one makes the queue.
        self._publisher(kind, topic).publish('event', [an_event(0)])
        url = dead_letter.kombu_url(self._kinds[kind])
        with kombu.Connection(url) as connection:
            channel = connection.channel()
            producer = kombu.Producer(channel)
            for i in range(1, self._count):
                producer.publish(
                    {'oslo.version': '2.0', 'oslo.message': json.dumps({
                        'message_id': str(uuid.uuid4()),
                        'publisher_id': 'bench', 'event_type': 'event',
                        'priority': 'SAMPLE', 'payload': [an_event(i)],
                        'timestamp': '2026-11-20 12:00:00.000001',
                        '_unique_id': uuid.uuid4().hex})},
                    routing_key='%s.%s.sample' % (topic, kind))
            # A quorum queue drops what it has not stored yet of a channel
            # that is closed before it was confirmed.
            while channel.queue_declare(
                    '%s.%s.sample' % (topic, kind),
                    passive=True).message_count < self._count:
                time.sleep(0.05)

    @staticmethod
    def _target(topic):
        # Queues of a kind have an exchange: it is durable as they are.
        return oslo_messaging.Target(
            topic=topic, exchange=topic.partition('.')[2])

    def _simple(self, kind, topic):
        done = _Count(self._count)

        class Endpoint:
            def sample(self, *_message):
                done.add(1)
        return self._listen(oslo_messaging.get_notification_listener(
            self._kinds[kind], [self._target(topic)], [Endpoint()]), done)

    def _batches(self, kind, topic):
        done = _Count(self._count)

        class Endpoint:
            def sample(self, messages):
                done.add(len(messages))
        return self._listen(oslo_messaging.get_batch_notification_listener(
            self._kinds[kind], [self._target(topic)], [Endpoint()],
            batch_size=BATCH, batch_timeout=1), done)

    def _ours(self, kind, topic):
        done = _Count(self._count)

        def take(incoming):
            incoming.acknowledge()
            done.add(1)
        server = messaging.BatchServer(
            self._kinds[kind], [self._target(topic)], take,
            priorities=['sample'])
        server.start()
        ended = done.wait()
        server.halt()
        server.disconnect()
        return ended

    @staticmethod
    def _listen(server, done):
        server.start()
        ended = done.wait()
        server.stop()
        server.wait()
        return ended

    def _kombu(self, kind, topic):
        left = [self._count]

        def take(message):
            json.loads(json.loads(message.body)['oslo.message'])
            message.ack()
            left[0] -= 1
        url = dead_letter.kombu_url(self._kinds[kind])
        with kombu.Connection(url) as connection:
            channel = connection.channel()
            channel.basic_qos(0, messaging.PREFETCH, False)
            queue = kombu.Queue(topic + '.sample', no_declare=True)
            with kombu.Consumer(channel, [queue], on_message=take):
                while left[0]:
                    connection.drain_events(timeout=10)
            return time.monotonic()


def _send(publisher, events, size):
    for i in range(0, len(events), size):
        publisher.publish('event', events[i:i + size])


class _Count:
    def __init__(self, wanted):
        self._left, self._lock = wanted, threading.Lock()
        self._done = threading.Event()

    def add(self, count):
        with self._lock:
            self._left -= count
            if self._left <= 0:
                self._ended = time.monotonic()
                self._done.set()

    def wait(self):
        if not self._done.wait(120):
            raise TimeoutError('%d messages left' % self._left)
        return self._ended


# The transaction


class Transaction:
    """Batches of the evaluator, and their statements again."""

    def __init__(self, url):
        self._storage = storage.Storage(url)
        self._storage.setUp()
        self._db = self._storage.db
        seeds = seeds_mod.Seeds(ALARMS)
        seeds_mod.store_ours(self._db, seeds, 'http://127.0.0.1:9/')
        self._engine = engine.Engine(self._db, lambda hint: None, 15)
        self._pinned = [i for i in range(ALARMS) if i % 100 != 99]

    def batches(self, count, state='error'):
        """Return batches of events, each of another alarm."""
        received = datetime.datetime.now(datetime.timezone.utc)
        return [[event_mod.Event.from_wire(
            seeds_mod.event(self._pinned[(start + i) % len(self._pinned)],
                            state, False), received=received)
                 for i in range(BATCH)]
                for start in range(0, count, BATCH)]

    def run(self, batches):
        for batch in batches:
            self._engine.process(batch)

    def recorded(self, batches):
        """Run batches and return the statements of each transaction."""
        found = []

        def note(_conn, _cursor, statement, parameters, *_rest):
            found.append((statement, parameters))

        def end(_conn):
            found.append(None)
        alchemy = self._db.engine
        hooks = (('before_cursor_execute', note), ('commit', end),
                 ('rollback', end))
        for name, hook in hooks:
            sa.event.listen(alchemy, name, hook)
        self.run(batches)
        for name, hook in hooks:
            sa.event.remove(alchemy, name, hook)
        return found

    def forget(self):
        """Take the effects of all batches back, so that they fit again."""
        with self._db.writer() as conn:
            for table in (models.delivery, models.lane, models.event):
                conn.execute(sa.delete(table))
            conn.execute(sa.delete(models.change).where(
                models.change.c.message_id.isnot(None)))
            conn.execute(sa.update(models.alarm).values(
                state='insufficient data'))

    def replay(self, statements):
        """Execute statements on a connection of the driver."""
        connection = self._db.engine.raw_connection()
        cursor = connection.cursor()
        for step in statements:
            if step is None:
                connection.commit()
                continue
            statement, parameters = step
            run = (cursor.executemany if isinstance(parameters, list)
                   else cursor.execute)
            run(statement, parameters)
            if cursor.description:
                cursor.fetchall()
        connection.commit()
        connection.close()

    def close(self):
        self._storage.cleanUp()


def transactions(count, table):
    for name in ('sqlite', *systems.DATABASES):
        server = systems.DATABASES[name]() if name != 'sqlite' else None
        with contextlib.ExitStack() as stack:
            if server:
                server.setUp()
                stack.callback(server.cleanUp)
            one = Transaction(server and server.create_database())
            stack.callback(one.close)
            one.run(one.batches(BATCH))
            for what, state in (('look-up', 'active'),
                                ('transaction', 'error')):
                batches = one.batches(count, state)
                table.measure('%s, 100 events' % what, '%s, engine' % name,
                              count, functools.partial(one.run, batches))
            one.forget()
            statements = one.recorded(one.batches(count))
            one.forget()
            table.measure('transaction, 100 events', '%s, driver' % name,
                          count, functools.partial(one.replay, statements))


# HTTP


class Posts:
    """POST as each client does it, kept alive."""

    def __init__(self, count, table):
        self._count, self._table = count, table
        self._receiver = receiver_mod.Receiver()
        self._url = self._receiver.url()
        self._body = json.dumps({
            'alarm_id': str(uuid.uuid4()), 'alarm_name': 'alarm-1',
            'severity': 'low', 'current': 'alarm', 'reason': 'x' * 300,
            'reason_data': {'type': 'event', 'event': an_event(1)}}).encode()
        self._headers = {'Content-Type': 'application/json'}

    def run(self):
        for how, work in (
                ('aiohttp, 64 at once', self._aiohttp),
                ('urllib3', self._urllib3), ('http.client', self._plain),
                ('requests, session', self._requests)):
            self._table.measure('POST', how, self._count, work)
        self._receiver.stop()

    def _aiohttp(self):
        async def some(session, left):
            while next(left, None) is not None:
                async with session.post(
                        self._url, data=self._body,
                        headers=self._headers) as answer:
                    await answer.read()

        async def run():
            left = iter(range(self._count))
            async with aiohttp.ClientSession() as session:
                await asyncio.gather(*(
                    some(session, left) for _ in range(64)))
        asyncio.run(run())

    def _urllib3(self):
        pool = urllib3.PoolManager()
        for _ in range(self._count):
            pool.request('POST', self._url, body=self._body,
                         headers=self._headers)

    def _plain(self):
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._receiver.ports[0])
        for _ in range(self._count):
            connection.request('POST', '/', self._body, self._headers)
            connection.getresponse().read()

    def _requests(self):
        session = requests.Session()
        for _ in range(self._count):
            session.post(self._url, data=self._body, headers=self._headers)


PARTS = ('publish', 'consume', 'transaction', 'http')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--count', type=int, default=5000)
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--only', nargs='*', choices=PARTS, default=PARTS)
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    table = Table()
    for _ in range(options.rounds):
        measure(table, options)
    rows = table.medians()
    report.table([list(row.values()) for row in rows],
                 ['part', 'how', 'per s', 'CPU ms'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rows': rows})


def measure(table, options):
    if {'publish', 'consume'} & set(options.only):
        bus = Bus(options.count, table)
        with bus.close:
            for part in ('publish', 'consume'):
                if part in options.only:
                    getattr(bus, part)()
    if 'transaction' in options.only:
        transactions(options.count, table)
    if 'http' in options.only:
        Posts(options.count, table).run()


if __name__ == '__main__':
    main()
