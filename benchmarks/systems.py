# SPDX-License-Identifier: Apache-2.0
"""Aodh and doctor_alarm as processes beside one broker and one database."""

import abc
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import psutil
import sqlalchemy as sa

from doctor_alarm import messaging
from doctor_alarm.tests.realnova import environment
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage
import seeds

CONSTRAINTS = pathlib.Path(__file__).with_name('aodh-constraints.txt')
#: Names an environment that has Aodh already.
OVERRIDE = 'DOCTOR_ALARM_AODH_VENV'
PACKAGES = ('aodh', 'python-heatclient', 'PyMySQL', 'psycopg[binary]')
SOURCE_ONLY = 'simplegeneric'       # not published as a wheel

#: Loggers that INFO or DEBUG comes from
LOGGERS = (
    'aodh', 'doctor_alarm', 'oslo_messaging', 'oslo_service', 'oslo_db',
    'amqp', 'sqlalchemy', 'urllib3', 'requests', 'stevedore', 'futurist',
    'keystoneauth', 'keystoneclient', 'cotyledon', 'alembic')


class MariaDB(mariadb.MariaDB):
    """With a buffer pool that a million alarms fit into."""

    def _command(self):
        return [*super()._command(), '--innodb-buffer-pool-size=1G',
                '--innodb-log-file-size=256M']


DATABASES = {'mariadb': MariaDB, 'postgresql': postgresql.PostgreSQL}


class Servers:
    """The broker and the database that both services share."""

    def __init__(self, database):
        self.broker = rabbitmq.RabbitMQ()
        self.broker.setUp()
        self.database = DATABASES[database]()
        self.database.setUp()

    def members(self):
        """Yield (name, process) of all processes of both."""
        for server in (self.broker, self.database):
            for member in server.processes():
                yield server.name, member

    def close(self):
        self.database.cleanUp()
        self.broker.cleanUp()

    def unfinished(self, queue):
        """Messages that wait in a queue or are not acknowledged."""
        return int(self.broker.evaluate(
            '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r('
            '<<"/">>, queue, <<"%s">>)),'
            ' [{messages, N}] = rabbit_amqqueue:info(Q, [messages]), N'
            % queue))

    def wait_drained(self, queue, seconds):
        """Wait until a queue is worked off; return when, as epoch.

        The broker itself looks, for a client that asks all the time would
        cost more than what is measured.
        """
        answer = self.broker.evaluate(
            '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r('
            '<<"/">>, queue, <<"%s">>)),'
            ' F = fun F(Left) ->'
            ' [{messages, N}] = rabbit_amqqueue:info(Q, [messages]),'
            ' if N == 0; Left =< 0 -> {N, os:system_time(microsecond)};'
            ' true -> timer:sleep(10), F(Left - 10) end end, F(%d)'
            % (queue, seconds * 1000))
        left, when = answer.strip('{}').split(',')
        return int(left), int(when) / 1e6


class System(abc.ABC):
    """A service under test.

    :ivar topic, exchange: where its events go
    """

    name = ''
    topic = exchange = ''
    parts = ()
    copies = 1

    def __init__(self, servers, directory):
        self._servers = servers
        self._directory = pathlib.Path(directory)
        self._children = []
        self.url = servers.database.create_database()

    @property
    def queue(self):
        return self.topic + '.sample'

    def message(self, event):
        """Return type and payload of the message that brings an event."""
        return 'event', [event]

    @abc.abstractmethod
    def store(self, alarms, url):
        """Make the tables and store the alarms."""

    @abc.abstractmethod
    def _command(self, part, config):
        """The command line of a part."""

    @abc.abstractmethod
    def _options(self, variant):
        """What else the configuration says."""

    def start(self, variant, parts=None):
        """Start all parts, or some of them.

        :param variant: has ``quiet``: log warnings only, and ``threads``
        """
        config = self._configure(variant)
        parts = tuple(parts or self.parts)
        for part in parts:
            (self._directory / (part + '.log')).write_bytes(b'')
        for part in parts * self.copies:
            with open(self._directory / (part + '.log'), 'ab') as log:
                self._children.append((part, subprocess.Popen(
                    self._command(part, config), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, cwd=self._directory,
                    env={k: v for k, v in os.environ.items()
                         if k != 'PYTHONPATH' or self.name != 'aodh'},
                    start_new_session=True)))

    def _configure(self, variant):
        config = self._directory / (self.name + '.conf')
        levels = 'default_log_levels = %s' % ','.join(
            name + '=WARNING' for name in LOGGERS)
        config.write_text('\n'.join((
            '[DEFAULT]', 'transport_url = %s' % self._servers.broker.url,
            levels if variant.quiet else '', self._options(variant),
            '[database]', 'connection = %s' % self.url, '')))
        return config

    def members(self):
        """Yield (part, process) of all processes."""
        for part, child in self._children:
            try:
                main = psutil.Process(child.pid)
                yield part, main
                for member in main.children(recursive=True):
                    yield part, member
            except psutil.NoSuchProcess:
                continue

    def signal(self, number):
        for _part, member in list(self.members()):
            member.send_signal(number)

    def check(self):
        """:raises RuntimeError: a part is not there any more"""
        for part, child in self._children:
            if child.poll() is not None:
                raise RuntimeError('%s ended:\n%s' % (
                    part, self.log(part)[-3000:]))

    def log(self, part):
        return (self._directory / (part + '.log')).read_text(errors='replace')

    def stop(self, parts=None):
        """End all parts, or some, at once: what they leave is forgotten."""
        parts = tuple(parts or self.parts)
        family = [member for part, member in self.members() if part in parts]
        for member in family:
            member.send_signal(signal.SIGKILL)
        for part, child in self._children:
            if part in parts:
                child.wait()
        self._children = [(part, child) for part, child in self._children
                          if part not in parts]

    def drop(self):
        self._servers.database.drop_database(self.url)


class Ours(System):
    """Evaluator and notifier, or more; several of them share the broker.

    :param parts: with an agent, events come as nova's notifications
    :param copies: processes of each part
    :param options: lines of configuration, with their sections
    """

    name = 'doctor_alarm'
    exchange = 'ceilometer'

    def __init__(self, servers, directory, number=0, *,
                 parts=('evaluator', 'notifier'), copies=1, options=''):
        super().__init__(servers, directory)
        self.topic = 'alarm.ours%d' % number
        self.parts, self.copies = parts, copies
        self._extra = options
        if self.notified:
            self.exchange = 'nova'

    @property
    def notified(self):
        """Whether an agent gets notifications."""
        return 'agent' in self.parts

    @property
    def queue(self):
        return '%s.%s' % (self.topic, self.priority)

    @property
    def priority(self):
        return 'info' if self.notified else 'sample'

    def message(self, event):
        if self.notified:
            return seeds.notification(event)
        return super().message(event)

    def store(self, alarms, url):
        self.storage = storage.Storage(self.url)
        self.storage.setUp()
        self.storage.conf.set_override(
            'transport_url', self._servers.broker.url)
        seeds.store_ours(self.storage.db, alarms, url)

    def _command(self, part, config):
        return [sys.executable, '-m', 'doctor_alarm.cmd.' + part,
                '--config-file', str(config)]

    def _options(self, variant):
        # An agent reads the topic, or else the evaluator does.
        return '\n'.join((
            '[agent]', 'topics = ' + self.topic, 'exchanges = nova',
            '[evaluator]', 'ceilometer_topic = %s' % (
                '' if self.notified else self.topic),
            'event_topic = %s.event' % self.topic,
            '[notifier]', 'wakeup_topic = %s.wakeup' % self.topic,
            'allowed_networks = 127.0.0.0/8', self._extra))

    def wait_listening(self, seconds=60):
        """Wait until all parts listen; they must log at INFO."""
        deadline = time.monotonic() + seconds
        while any(self.log(part).count(' listens') < self.copies
                  for part in self.parts if part != 'api'):
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError('not every part listens')
            time.sleep(0.002)

    def drop(self):
        self.storage.cleanUp()
        super().drop()


class Aodh(System):
    """aodh-listener and aodh-notifier."""

    name = 'aodh'
    topic, exchange = 'alarm.all', 'aodh'
    parts = ('aodh-listener', 'aodh-notifier')

    def __init__(self, servers, directory):
        super().__init__(servers, directory)
        # Aodh takes a name without a driver only, for which SQLAlchemy takes
        # psycopg 3.
        self._driver_url = self.url
        self.url = self.url.replace('postgresql+psycopg2:', 'postgresql:')

    def store(self, alarms, url):
        config = self._configure(SHIPPED)
        done = subprocess.run(
            self._command('aodh-dbsync', config), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise RuntimeError('aodh-dbsync: %s' % done.stdout[-3000:])
        engine = sa.create_engine(self._driver_url)
        seeds.store_aodh(engine, alarms, url)
        engine.dispose()

    def _command(self, part, config):
        # Scripts of an environment that was renamed point nowhere.
        # -P: a module beside these benchmarks is not the package.
        return [str(python()), '-P', '-c', _SCRIPT % _MAINS[part],
                '--config-file', str(config)]

    def _options(self, variant):
        threads = ('executor_thread_pool_size = %d' % variant.threads
                   if variant.threads else '')
        # The history names who made a change: nobody, without Keystone.
        return '\n'.join((
            threads, '[service_credentials]', 'auth_type = none'))


_SCRIPT = 'import sys; from aodh.cmd.%s as main; sys.exit(main())'
_MAINS = {'aodh-listener': 'alarm import listener',
          'aodh-notifier': 'alarm import notifier',
          'aodh-dbsync': 'storage import dbsync'}


class Variant:
    """How a service is run."""

    def __init__(self, name, quiet, threads=None):
        self.name, self.quiet, self.threads = name, quiet, threads


SHIPPED = Variant('shipped', quiet=False)
VARIANTS = {variant.name: variant for variant in (
    SHIPPED, Variant('warning', quiet=True),
    Variant('tuned', quiet=True, threads=4))}


def own_publisher(servers, system, conf):
    """Return what sends lists of events as an agent does."""
    conf.set_override('transport_url', servers.broker.url)
    return messaging.Publisher(
        messaging.get_own_transport(conf), system.topic + '.event', 'bench')


def publisher(servers, system, conf):
    """Return what sends events to a service; waits for confirmations."""
    conf.set_override('transport_url', servers.broker.url)
    return messaging.Publisher(
        messaging.get_transport(conf), system.topic, 'bench',
        exchange=system.exchange,
        priority=getattr(system, 'priority', 'sample'))


def python():
    """Return the interpreter of Aodh's environment, installed if need be."""
    if OVERRIDE in os.environ:
        return pathlib.Path(os.environ[OVERRIDE], 'bin', 'python').absolute()
    target = environment.CACHE / ('aodh-%s' % environment.digest(
        CONSTRAINTS.read_bytes(), repr(sys.version_info[:2]).encode()))
    interpreter = target / 'bin' / 'python'
    with environment.locked(target):
        if not interpreter.exists():
            _build(target)
    return interpreter


def _build(target):
    partial = pathlib.Path('%s.partial' % target)
    shutil.rmtree(partial, ignore_errors=True)
    for arguments in (
            ('venv', '--without-pip', str(partial)),
            ('pip', '--python', str(partial / 'bin' / 'python'), 'install',
             '--quiet', '--no-input', '--disable-pip-version-check',
             '--only-binary=:all:', '--no-binary=' + SOURCE_ONLY,
             *PACKAGES)):
        subprocess.run(
            [sys.executable, '-m', *arguments], check=True,
            env=os.environ | {'PIP_CONSTRAINT': str(CONSTRAINTS)})
    partial.rename(target)
