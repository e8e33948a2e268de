# SPDX-License-Identifier: Apache-2.0
"""The deployment as one fixture."""

import concurrent.futures
import pathlib
import shutil
import tempfile
import time

import fixtures
from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1 import session as keystone_session
import requests

from doctor_alarm.tests import services
from doctor_alarm.tests.realnova import client
from doctor_alarm.tests.realnova import configuration
from doctor_alarm.tests.realnova import daemons
from doctor_alarm.tests.realnova import databases
from doctor_alarm.tests.realnova import environment
from doctor_alarm.tests.realnova import identity
from doctor_alarm.tests.services import rabbitmq

LOGS = environment.CACHE / 'logs'
LOGS_KEPT = 10


class RealNova(fixtures.Fixture, client.Operations):
    """A running nova with two computes, ``configuration.HOSTS``.

    It emits notifications in both formats with driver messagingv2, and has a
    virtual host of its own on the shared broker.

    :param quorum: whether nova's queues are quorum queues
    """

    def __init__(self, quorum: bool = False):
        super().__init__()
        self.quorum = quorum
        self.hosts = configuration.HOSTS

    def _setUp(self):
        environment.python()
        self.log_directory = _log_directory()
        self._daemons = {}
        # The broker may have to be started, which takes a while.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            broker = pool.submit(services.shared, rabbitmq.RabbitMQ)
            self._databases = self.useFixture(databases.Databases())
            broker.result()
        self.broker = self.useFixture(rabbitmq.VirtualHost())
        self._deployment = configuration.Deployment(
            transport_url=self.broker.url, databases=self._databases.urls,
            quorum=self.quorum)
        self.session = self._session()
        fresh = not self._databases.load(self._deployment.endpoints)
        self._start_daemons(fresh)
        if fresh:
            self._daemons['nova-conductor'].discover_hosts()
            self.ensure_flavor()
            self._databases.save()

    # For the tests

    @property
    def transport_url(self) -> str:
        """Nova's bus, as oslo.messaging writes it."""
        return self._deployment.transport_url

    @property
    def amqp_url(self) -> str:
        """Nova's bus, as kombu writes it."""
        return self._deployment.amqp_url

    @property
    def auth_url(self) -> str:
        return self._deployment.auth_url

    @property
    def credentials(self) -> dict[str, str]:
        """An administrator's, as arguments of ``v3.Password``."""
        return self._deployment.credentials('admin', 'admin')

    @property
    def project_id(self) -> str:
        """The project that owns the servers."""
        return self.session.get_project_id()

    def daemon(self, name: str) -> daemons.Daemon:
        """A process by its name, to stop, kill and start it."""
        return self._daemons[name]

    def compute(self, host: str) -> daemons.Daemon:
        return self.daemon('nova-compute-' + host)

    def repair(self, host: str):
        """Bring back a host that was forced down and evacuated."""
        compute = self.compute(host)
        compute.kill()      # an orderly end would take six seconds
        compute.start()

        # Refused until the compute has seen which servers it has lost.
        def accepted():
            try:
                self.force_down(host, False)
            except exceptions.BadRequest:
                return False
            return True
        self.wait('%s to be back' % host, accepted)

    def log_tails(self) -> dict[str, str]:
        return {name: daemon.log_tail()
                for name, daemon in self._daemons.items()}

    # Start

    def _session(self):
        http = requests.Session()
        http.trust_env = False      # no proxy between us and ourselves
        return keystone_session.Session(
            auth=v3.Password(**self.credentials), session=http)

    def _start_daemons(self, fresh):
        """Start everything at once, as far as it does not need another."""
        started = {}
        arguments = self._deployment, self.log_directory

        def start(part, *after):
            part.after = after
            started[part] = pool.submit(part.setUp)
            return started[part]

        with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
            identified = start(daemons.Keystone(*arguments, fresh=fresh))
            if fresh:
                identified = pool.submit(self._register, identified)
            placement = start(daemons.Placement(*arguments, fresh=fresh))
            stub = start(daemons.Stub(*arguments))
            conductor = start(
                daemons.Conductor(*arguments, fresh=fresh), identified)
            # the conductor creates the schema, if need be
            stored = conductor if fresh else identified
            start(daemons.NovaApi(*arguments), stored)
            start(daemons.Scheduler(*arguments), stored)
            for host in self.hosts:
                # calling a conductor that is not there yet costs it ten
                # seconds, without placement it registers a minute later
                start(daemons.Compute(host, *arguments),
                      conductor, placement, stub)
        for part, future in started.items():
            if not future.exception():
                self._daemons[part.name] = part
                self.addCleanup(part.cleanUp)
        for future in started.values():
            _raise_cause(future)

    def _register(self, keystone):
        keystone.result()
        # not the session of the tests: its token has no catalogue yet
        identity.register(self._session(), self._deployment)


def _raise_cause(future):
    """Raise what went wrong without the wrapping of fixtures."""
    try:
        future.result()
    except fixtures.MultipleExceptions as errors:
        raise errors.args[0][1] from None


def _log_directory() -> pathlib.Path:
    """Create a directory for logs and remove the oldest."""
    LOGS.mkdir(parents=True, exist_ok=True)
    former = sorted(LOGS.iterdir())
    for directory in former[:-LOGS_KEPT]:
        shutil.rmtree(directory, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(
        prefix=time.strftime('%Y%m%d-%H%M%S-'), dir=LOGS))
