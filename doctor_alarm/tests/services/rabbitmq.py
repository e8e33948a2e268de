# SPDX-License-Identifier: Apache-2.0
"""A private RabbitMQ."""

import itertools
import os
import secrets
import socket
import subprocess

import fixtures

from doctor_alarm.tests import services
from doctor_alarm.tests.services import process

#: Bytes of disk without which it takes no more messages.
DISK_LIMIT = 10 ** 7
FOLDERS = ('/usr/lib/rabbitmq/bin', '/usr/lib/rabbitmq/lib/*/sbin')


class RabbitMQ(process.Service):
    """A RabbitMQ node with an Erlang port mapper and a cookie of its own."""

    name = 'rabbitmq'
    user = 'rabbitmq'

    def _prepare(self):
        self._numbers = itertools.count(1)
        self._cookie = secrets.token_hex(16)
        self._node = 'da-%d-%d@localhost' % (os.getpid(), self.port)
        self._dist_port = process.free_port()
        self._mapper_port = process.free_port()
        self._write('.erlang.cookie', self._cookie, mode=0o400)
        self._write('env.conf', '')
        self._write('plugins', '[].\n')
        self._write('rabbitmq.conf',
                    'loopback_users.guest = true\n'
                    'disk_free_limit.absolute = %d\n'
                    'log.file = false\n'
                    'log.console = true\n' % DISK_LIMIT)

    def _write(self, name, text, mode=0o644):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        if self._identity:
            os.chown(path, self._identity['user'], self._identity['group'])

    def _environment(self):
        directory = str(self.directory)
        return super()._environment() | {
            'ERL_EPMD_ADDRESS': process.HOST,
            'ERL_EPMD_PORT': str(self._mapper_port),
            'RABBITMQ_CONF_ENV_FILE': directory + '/env.conf',
            'RABBITMQ_CONFIG_FILE': directory + '/rabbitmq',
            'RABBITMQ_ADVANCED_CONFIG_FILE': directory + '/advanced',
            'RABBITMQ_ENABLED_PLUGINS_FILE': directory + '/plugins',
            'RABBITMQ_MNESIA_BASE': directory + '/mnesia',
            'RABBITMQ_LOG_BASE': directory + '/log',
            'RABBITMQ_PID_FILE': directory + '/pid',
            'RABBITMQ_NODENAME': self._node,
            'RABBITMQ_NODE_IP_ADDRESS': process.HOST,
            'RABBITMQ_NODE_PORT': str(self.port),
            'RABBITMQ_DIST_PORT': str(self._dist_port),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '-kernel inet_dist_use_interface {127,0,0,1}'
                ' +S 2:2 +sbwt none',
        }

    def _command(self):
        # The port mapper shares the process group; else the node would
        # start one as a daemon and leave it behind.
        return ['/bin/sh', '-c', '"$0" -address %s -port %d & exec "$1"' % (
                    process.HOST, self._mapper_port),
                process.find_binary('epmd'),
                process.find_binary('rabbitmq-server', *FOLDERS)]

    def _is_ready(self):
        # The listener is opened by the last step of the boot.
        socket.create_connection(
            (process.HOST, self.port), timeout=5).close()
        return True

    @property
    def url(self):
        return self.vhost_url('')

    def vhost_url(self, name: str) -> str:
        return 'rabbit://guest:guest@%s:%d/%s' % (
            process.HOST, self.port, name)

    def evaluate(self, expression: str) -> str:
        """Evaluate Erlang on the node: 10 ms, rabbitmqctl takes a second."""
        answer = subprocess.run(
            [process.find_binary('erl_call'), '-c', self._cookie,
             '-n', self._node, '-e'],
            input=expression + '.\n', env=self._environment(), text=True,
            capture_output=True, timeout=120)
        if not answer.stdout.startswith('{ok, '):
            raise process.ServiceFailed('%s: %s' % (
                expression, answer.stdout + answer.stderr))
        return answer.stdout[len('{ok, '):-1]

    def limit_disk(self, size: int):
        """Set the bytes that must be free: set_disk_free_limit."""
        self.evaluate('rabbit_disk_monitor:set_disk_free_limit(%d)' % size)

    def alarms(self) -> bool:
        """Whether publishers are blocked."""
        return self.evaluate('rabbit_alarm:get_alarms()') != '[]'

    def create_vhost(self) -> str:
        """Create an empty virtual host; returns its transport URL."""
        name = 'v%d' % next(self._numbers)
        self.evaluate(
            'ok = rabbit_vhost:add(<<"%(name)s">>, <<"test">>),'
            ' rabbit_auth_backend_internal:set_permissions(<<"guest">>,'
            ' <<"%(name)s">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)'
            % {'name': name})
        return self.vhost_url(name)

    def delete_vhost(self, url: str):
        """Delete a virtual host with its connections and queues."""
        self.evaluate('rabbit_vhost:delete(<<"%s">>, <<"test">>)'
                      % url.rpartition('/')[2])


class VirtualHost(fixtures.Fixture):
    """An empty virtual host of the shared broker: ``url``, ``server``."""

    def _setUp(self):
        self.server = services.shared(RabbitMQ)
        self.url = self.server.create_vhost()
        self.addCleanup(self._delete)

    def _delete(self):
        if self.server.running:
            self.server.delete_vhost(self.url)
