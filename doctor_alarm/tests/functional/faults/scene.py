# SPDX-License-Identifier: Apache-2.0
"""Servers that fail and recover in a burst, and who is told of it.

Those who tell insist, as a monitor or an outbox does: nova's side repeats a
notification, with its id, until the broker confirmed it, a detector repeats
its POST until it was accepted. So whatever is missing at the receiver was
lost by us.
"""

import collections
import contextlib
import datetime
import random
import subprocess
import threading
import time
import uuid

import fixtures
import psutil
import requests
import sqlalchemy as sa

from doctor_alarm.agent import send
from doctor_alarm.db import models
from doctor_alarm import dead_letter
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import receiver
from doctor_alarm.tests.services import mariadb

SERVERS = 50
#: Events of each server, error and active in turn: a burst of 1,000.
TURNS = 20
#: Every so many servers are told of over HTTP, the others by nova.
OVER_HTTP = 5
#: Detectors that post at once.
CLIENTS = 10
MEMBER = {'X-User-Id': 'u', 'X-Project-Id': 'p1', 'X-Roles': 'member'}
#: Bytes of the disk of standalone.
DISK = 64 * 2 ** 20
#: Seconds after which a scene gives up.
PATIENCE = 180
#: Seconds without a call after which nothing more is waited for: longer than
#: leases and pauses of the scene.
SILENCE = 45
#: Seconds between attempts of those who insist.
PAUSE = 0.1

#: Of the notifier. No receiver that works is slow enough to be asked again,
#: however busy the machine is: that would be a repetition without a fault.
_PATIENT = 'timeout = 6\nlease = 15\n'
_QUORUM = '?rabbit_quorum_queue=true'

Level = collections.namedtuple('Level', 'mb files threads')


class Scene(fixtures.Fixture):
    """What standalone and distributed scenes have in common.

    :ivar chance: random numbers of the seed
    :ivar expected: alarm id -> states that are to be told, in their order
    :ivar about: what a fault tells of itself
    """

    over_http = 1
    receiver_type = receiver.Receiver

    def __init__(self, seed=0):
        self.chance = random.Random(seed)
        self._names = 0

    def _setUp(self):
        self.receiver = self.useFixture(self.receiver_type())
        self.expected = {}
        self._ended = threading.Event()
        self.addCleanup(self._ended.set)
        self._open()

    def _open(self):
        raise NotImplementedError

    def begin(self):
        """Forget what was; whoever caused a fault has repaired it."""
        self.receiver.bodies.clear()
        self.receiver.headers.clear()
        self.receiver.refusals.clear()
        self.expected = {}
        self.about = ''
        self.sent_at = self.repaired_at = time.time()

    def until(self, predicate, seconds=PATIENCE, message=None):
        return base.wait_until(predicate, seconds, message)

    def last(self, seconds):
        """Let a fault last. This time is the fault, not a wait for it."""
        time.sleep(seconds)

    # Alarms

    def server(self):
        """Return a name that no server had before."""
        self._names += 1
        return 'vm%d' % self._names

    def alarm(self, vm, states=(), **alarm):
        """Define an alarm on a server; returns its id."""
        alarm_id = self._create({
            'name': vm or 'any', 'type': 'event', 'project_id': 'p1',
            'event_rule': scenario.rule(vm),
            'alarm_actions': [self.receiver.url],
            'ok_actions': [self.receiver.url], **alarm})
        self.expected[alarm_id] = list(states)
        return alarm_id

    def _create(self, doc):
        return self.api('POST', '/v2/alarms', doc).json()['alarm_id']

    def api(self, method, path, doc=None, headers=deployment.ADMIN):
        """Call the API until it succeeds."""
        def call():
            answer = requests.request(method, self.url + path, json=doc,
                                      headers=headers, timeout=60)
            if answer.status_code >= 500:
                raise exception.PublishFailed(
                    topic=path, reason=answer.text)
            assert answer.status_code < 400, answer.text
            return answer
        return self.insist(call)

    # Events

    def insist(self, effect):
        """Repeat what somebody does until it works."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return effect()
            except (exception.PublishFailed, requests.RequestException) as exc:
                if self._ended.wait(PAUSE):
                    raise
                if time.monotonic() > deadline:
                    raise AssertionError('refused for %g s: %s' % (
                        PATIENCE, exc)) from exc

    def post(self, vm, state, when=None):
        """Tell of a server over HTTP."""
        self.api('POST', '/v1/events', {'event': {
            'time': (when or _now()).isoformat(),
            'type': 'compute.instance.update',
            'details': {'instance_id': vm, 'state': state}}}, MEMBER)

    tell = post

    def teller(self, number):
        """Return the way in which a server is told of."""
        return self.tell if number % self.over_http else self.post

    @contextlib.contextmanager
    def bursting(self, servers=SERVERS, turns=TURNS):
        """Let servers fail and recover meanwhile; ends when all is sent."""
        ways = collections.defaultdict(list)
        for number in range(servers):
            vm = self.server()
            self.alarm(vm, ('alarm', 'ok') * (turns // 2))
            tell = self.teller(number)
            ways[tell, tell == self.post and number % CLIENTS].append(vm)
        failures = []
        threads = [threading.Thread(
            target=self._burst, args=(tell, names, turns, failures),
            daemon=True) for (tell, _), names in ways.items()]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join(PATIENCE)
        assert not failures, failures
        assert not any(thread.is_alive() for thread in threads), (
            'somebody still tries to tell')
        self.sent_at = time.time()

    def _burst(self, tell, names, turns, failures):
        try:
            for turn in range(turns):
                for vm in names:
                    tell(vm, ('error', 'active')[turn % 2])
        except Exception as exc:
            failures.append(exc)

    # What was told

    @property
    def received(self):
        return len(self.receiver.bodies)

    @property
    def total(self):
        """Notifications that are expected."""
        return sum(map(len, self.expected.values()))

    def told(self):
        """Return alarm id -> bodies, once each, in the order of arrival."""
        found = {alarm_id: {} for alarm_id in self.expected}
        for body in list(self.receiver.bodies):
            if body['alarm_id'] in found:
                found[body['alarm_id']].setdefault(
                    body['notification_id'], body)
        return {alarm_id: list(bodies.values())
                for alarm_id, bodies in found.items()}

    def missing(self):
        """Return how many notifications did not come yet."""
        return sum(max(0, len(self.expected[alarm_id]) - len(bodies))
                   for alarm_id, bodies in self.told().items())

    def progress(self, count):
        """Wait until so many more were told, or all."""
        goal = self.received + count
        self.until(lambda: self.received >= goal or (
            self.received >= self.total and not self.missing()))

    def processes(self):
        """Return name -> Popen of our processes."""
        raise NotImplementedError

    def ended(self):
        """Return the names of those that are not there any more."""
        return [name for name, child in self.processes().items()
                if child.poll() is not None]

    def over(self, quiet):
        """Whether nothing comes any more, after so many quiet seconds."""
        return quiet > SILENCE or bool(self.ended())

    def levels(self):
        """Return name -> Level of our processes."""
        found = {}
        for name in self.processes().keys() - self.ended():
            process = psutil.Process(self.processes()[name].pid)
            found[name] = Level(process.memory_info().rss / 2 ** 20,
                                process.num_fds(), process.num_threads())
        return found

    def unsettled(self):
        """Return what is still under way inside, in words; empty: nothing."""
        raise NotImplementedError

    def notes(self, names):
        """Return notification id -> what is stored of its attempts."""
        return {}

    def logs(self):
        """Return the ends of the logs."""
        raise NotImplementedError


class Cloud(Scene):
    """The distributed service on a broker and a database.

    nova's queues are quorum queues, else what the broker loses when it is
    killed was lost before it was ours.
    """

    over_http = OVER_HTTP

    def __init__(self, seed=0, database=mariadb.Database):
        super().__init__(seed)
        self._database = database

    def _open(self):
        self.cloud = self.useFixture(deployment.Deployment(
            extra=_PATIENT + '[agent]\nmessaging_urls = %(bus)s' + _QUORUM,
            debug=False, database=self._database))
        self.url = self.cloud.url
        conf = self.cloud.storage.conf
        conf.set_override('transport_url', self.cloud.bus_url + _QUORUM,
                          group='oslo_messaging_notifications')
        self._bus = send.Bus(conf, 'nova')
        self.addCleanup(self._bus._transport.cleanup)

    @property
    def is_mariadb(self):
        return self._database is mariadb.Database

    def tell(self, vm, state, when=None, message_id=None):
        """Tell of a server as nova does."""
        message = {
            'event_type': 'compute.instance.update',
            'publisher_id': 'compute.h1', 'priority': 'INFO',
            'message_id': message_id or str(uuid.uuid4()),
            'timestamp': str((when or _now()).replace(tzinfo=None)),
            'payload': scenario.update_of(vm, state)}
        self.insist(lambda: self._bus.send('nova', message))
        return message['message_id']

    def processes(self):
        return self.cloud.processes

    def logs(self):
        return '\n'.join('== %s\n%s' % (name, self.cloud.log(name)[-4000:])
                         for name in self.cloud.processes)

    def unsettled(self):
        if self.ended():
            return 'ended: %s' % ', '.join(self.ended())
        queued = self.queued()
        if queued:
            return '%d messages are not acknowledged' % queued
        lanes = self.lanes()
        return '%d lanes wait' % lanes if lanes else ''

    def queued(self):
        """Messages in our durable queues and nova's, those taken included.

        Asked of the queues themselves: figures of the broker's management
        are seconds old.
        """
        vhost = self.cloud.bus_url.rpartition('/')[2]
        return int(self.cloud.bus.evaluate(
            'lists:sum([element(2, element(2, ra:local_query('
            'amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1)))'
            ' || Q <- rabbit_amqqueue:list(<<"%s">>),'
            ' amqqueue:get_type(Q) == rabbit_quorum_queue,'
            ' element(4, amqqueue:get_name(Q))'
            ' /= <<"doctor_alarm.dead_letter">>])' % vhost))

    def lanes(self):
        """Lanes with something to deliver."""
        with self.cloud.storage.db.reader() as conn:
            return conn.exec_driver_sql(
                'SELECT COUNT(*) FROM lane WHERE due IS NOT NULL'
            ).scalar_one()

    def notes(self, names):
        table = models.delivery
        with self.cloud.storage.db.reader() as conn:
            return {row.id: tuple(row)[1:] for row in conn.execute(sa.select(
                table.c.id, table.c.attempts, table.c.last_error,
                table.c.fired_at, table.c.received_at).where(
                    table.c.id.in_(list(names))))}

    def put_aside(self):
        """Return the ids of the events in dead letters."""
        letters = dead_letter.QueueDeadLetters(
            messaging.get_own_transport(self.cloud.storage.conf))
        return {event['message_id'] for letter in letters.list()
                for event in letter.body['payload']}


class Standalone(Scene):
    """One process with SQLite; all is told over HTTP.

    :ivar state: the folder of its database
    :ivar has_disk: whether this folder is a disk of its own
    """

    def _open(self):
        self.state = self.useFixture(fixtures.TempDir()).path
        self.has_disk = self._mount()
        self.service = self.useFixture(test_standalone.Standalone(
            'retry_max = 1\n'))
        self.start()

    def _mount(self):
        """Give the database a disk of its own, if we may."""
        done = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=%d' % DISK, 'none',
             self.state], stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            self.addCleanup(subprocess.run, ['umount', self.state])
        return done.returncode == 0

    @property
    def url(self):
        return self.service.url

    def start(self):
        self.service.start('--state-path', self.state)
        self.until(lambda: self.service.up, 180)

    def processes(self):
        return {'standalone': self.service.child}

    def logs(self):
        return self.service.log[-4000:]

    def unsettled(self):
        return '' if self.service.up else 'it does not answer'


def _now():
    return datetime.datetime.now(datetime.timezone.utc)
