# SPDX-License-Identifier: Apache-2.0

import socket

import fixtures
import kombu
import sqlalchemy

from doctor_alarm.tests import base
from doctor_alarm.tests import services
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.services import process
from doctor_alarm.tests.services import rabbitmq


def listens(port):
    with socket.socket() as sock:
        return sock.connect_ex((process.HOST, port)) == 0


def alive(processes):
    return [member for member in processes if process.exists(member)]


class LifeCycle:
    """What every service promises, on an instance of its own."""

    kind = None

    def write(self, service):
        raise NotImplementedError

    def read(self, service):
        """Return what was written."""
        raise NotImplementedError

    def test_life_cycle(self):
        service = self.useFixture(self.kind())
        self.write(service)

        for end in (service.stop, service.kill):
            processes = service.processes()
            self.assertNotEqual([], processes)

            end()

            self.assertFalse(service.running)
            self.assertFalse(listens(service.port))
            self.assertEqual([], alive(processes))

            service.start()

            self.assertTrue(service.running)
            self.assertEqual('kept', self.read(service))

    def test_nothing_is_left(self):
        service = self.kind()
        service.setUp()
        processes = service.processes()
        self.assertTrue(service.directory.exists())

        service.cleanUp()

        self.assertEqual([], alive(processes))
        self.assertFalse(listens(service.port))
        self.assertFalse(service.directory.exists())

    def test_the_guard_ends_the_service_of_a_lost_worker(self):
        service = self.useFixture(self.kind())
        processes = service.processes()

        # what the kernel does when the worker is killed
        service._guard.stdin.close()

        self.wait_until(lambda: not alive(processes))
        self.wait_until(lambda: not service.directory.exists())

    def test_a_failed_start_shows_the_log(self):
        class Broken(self.kind):
            def _command(self):
                return ['/bin/sh', '-c', 'echo no such luck; exit 1']

        error = self.assertRaises(
            fixtures.MultipleExceptions, Broken().setUp)

        self.assertIn('no such luck', str(error))


class Database(LifeCycle):

    def write(self, service):
        self.target = service.create_database()
        self._execute('CREATE TABLE note (text VARCHAR(20))')
        self._execute("INSERT INTO note VALUES ('kept')")

    def read(self, service):
        return self._execute('SELECT text FROM note').scalar()

    def _execute(self, statement):
        engine = sqlalchemy.create_engine(
            self.target, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement))
            return result.freeze()() if result.returns_rows else None


class MariaDBTest(Database, base.TestCase):
    kind = mariadb.MariaDB


class PostgreSQLTest(Database, base.TestCase):
    kind = postgresql.PostgreSQL


class RabbitMQTest(LifeCycle, base.TestCase):
    kind = rabbitmq.RabbitMQ

    def write(self, service):
        self.target = service.create_vhost()
        with self._connect() as connection:
            channel = connection.channel()
            kombu.Producer(channel, on_return=None).publish(
                'kept', routing_key='notes', declare=[self._queue(channel)],
                delivery_mode='persistent')

    def read(self, service):
        with self._connect() as connection:
            # the message is left in the queue for the next reading
            message = self.wait_until(self._queue(connection).get)
            return message.payload

    def _connect(self):
        return kombu.Connection(
            self.target.replace('rabbit:', 'amqp:'),
            transport_options={'confirm_publish': True})

    def _queue(self, channel):
        return kombu.Queue(
            'notes', channel=channel,
            queue_arguments={'x-queue-type': 'quorum'})


class SharedTest(base.TestCase):
    """The corners of the instances that a worker process shares."""

    def check(self, corner, other):
        self.assertNotEqual(corner.url, other.url)
        self.assertIs(corner.server, other.server)

        corner.server.kill()

        self.assertIs(corner.server, services.shared(type(corner.server)))
        self.assertTrue(corner.server.running)

    def test_mariadb(self):
        self.check(self.useFixture(mariadb.Database()),
                   self.useFixture(mariadb.Database()))

    def test_postgresql(self):
        self.check(self.useFixture(postgresql.Database()),
                   self.useFixture(postgresql.Database()))

    def test_rabbitmq(self):
        self.check(self.useFixture(rabbitmq.VirtualHost()),
                   self.useFixture(rabbitmq.VirtualHost()))
