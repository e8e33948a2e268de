# SPDX-License-Identifier: Apache-2.0
"""A private MariaDB."""

import itertools
import secrets

import fixtures
import pymysql

from doctor_alarm.tests import services
from doctor_alarm.tests.services import process

USER = 'doctor'


class MariaDB(process.Service):
    """A MariaDB server without fsync: quick, and safe against a kill."""

    name = 'mariadb'
    user = 'mysql'

    def _prepare(self):
        self._numbers = itertools.count(1)
        self._password = secrets.token_hex(8)
        self._socket = self.directory / 's.sock'
        init = self.directory / 'init.sql'
        init.write_text(
            "CREATE USER IF NOT EXISTS '%(user)s'@'%(host)s' IDENTIFIED BY"
            " '%(password)s';\nGRANT ALL ON *.* TO '%(user)s'@'%(host)s'"
            " WITH GRANT OPTION;\n"
            % {'user': USER, 'host': process.HOST,
               'password': self._password})
        self._run(process.find_binary('mariadb-install-db'), *self._options(),
                  '--auth-root-authentication-method=normal',
                  '--skip-test-db')

    def _options(self):
        return ['--no-defaults', '--datadir=%s' % (self.directory / 'data')]

    def _command(self):
        return [
            process.find_binary('mariadbd'), *self._options(),
            *([] if self._identity else ['--user=root']),
            '--bind-address=%s' % process.HOST, '--port=%d' % self.port,
            '--socket=%s' % self._socket,
            '--pid-file=%s' % (self.directory / 'pid'),
            '--init-file=%s' % (self.directory / 'init.sql'),
            '--skip-name-resolve', '--skip-log-bin',
            '--character-set-server=utf8mb4', '--max-connections=400',
            # written at each commit, flushed by the kernel alone
            '--innodb-flush-log-at-trx-commit=2',
            '--innodb-flush-method=nosync',
            '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=32M',
        ]

    def _is_ready(self):
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

    def connect(self, database: str | None = None) -> pymysql.Connection:
        return pymysql.connect(
            host=process.HOST, port=self.port, user=USER,
            password=self._password, database=database, autocommit=True,
            connect_timeout=5)

    def execute(self, statement: str) -> list[tuple]:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @property
    def url(self):
        return self.database_url('mysql')

    def database_url(self, name: str) -> str:
        return 'mysql+pymysql://%s:%s@%s:%d/%s?charset=utf8mb4' % (
            USER, self._password, process.HOST, self.port, name)

    def create_database(self) -> str:
        """Create an empty database; returns its URL."""
        name = 'db%d' % next(self._numbers)
        self.execute('CREATE DATABASE %s' % name)
        return self.database_url(name)

    def unprivileged_url(self, url: str) -> str:
        """Return the URL of a database for one who owns nothing else.

        Like a service in production: ``read_only`` holds for him.
        """
        name = url.rpartition('/')[2].partition('?')[0]
        self.execute("CREATE USER IF NOT EXISTS '%s'@'%s' IDENTIFIED BY '%s'"
                     % (name, process.HOST, self._password))
        self.execute("GRANT ALL ON %s.* TO '%s'@'%s'" % (
            name, name, process.HOST))
        return url.replace('//%s:' % USER, '//%s:' % name)

    def drop_database(self, url: str):
        self.execute('DROP DATABASE %s'
                     % url.rpartition('/')[2].partition('?')[0])


class Database(fixtures.Fixture):
    """An empty database of the shared MariaDB: ``url``, ``server``."""

    def _setUp(self):
        self.server = services.shared(MariaDB)
        self.url = self.server.create_database()
        self.addCleanup(self._drop)

    def _drop(self):
        if self.server.running:
            self.server.drop_database(self.url)
