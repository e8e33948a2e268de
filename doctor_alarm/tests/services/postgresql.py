# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL."""

import contextlib
import itertools
import signal

import fixtures
import psycopg2

from doctor_alarm.tests import services
from doctor_alarm.tests.services import process

USER = 'doctor'
FOLDERS = ('/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin')


class PostgreSQL(process.Service):
    """A PostgreSQL server without fsync: quick, and safe against a kill."""

    name = 'postgresql'
    user = 'postgres'
    stop_signal = signal.SIGINT     # "fast": does not wait for clients

    def _prepare(self):
        self._numbers = itertools.count(1)
        self._run(process.find_binary('initdb', *FOLDERS),
                  '--pgdata=%s' % self._data(), '--username=%s' % USER,
                  '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8',
                  '--no-sync', '--no-instructions')

    def _data(self):
        return self.directory / 'data'

    def _command(self):
        settings = {
            'listen_addresses': process.HOST,
            'port': self.port,
            'unix_socket_directories': self.directory,
            'max_connections': 400,
            'fsync': 'off',
            'full_page_writes': 'off',
            'log_min_messages': 'warning',
        }
        return [process.find_binary('postgres', *FOLDERS),
                '-D', str(self._data()),
                *('--%s=%s' % item for item in settings.items())]

    def _is_ready(self):
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def connect(self, database: str = 'postgres'):
        connection = psycopg2.connect(
            host=process.HOST, port=self.port, user=USER, dbname=database,
            connect_timeout=5)
        connection.autocommit = True
        return connection

    def execute(self, statement: str) -> list[tuple]:
        with (contextlib.closing(self.connect()) as connection,
              connection.cursor() as cursor):
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @property
    def url(self):
        return self.database_url('postgres')

    def database_url(self, name: str) -> str:
        return 'postgresql+psycopg2://%s@%s:%d/%s' % (
            USER, process.HOST, self.port, name)

    def create_database(self) -> str:
        """Create an empty database; returns its URL."""
        name = 'db%d' % next(self._numbers)
        self.execute('CREATE DATABASE %s' % name)
        return self.database_url(name)

    def unprivileged_url(self, url: str) -> str:
        """Return the URL of a database for one who owns it and no more."""
        name = url.rpartition('/')[2]
        self.execute('CREATE ROLE %s LOGIN' % name)
        self.execute('ALTER DATABASE %s OWNER TO %s' % (name, name))
        self.execute('GRANT %s TO %s' % (USER, name))
        return url.replace('//%s@' % USER, '//%s@' % name)

    def drop_database(self, url: str):
        """Drop a database although somebody may be connected to it."""
        self.execute('DROP DATABASE %s WITH (FORCE)' % url.rpartition('/')[2])


class Database(fixtures.Fixture):
    """An empty database of the shared PostgreSQL: ``url``, ``server``."""

    def _setUp(self):
        self.server = services.shared(PostgreSQL)
        self.url = self.server.create_database()
        self.addCleanup(self._drop)

    def _drop(self):
        if self.server.running:
            self.server.drop_database(self.url)
