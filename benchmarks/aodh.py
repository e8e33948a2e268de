# SPDX-License-Identifier: Apache-2.0
"""Aodh under the faults of doctor_alarm.

Its listener and its notifier stand where our evaluator and notifier do. Each
event of a burst hits one alarm with ``repeat_actions``, so that each is to be
told once. A notification is known by the event that it tells of, since Aodh
gives it no name.
"""

import contextlib
import datetime
import json
import os
import subprocess
import uuid

import fixtures
import psutil
import sqlalchemy as sa

from doctor_alarm.tests.functional.faults import scene
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import receiver
from doctor_alarm.tests import storage
import seeds
import systems

#: The faults that its two processes can be exposed to.
APPLIES = (
    'nothing', 'evaluator_killed', 'notifier_killed', 'everything_killed',
    'broker_stopped', 'broker_killed', 'broker_connections_closed',
    'broker_disk_alarm', 'database_stopped', 'database_killed',
    'database_connections_killed', 'database_read_only', 'receiver_refuses',
    'receiver_hangs', 'receiver_fails', 'receiver_is_busy',
    'receiver_resets', 'receiver_drips')
#: What stands for which of our processes; of the others it has none.
PARTS = {'evaluator': 'aodh-listener', 'notifier': 'aodh-notifier'}
#: Seconds without a call after which nothing comes any more: with empty
#: queues, and with messages that nobody takes.
SILENCE, STUCK = 15, 60

_QUORUM = '\n[oslo_messaging_rabbit]\nrabbit_quorum_queue = true'


class Receiver(receiver.Receiver):
    """Knows events by their message id.

    :ivar numbers: message id -> number of the event among those of its alarm
    """

    def __init__(self):
        super().__init__()
        self.numbers = {}

    def document(self, raw):
        body = json.loads(raw)
        event_id = body['reason_data']['event']['message_id']
        return body | {'notification_id': event_id,
                       'sequence': self.numbers[event_id]}


class Aodh(systems.Aodh):
    """As a user who owns his database and no more, like our services."""

    def __init__(self, servers, directory, quorum):
        super().__init__(servers, directory)
        self._quorum = quorum
        self.children = {}
        self._driver_url = self.driver_url = (
            servers.database.unprivileged_url(self._driver_url))
        self.url = self.driver_url.replace(
            'postgresql+psycopg2:', 'postgresql:')

    def store(self, alarms, url):
        """Make the tables; return the engine to them."""
        super().store(alarms, url)
        return sa.create_engine(self.driver_url, pool_pre_ping=True)

    def start_part(self, part):
        config = self._configure(systems.SHIPPED)
        environment = {name: value for name, value in os.environ.items()
                       if name != 'PYTHONPATH'}
        with open(self._directory / (part + '.log'), 'ab') as log:
            self.children[part] = subprocess.Popen(
                self._command(part, config), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self._directory,
                env=environment, start_new_session=True)

    def kill_part(self, part):
        """kill -9 of a part with its workers"""
        child = self.children[part]
        with contextlib.suppress(psutil.NoSuchProcess):
            for member in psutil.Process(child.pid).children(recursive=True):
                member.kill()
        child.kill()
        child.wait()

    def stop(self):
        for part in self.children:
            self.kill_part(part)

    def _options(self, variant):
        return super()._options(variant) + (_QUORUM if self._quorum else '')


class Cloud:
    """What the faults act on."""

    def __init__(self, servers, system):
        self._system = system
        self.bus, self.database = servers.broker, servers.database
        self.database_url = system.driver_url

    def start(self, name):
        if name in PARTS:
            self._system.start_part(PARTS[name])

    def kill(self, name):
        if name in PARTS:
            self._system.kill_part(PARTS[name])


class Scene(scene.Scene):
    """Aodh on a broker and a database of its own.

    :param quorum: with quorum queues; as shipped a queue dies with its node
    """

    receiver_type = Receiver

    def __init__(self, seed, database, quorum):
        super().__init__(seed)
        self._database, self._quorum = database, quorum
        self._projects, self._sent = {}, {}

    def _open(self):
        servers = systems.Servers(self._database)
        self.addCleanup(servers.close)
        self._servers = servers
        self._system = Aodh(
            servers, self.useFixture(fixtures.TempDir()).path, self._quorum)
        self.cloud = Cloud(servers, self._system)
        self._engine = self._system.store(
            seeds.Seeds(0), self.receiver.url)
        self.addCleanup(self._engine.dispose)
        self._table = sa.Table('alarm', sa.MetaData(),
                               autoload_with=self._engine)
        conf = self.useFixture(storage.Storage()).conf
        if self._quorum:
            conf.set_override('rabbit_quorum_queue', True,
                              group='oslo_messaging_rabbit')
        self._publisher = systems.publisher(servers, self._system, conf)
        self.addCleanup(self._system.stop)
        for name in PARTS:
            self.cloud.start(name)
        self._warm_up()

    def _warm_up(self):
        vm = self.server()
        self.alarm(vm, ['alarm'])
        self.tell(vm, 'error')
        self.until(lambda: not self.missing(), 120, self.logs)

    @property
    def is_mariadb(self):
        return self._database == 'mariadb'

    def server(self):
        """Return the name of a server in a project of its own.

        Aodh looks for new alarms of a project that it knows once a minute.
        """
        vm = super().server()
        self._projects[vm] = uuid.uuid4().hex
        return vm

    def alarm(self, vm, states=(), **alarm):
        now = datetime.datetime.now(datetime.timezone.utc)
        alarm_id = str(uuid.uuid4())
        rule = scenario.rule(vm)
        with self._engine.begin() as conn:
            conn.execute(sa.insert(self._table), {
                'alarm_id': alarm_id, 'enabled': True, 'name': vm,
                'type': 'event', 'severity': 'low', 'description': '',
                'timestamp': now.replace(tzinfo=None), 'user_id': 'u',
                'project_id': self._projects[vm],
                'state': 'insufficient data', 'state_reason': '',
                'state_timestamp': now.replace(tzinfo=None),
                'ok_actions': '[]', 'insufficient_data_actions': '[]',
                'alarm_actions': json.dumps([self.receiver.url]),
                'time_constraints': '[]', 'repeat_actions': True,
                'rule': json.dumps({name: rule[name] for name in (
                    'event_type', 'query')}),
                'evaluate_timestamp': now.replace(tzinfo=None)})
        self.expected[alarm_id] = ['alarm'] * len(states)
        return alarm_id

    def tell(self, vm, state):
        """Tell of one more failure: its alarms know no recovery."""
        project = self._projects[vm]
        own = {'instance_id': vm, 'project_id': project, 'tenant_id': project}
        event = seeds.event(0, 'error', False)
        event['traits'] = [[name, kind, own.get(name, value)]
                           for name, kind, value in event['traits']]
        self._sent[vm] = self._sent.get(vm, 0) + 1
        self.receiver.numbers[event['message_id']] = self._sent[vm]
        self.insist(lambda: self._publisher.publish('event', [event]))

    def teller(self, number):
        return self.tell

    def processes(self):
        return self._system.children

    def over(self, quiet):
        return quiet > STUCK or quiet > SILENCE and not self.unsettled()

    def unsettled(self):
        if self.ended():
            return 'ended: %s' % ', '.join(self.ended())
        waiting = int(self.cloud.bus.evaluate(
            'lists:sum([N || Q <- rabbit_amqqueue:list(<<"/">>),'
            ' [{messages, N}] <- [rabbit_amqqueue:info(Q, [messages])],'
            ' is_integer(N)])'))
        return '%d messages wait' % waiting if waiting else ''

    def logs(self):
        return '\n'.join('== %s\n%s' % (part, self._system.log(part)[-4000:])
                         for part in self.processes())
