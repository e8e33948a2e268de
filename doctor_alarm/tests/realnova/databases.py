# SPDX-License-Identifier: Apache-2.0
"""The databases of the deployment, and prepared copies of them.

To migrate five schemas and to let two computes register takes most of a first
start. A copy of the databases after that, kept beside the environment, takes
a second to load.
"""

import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess

import fixtures
import sqlalchemy

from doctor_alarm.tests import services
from doctor_alarm.tests.realnova import environment
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import process

# nova derives the name of its last one from that of the one before
NAMES = ('keystone', 'placement', 'nova_api', 'nova', 'nova_cell0')

_numbers = itertools.count(1)


class Databases(fixtures.Fixture):
    """Empty databases of the shared MariaDB: ``urls`` by name."""

    def _setUp(self):
        self._server = services.shared(mariadb.MariaDB)
        prefix = 'realnova%d_' % next(_numbers)
        self.names = {name: prefix + name for name in NAMES}
        self.addCleanup(self._drop)
        for name in self.names.values():
            self._server.execute('CREATE DATABASE %s' % name)

    def _drop(self):
        if self._server.running:
            for name in self.names.values():
                self._server.execute('DROP DATABASE IF EXISTS %s' % name)

    @property
    def urls(self) -> dict[str, str]:
        return {name: self._server.database_url(database)
                for name, database in self.names.items()}

    def load(self, endpoints: dict[str, str]) -> bool:
        """Load the prepared databases, if there are any.

        :param endpoints: the catalogue that Keystone shall have
        """
        source = _prepared()
        if not source.exists():
            return False
        with contextlib.ExitStack() as stack:
            for name in NAMES:
                dump = stack.enter_context(open(source / (name + '.sql')))
                stack.callback(self._finish, self._client(
                    'mariadb', name, stdin=dump))
        for service_type, url in endpoints.items():
            self._server.execute(
                "UPDATE %(db)s.endpoint JOIN %(db)s.service"
                " ON service.id = endpoint.service_id"
                " SET endpoint.url = '%(url)s' WHERE service.type = '%(type)s'"
                % {'db': self.names['keystone'], 'url': url,
                   'type': service_type})
        # A compute is up at once when it was up just now; else only after
        # its first heartbeat, five seconds after its start.
        self._server.execute('UPDATE %s.services SET last_seen_up = '
                             'UTC_TIMESTAMP()' % self.names['nova'])
        return True

    def save(self):
        """Keep copies of the databases for the next time."""
        target = _prepared()
        with environment.locked(target):
            if target.exists():
                return
            partial = pathlib.Path('%s.partial' % target)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for name in NAMES:
                with open(partial / (name + '.sql'), 'w') as dump:
                    self._finish(self._client(
                        'mariadb-dump', name, '--single-transaction',
                        stdout=dump))
            partial.rename(target)

    def _client(self, program, name, *options, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL):
        url = sqlalchemy.make_url(self.urls[name])
        return subprocess.Popen(
            [process.find_binary(program), '--no-defaults',
             '--host=%s' % url.host, '--port=%d' % url.port,
             '--user=%s' % url.username, *options, url.database],
            env={'MYSQL_PWD': url.password, 'LC_ALL': 'C.UTF-8',
                 'PATH': os.environ.get('PATH', os.defpath)},
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def _finish(client):
        errors = client.communicate()[1]
        if client.returncode:
            raise process.ServiceFailed(
                '%s: %s' % (client.args[0], errors))


def _prepared():
    """Where the copies made with this code and this nova are."""
    sources = sorted(pathlib.Path(__file__).parent.glob('*.py'))
    return pathlib.Path('%s-databases-%s' % (
        environment.directory(),
        environment.digest(*(path.read_bytes() for path in sources))))
