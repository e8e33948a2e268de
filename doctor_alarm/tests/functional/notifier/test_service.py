# SPDX-License-Identifier: Apache-2.0
"""The notifier as a process, woken over a real broker."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import types
import urllib.request

import amqp
import fixtures
import kombu

from doctor_alarm import messaging
from doctor_alarm.tests import base
from doctor_alarm.tests import outbox
from doctor_alarm.tests import receiver
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import process
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage

_CONFIG = """
[DEFAULT]
transport_url = %(bus)s
[database]
connection = %(database)s
[metrics]
port = %(port)d
[notifier]
# So that only wake-ups can find something.
sweep_interval = 600
allowed_networks = 127.0.0.0/8
%(extra)s
"""


class Processes(base.TestCase):

    def database_url(self):
        return None

    def setUp(self):
        super().setUp()
        self.bus = self.useFixture(rabbitmq.VirtualHost())
        self.storage = self.useFixture(storage.Storage(self.database_url()))
        self.outbox = outbox.Outbox(self.storage.db)
        self.hook = self.useFixture(receiver.Receiver())
        self.storage.conf.set_override('transport_url', self.bus.url)
        self.hints = messaging.HintPublisher(
            messaging.get_hint_transport(self.storage.conf),
            self.storage.conf.notifier.wakeup_topic, ttl=60)
        self.metrics = process.free_port()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def start(self, extra='timeout = 60\nlease = 200',
              ready='The notifier listens'):
        config = os.path.join(self.folder, 'doctor-alarm.conf')
        with open(config, 'w') as file:
            file.write(_CONFIG % {
                'bus': self.bus.url, 'database': self.storage.url,
                'port': self.metrics, 'extra': extra})
        self.log = os.path.join(self.folder, 'log')
        with open(self.log, 'wb') as log:
            self.child = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.notifier',
                 '--config-file', config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)
        self.wait_until(
            lambda: ready in self.output(), message=self.output)

    def output(self):
        with open(self.log, errors='replace') as log:
            return log.read()

    def lanes(self, count):
        return [self.outbox.lane('%s%d' % (self.hook.url, i))
                for i in range(count)]

    def send(self, *lanes):
        self.hints.publish(self.outbox.fire(*lanes))


class NotifierProcessTest(Processes):

    def test_wake_ups_are_delivered(self):
        self.start()

        self.send(*self.lanes(5))
        self.wait_until(self.outbox.idle)

        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertIn('doctor_alarm_deliveries_total{outcome="delivered"',
                      self.metrics_page())

    def metrics_page(self):
        with urllib.request.urlopen('http://127.0.0.1:%d/metrics'
                                    % self.metrics, timeout=60) as page:
            return page.read().decode()

    def neighbours(self):
        found = messaging.Neighbours(messaging.name_of(
            messaging.get_hint_transport(self.storage.conf),
            self.storage.conf.notifier.wakeup_topic))
        self.addCleanup(found.close)
        return found

    def test_a_neighbour_needs_no_broker(self):
        self.bus = types.SimpleNamespace(
            url='rabbit://nobody:listens@127.0.0.1:1/')
        self.storage.conf.set_override('transport_url', self.bus.url)
        neighbours = self.neighbours()
        hint = self.outbox.fire(*self.lanes(5))
        self.start(ready='')

        self.wait_until(lambda: neighbours.tell(hint), message=self.output)
        self.wait_until(self.outbox.idle, message=self.output)

        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertEqual(5, len(self.hook.bodies))

    def test_malformed_wake_ups_of_a_neighbour_stop_nothing(self):
        self.start()
        neighbours = self.neighbours()

        for payload in (None, [], 'x', {'lanes': 1}):
            self.assertTrue(neighbours.tell(payload))
        self.assertTrue(neighbours.tell(self.outbox.fire(*self.lanes(1))))
        self.wait_until(lambda: self.hook.bodies)

        self.assertIn('A wake-up of this host was ignored', self.output())

    def test_in_a_pool_and_when_told_so_the_broker_alone_wakes(self):
        for extra in ('wakeup_pool = one', 'wakeup_by_neighbours = false'):
            with self.subTest(extra):
                self.start(extra=extra)
                self.assertFalse(self.neighbours().tell({}))
                self.send(*self.lanes(1))
                self.wait_until(self.outbox.idle)
                self.child.kill()
                self.child.wait()

    def test_one_that_somebody_got_before_is_left_alone(self):
        """Its connection broke, so the broker gives it away; it may call."""
        self.start()
        other = kombu.Connection(self.bus.url.replace('rabbit:', 'amqp:'))
        self.addCleanup(other.release)
        got = []
        channel = other.channel()
        channel.basic_consume(
            '%s.sample' % self.storage.conf.notifier.wakeup_topic,
            callback=lambda message: got.append(json.loads(json.loads(
                message.body)['oslo.message'])['payload']))
        lanes = self.lanes(7)

        for lane in lanes[:6]:      # by turns
            self.send(lane)
        with contextlib.suppress(TimeoutError):
            while len(got) < 3:
                other.drain_events(timeout=20)
        others = {hint['lanes'][0][0] for hint in got}
        self.wait_until(
            lambda: len(self.hook.bodies) == 6 - len(others))
        other.close()
        self.send(lanes[6])
        self.wait_until(
            lambda: len(self.hook.bodies) == 7 - len(others))

        self.assertTrue(others)
        self.wait_until(lambda: others == {
            row.id for row in self.outbox.lanes() if row.token})
        self.assertEqual(
            {hint['lanes'][0][1] for hint in got},
            {row.token for row in self.outbox.lanes() if row.token})

    def test_its_queue_can_not_fill_the_broker(self):
        self.start()
        with kombu.Connection(self.bus.url.replace('rabbit:', 'amqp:')) as bus:
            queue = '%s.sample' % self.storage.conf.notifier.wakeup_topic
            # Other arguments would be refused.
            bus.channel().queue_declare(
                queue, durable=False, auto_delete=True, arguments={
                    'x-expires': 60000, 'x-max-length': 10000,
                    'x-max-length-bytes': 64 * 1024 * 1024})
            self.assertRaises(
                amqp.PreconditionFailed, bus.channel().queue_declare,
                queue, durable=False, auto_delete=True)

    def test_malformed_wake_ups_stop_nothing(self):
        self.start()

        for payload in (None, [], 'x', {'lanes': 1}):
            self.hints.publish(payload)
        self.send(*self.lanes(1))
        self.wait_until(lambda: self.hook.bodies)

        self.assertIn('A malformed wake-up was ignored', self.output())

    def test_sigterm_lets_calls_finish(self):
        self.hook.hang()
        self.start()
        self.send(*self.lanes(10))
        self.wait_until(lambda: self.hook._server._open)

        self.child.send_signal(signal.SIGTERM)
        self.wait_until(lambda: any(
            row.token is None for row in self.outbox.lanes()))
        self.hook.release()

        self.assertEqual(0, self.child.wait(60), self.output())
        self.assertTrue(self.hook.bodies)
        self.assertEqual(
            len(self.hook.bodies), self.outbox.statuses().count('delivered'))
        self.assertEqual(
            set(), {row.token for row in self.outbox.lanes()} - {None})
        self.assertNotIn('Traceback', self.output())

    def test_a_wrong_configuration_is_one_clear_line(self):
        self.start(extra='ca_file = /does/not/exist', ready='ERROR')

        self.assertEqual(1, self.child.wait(60))
        self.assertIn('[notifier] ca_file: No such file', self.output())
        self.assertNotIn('Traceback', self.output())

    def test_a_taken_port_of_the_metrics_is_left_to_the_other(self):
        with socket.create_server(('127.0.0.1', self.metrics)):
            self.start()
            self.metrics += 1

            self.assertIn('doctor_alarm_stage_seconds', self.metrics_page())


class HangingDatabaseTest(Processes):

    def database_url(self):
        self.database = self.useFixture(mariadb.Database())
        return self.database.url

    def test_sigterm_ends_it_all_the_same(self):
        self.hook.hang()
        self.start('timeout = 5\nlease = 200')
        self.send(*self.lanes(10))
        self.wait_until(lambda: self.hook._server._open)

        self.database.server.hang()
        self.addCleanup(self.database.server.go_on)
        self.child.send_signal(signal.SIGTERM)
        self.hook.release()

        self.assertEqual(0, self.child.wait(100), self.output())
        self.assertIn('The database does not answer', self.output())
