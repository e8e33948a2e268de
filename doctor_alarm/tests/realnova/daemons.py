# SPDX-License-Identifier: Apache-2.0
"""The processes of the deployment, each with a directory of its own."""

import base64
import concurrent.futures
import os
import pathlib
import shutil
import socket
import sys

import amqp
import kombu

from doctor_alarm.tests.realnova import configuration
from doctor_alarm.tests.realnova import environment
from doctor_alarm.tests.services import process

SERVE = str(pathlib.Path(__file__).with_name('serve.py'))
STUB = str(pathlib.Path(__file__).with_name('stub.py'))


class Daemon(process.Service):
    """A part of the deployment; its log outlives it.

    :param fresh: whether the databases are empty
    """

    project = ''            # whose configuration it reads
    start_timeout = 180     # several of them start at once

    def __init__(self, deployment: configuration.Deployment,
                 log_directory: pathlib.Path, fresh: bool = False):
        super().__init__()
        self.deployment = deployment
        self._log_directory = log_directory
        self._fresh = fresh
        self.after: tuple[concurrent.futures.Future, ...] = ()

    def start(self):
        """Start when everything has happened that it has to come after."""
        for condition in self.after:
            condition.result()
        super().start()

    def _prepare(self):
        self.log_file = self._log_directory / (self.name + '.log')
        for name, text in self._files().items():
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        if self._fresh:
            self._create()

    def _create(self):
        """Fill the empty databases."""

    def _files(self) -> dict[str, str]:
        return {}

    def _manage(self, *arguments):
        """Run an administrator's command with this part's configuration."""
        self._run(*self._serve(
            'command', self.project + '.cmd.manage', self.project + '-manage',
            *self._config_file(), *arguments))

    def _config_file(self):
        return '--config-file', str(self.directory / (self.project + '.conf'))

    def _serve(self, *arguments):
        return [str(environment.python()), SERVE, *arguments]


class Wsgi(Daemon):
    """An API under cheroot."""

    module = ''
    endpoint = ''

    def _prepare(self):
        super()._prepare()
        self.port = self.deployment.ports[self.endpoint]

    def _command(self):
        return self._serve('wsgi', self.module, process.HOST, str(self.port))

    def _is_ready(self):
        # The port is opened when the application has been loaded.
        socket.create_connection((process.HOST, self.port), 5).close()
        return True


class Stub(Wsgi):
    """In the place of Glance and neutron."""

    name = endpoint = 'stub'

    def _command(self):
        return [sys.executable, STUB, process.HOST, str(self.port)]


class Keystone(Wsgi):

    name = project = 'keystone'
    module = 'keystone.wsgi.api'
    endpoint = 'identity'

    def _files(self):
        def key():
            return base64.urlsafe_b64encode(os.urandom(32)).decode()

        return {
            'keystone.conf': configuration.render(
                configuration.keystone(self.deployment, self.directory)),
            # a staged and a primary key
            'fernet-keys/0': key(), 'fernet-keys/1': key()}

    def _environment(self):
        return super()._environment() | {
            'OS_KEYSTONE_CONFIG_DIR': str(self.directory)}

    def _create(self):
        self._manage('db_sync')
        arguments = [
            'bootstrap', '--bootstrap-region-id', configuration.REGION,
            '--bootstrap-password', configuration.PASSWORD]
        for interface in ('admin', 'internal', 'public'):
            arguments += ['--bootstrap-%s-url' % interface,
                          self.deployment.auth_url]
        self._manage(*arguments)


class Placement(Wsgi):

    name = project = endpoint = 'placement'
    module = 'placement.wsgi.api'

    def _files(self):
        return {'placement.conf': configuration.render(
            configuration.placement(self.deployment, self.directory))}

    def _environment(self):
        return super()._environment() | {
            'OS_PLACEMENT_CONFIG_DIR': str(self.directory)}

    def _create(self):
        self._manage('db', 'sync')


class Nova(Daemon):
    """A part of nova that serves RPC."""

    project = 'nova'
    host = configuration.CONTROLLER

    def _files(self):
        return {'nova.conf': configuration.render(
            configuration.nova(self.deployment, self.directory, self.host))}

    def _command(self):
        return self._serve(
            'command', 'nova.cmd.' + self.name.removeprefix('nova-'),
            self.name, *self._config_file())

    def queue(self) -> str:
        """The name of the queue that it consumes from."""
        return self.name.removeprefix('nova-')

    def _is_ready(self):
        # Sooner, and surer, than what its heartbeats say.
        try:
            with kombu.Connection(self.deployment.amqp_url) as connection:
                return connection.default_channel.queue_declare(
                    queue=self.queue(), passive=True).consumer_count
        except (amqp.NotFound, kombu.exceptions.OperationalError):
            return False


class Conductor(Nova):

    name = 'nova-conductor'

    def _create(self):
        self._manage('api_db', 'sync')
        self._manage('cell_v2', 'map_cell0', '--database_connection',
                    configuration.CELL0_DATABASE_URL)
        self._manage('db', 'sync')
        self._manage('cell_v2', 'create_cell', '--name', 'cell1',
                    '--transport-url', configuration.CELL_TRANSPORT_URL,
                    '--database_connection', configuration.CELL_DATABASE_URL)

    def discover_hosts(self):
        """Let the scheduler use the computes that have started."""
        self._manage('cell_v2', 'discover_hosts')


class Scheduler(Nova):

    name = 'nova-scheduler'


class Compute(Nova):

    def __init__(self, host, *args):
        super().__init__(*args)
        self.host = host

    @property
    def name(self):
        return 'nova-compute-' + self.host

    def _files(self):
        return super()._files() | {
            'compute_id': configuration.node_id(self.host)}

    def _command(self):
        return self._serve(
            'command', 'nova.cmd.compute', 'nova-compute',
            *self._config_file())

    def queue(self):
        return 'compute.' + self.host


class NovaApi(Nova, Wsgi):

    name = 'nova-api'
    module = 'nova.wsgi.osapi_compute'
    endpoint = 'compute'

    _command = Wsgi._command
    _is_ready = Wsgi._is_ready

    def _prepare(self):
        super()._prepare()
        # Not with OS_NOVA_CONFIG_FILES, whose first file would have to be
        # this one.
        shutil.copy(environment.directory() / 'etc' / 'nova' / 'api-paste.ini',
                    self.directory)

    def _environment(self):
        return super()._environment() | {
            'OS_NOVA_CONFIG_DIR': str(self.directory)}
