# SPDX-License-Identifier: Apache-2.0
"""The distributed service: real processes, a real broker, a real database."""

import os
import signal
import subprocess
import sys
import time

import fixtures
import kombu
import oslo_messaging
import requests
from testtools import content
from testtools import content_type

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import process
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage

#: Seconds that the parts have to start, four at once on a busy machine.
READY = 180
ADMIN = {'X-User-Id': 'u', 'X-Project-Id': 'admin', 'X-Roles': 'admin'}

_CONFIG = """
[DEFAULT]
transport_url = %(bus)s
debug = %(debug)s
[database]
connection = %(database)s
max_retries = -1
retry_interval = 1
[api]
host = 127.0.0.1
port = %(port)d
auth_mode = noauth
[credential]
key_file = %(keys)s
[notifier]
timeout = 2
retry_initial = 0.2
retry_max = 1
lease = 5
allowed_networks = 127.0.0.0/8
%(extra)s
"""


class Deployment(fixtures.Fixture):
    """Agent, evaluator, notifier and API as processes of their own.

    :param database: the fixture of the database
    :ivar bus, database: the services, to be stopped and started by tests
    :ivar bus_url: transport URL, without settings of queues
    :ivar database_url: as the services know it, as a user without privileges
    :ivar processes: name -> Popen
    """

    def __init__(self, parts=('agent', 'evaluator', 'notifier', 'api'),
                 extra='', bus_url=None, debug=True,
                 database=mariadb.Database):
        self._database = database
        self._parts = parts
        self._extra = extra
        self._debug = debug
        self.bus_url = bus_url
        self.processes = {}
        self._tails = ''

    def _setUp(self):
        self.directory = self.useFixture(fixtures.TempDir()).path
        if self.bus_url is None:
            virtual_host = self.useFixture(rabbitmq.VirtualHost())
            self.bus, self.bus_url = virtual_host.server, virtual_host.url
        database = self.useFixture(self._database())
        self.database = database.server
        self.storage = self.useFixture(storage.Storage(database.url))
        self.storage.conf.set_override('transport_url', self.bus_url)
        self.port = process.free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        self.config = os.path.join(self.directory, 'doctor-alarm.conf')
        self.database_url = self.database.unprivileged_url(database.url)
        with open(self.config, 'w') as config:
            config.write(_CONFIG % {
                'bus': self.bus_url, 'database': self.database_url,
                'port': self.port, 'debug': self._debug,
                'keys': self.storage.key_file,
                'extra': self._extra % {'bus': self.bus_url}})
        self.addCleanup(self._end_all)
        self.addDetail('logs', content.Content(
            content_type.UTF8_TEXT, lambda: [self._tails.encode()]))
        for name in self._parts:
            self.start(name)
        self._wait_ready()

    def start(self, name, as_name=None):
        """Start a part, again or another one of it."""
        key = as_name or name
        path = os.path.join(self.directory, key + '.log')
        with open(path, 'ab') as log:
            self.processes[key] = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.' + name,
                 '--config-file', self.config],
                stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True)
        return self.processes[key]

    def kill(self, name):
        """kill -9"""
        self.processes[name].kill()
        self.processes[name].wait(10)

    def stop(self, name):
        """SIGTERM; returns the exit status."""
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(60)

    def log(self, name):
        with open(os.path.join(self.directory, name + '.log'),
                  errors='replace') as log:
            return log.read()

    def notifier(self, exchange='nova', topic='notifications',
                 publisher_id='compute.h1', query=''):
        """Return a notifier as OpenStack services have them."""
        return notifier(self, self.bus_url + query, exchange, topic,
                        publisher_id)

    def waiting(self, queue):
        """Number of messages that are ready in a queue."""
        transport = messaging.get_own_transport(self.storage.conf)
        with kombu.Connection(dead_letter.kombu_url(transport)) as conn:
            return conn.channel().queue_declare(
                queue, passive=True).message_count

    def unfinished(self, queue):
        """Number of messages that are ready or not acknowledged."""
        return int(self.bus.evaluate(
            '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r('
            '<<"%s">>, queue, <<"%s">>)),'
            ' [{messages, M}] = rabbit_amqqueue:info(Q, [messages]), M' % (
                self.bus_url.rpartition('/')[2], queue)))

    def api(self, method, path, json=None, headers=ADMIN):
        """Call the API; returns the answer, which must be a success."""
        answer = requests.request(
            method, self.url + path, json=json, headers=headers, timeout=60)
        if answer.status_code >= 400:
            raise AssertionError('%s %s: %d %s' % (
                method, path, answer.status_code, answer.text))
        return answer.json() if answer.content else None

    def create_alarm(self, project_id='p1', **alarm):
        """Define an alarm over the API; returns its id."""
        return self.api('POST', '/v2/alarms', {
            'name': 'vm down', 'type': 'event', 'project_id': project_id,
            **alarm})['alarm_id']

    def _wait_ready(self):
        deadline = time.monotonic() + READY
        while not self._ready():
            if time.monotonic() > deadline:
                raise AssertionError('not ready after %d s' % READY)
            time.sleep(0.05)

    def _ready(self):
        for name, child in self.processes.items():
            if child.poll() is not None:
                raise AssertionError('%s ended with %d:\n%s' % (
                    name, child.returncode, self.log(name)[-3000:]))
        if 'api' in self.processes:
            try:
                requests.get(self.url + '/healthcheck', timeout=5)
            except (requests.ConnectionError, requests.Timeout):
                return False
        return all('listens' in self.log(name) for name in self.processes
                   if name != 'api')

    def _end_all(self):
        for child in self.processes.values():
            if child.poll() is None:
                child.terminate()
        for child in self.processes.values():
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        # Kept for the report of a failure: the folder is removed by then.
        self._tails = ''.join('== %s\n%s\n' % (name, self.log(name)[-4000:])
                              for name in self.processes)


def notifier(test, url, exchange='nova', topic='notifications',
             publisher_id='compute.h1'):
    """Return a notifier on a bus, for the time of a test."""
    conf = test.useFixture(storage.Storage()).conf
    conf.set_override('control_exchange', exchange)
    transport = oslo_messaging.get_notification_transport(conf, url=url)
    test.addCleanup(transport.cleanup)
    return oslo_messaging.Notifier(
        transport, publisher_id=publisher_id, driver='messagingv2',
        topics=[topic])
