# SPDX-License-Identifier: Apache-2.0
"""A dispatcher on a database, with a plugin that does what a test says."""

import asyncio
import collections
import threading
import time

import fixtures

from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier import dispatcher
from doctor_alarm.notifier import registry
from doctor_alarm.tests import outbox
from doctor_alarm.tests import storage

#: Retries are quick. No call and no lease ends by accident, however slow the
#: machine is: a test that needs that says so, or moves the clock.
OPTIONS = {
    'timeout': 60.0, 'lease': 300.0, 'retry_initial': 0.05, 'retry_max': 0.2,
    'sweep_interval': 0.1}


class Clock(fixtures.Fixture):
    """The monotonic clock by which leases end; a test moves it."""

    sleep = staticmethod(time.sleep)

    def __init__(self):
        self._ahead = 0.0

    def _setUp(self):
        for module in ('calling', 'loading', 'ledger'):
            self.useFixture(fixtures.MonkeyPatch(
                'doctor_alarm.notifier.%s.time' % module, self))

    def monotonic(self):
        return time.monotonic() + self._ahead

    def advance(self, seconds):
        """Let time pass."""
        self._ahead += seconds


class Plugin(notifier.Notifier):
    """Delivers, unless it is told otherwise.

    :ivar seen: (host of the action, lane, sequence) of every attempt
    :ivar answers: host -> outcomes of its next attempts; an exception is
        raised, a callable is called with the delivery
    """

    def __init__(self, conf):
        super().__init__(conf)
        self.seen = []
        self.answers = collections.defaultdict(collections.deque)
        self._gates = {}
        self.running = 0
        self.most = 0

    def hold(self, host):
        """Let the attempts at a host wait until :meth:`release`."""
        self._gates[host] = threading.Event()

    def release(self, host):
        self._gates.pop(host).set()

    def of(self, lane):
        """The sequence numbers of the attempts of a lane."""
        return [sequence for _host, lane_id, sequence in list(self.seen)
                if lane_id == lane.id]

    def at(self, host):
        return [item for item in list(self.seen) if item[0] == host]

    async def deliver(self, delivery):
        host = delivery.action.hostname
        self.seen.append((host, delivery.lane_id, delivery.sequence))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            gate = self._gates.get(host)
            while gate and not gate.is_set():
                await asyncio.sleep(0.002)
            answer = notifier.Outcome.delivered()
            if self.answers[host]:
                answer = self.answers[host].popleft()
            if callable(answer):
                answer = await asyncio.to_thread(answer, delivery)
            if isinstance(answer, Exception):
                raise answer
            return answer or notifier.Outcome.delivered()
        finally:
            self.running -= 1


class DispatcherTests:
    """Mixed into a test case; its database is SQLite unless it says."""

    options = {}
    #: Whether wake-ups enclose what they are about.
    enclosing = False

    def database_url(self):
        return None

    def setUp(self):
        super().setUp()
        self.storage = self.useFixture(storage.Storage(self.database_url()))
        self.conf, self.db = self.storage.conf, self.storage.db
        self.configure(**OPTIONS | self.options)
        self.outbox = outbox.Outbox(self.db, enclosing=self.enclosing)
        self.plugin = Plugin(self.conf)

    def configure(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, group='notifier')

    def a_dispatcher(self, plugins=None, db=None):
        """Start a dispatcher; it is stopped with the test.

        :param plugins: scheme -> plugin
        """
        self.failures = []
        made = dispatcher.Dispatcher(
            self.conf, db or self.db,
            registry.Registry(plugins or {'test': self.plugin}),
            on_failure=self.failures.append)
        made.start()
        self.addCleanup(self._stop, made)
        return made

    def _stop(self, made):
        made.stop(30)
        self.assertEqual([], self.failures)

    def lane(self, host='r1', **kwargs):
        return self.outbox.lane('test://%s/x' % host, **kwargs)

    def wait_idle(self, timeout=60):
        self.wait_until(self.outbox.idle, timeout, lambda: [
            tuple(row) for row in self.outbox.lanes()
            if row.due is not None][:5])
