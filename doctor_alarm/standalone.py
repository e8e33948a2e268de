# SPDX-License-Identifier: Apache-2.0
"""Every part in one process: SQLite, and no bus between the stages.

::

    POST /v1/events -> inspector -> commit (evaluator) -> wake -> notifier
    source bus, if one is configured -> agent --^   |
                                                    v
                                 table of work -> nova, neutron

The stages call each other. An event is accepted (202), or acknowledged to its
bus, when the evaluator has committed it, and what follows from it.
"""
from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import logging
import os

from oslo_config import cfg
import sqlalchemy as sa

from doctor_alarm.agent import service as agent
from doctor_alarm.api import app
from doctor_alarm.api import server as api_server
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm.db import schema
from doctor_alarm.evaluator import committer
from doctor_alarm.evaluator import engine
from doctor_alarm.evaluator import stage
from doctor_alarm.evaluator import timers
from doctor_alarm import exception
from doctor_alarm.inspector import stage as inspector_stage
from doctor_alarm import local
from doctor_alarm import messaging
from doctor_alarm.notifier import dispatcher
from doctor_alarm.notifier import retention
from doctor_alarm.objects import announcement
from doctor_alarm.objects import dead_letter
from doctor_alarm import service

LOG = logging.getLogger(__name__)

#: Keys of the credentials in action URLs, next to the database.
KEY_FILE = 'credential.keys'

CLI_OPTS = [
    cfg.HostAddressOpt('host', help='Address to listen on. Default: '
                       '127.0.0.1.'),
    cfg.PortOpt('port', help='Port to listen on. Default: 8042.'),
    cfg.StrOpt('state-path', help='Folder of the database. Default: '
               '~/.local/state/doctor-alarm.'),
    cfg.BoolOpt('no-authentication-on-the-network', default=False,
                help='Listen without authentication on an address that is '
                     'not a loopback one, and mean it.'),
]
#: What differs from the distributed service, unless it is configured.
DEFAULTS = {
    ('auth_mode', 'api'): 'noauth',
    ('host', 'api'): '127.0.0.1',
    ('transport_url', None): '',
    ('allowed_networks', 'notifier'): ['127.0.0.0/8', '::1/128'],
}


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """Says behind the events that waits have ended until a time."""

    until: int


class Standalone(service.Service):
    """All stages, wired without a bus."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        configure(conf)
        self._conf = conf
        self._db = db_api.Database(conf)
        provide_key(conf)
        letters = dead_letter.TableDeadLetters(self._db)
        self._dispatcher = dispatcher.Dispatcher(
            conf, self._db, on_failure=self.failed)
        self._retention = retention.Retention(conf, self._db)
        self._events = engine.Engine(
            self._db, self._dispatcher.wake, conf.evaluator.wakeup_lease,
            announcement.teller(conf, stage.PUBLISHER_ID))
        self._committer = committer.make(
            conf, self._events, letters, stopping=self.stopping,
            source='standalone', database_answers=self._db.answers)
        self._batcher = messaging.Batcher(
            'committer', self._commit, limit=conf.evaluator.batch_size)
        self._timers = timers.Timers(
            self._db, lambda _, until: self._batcher.submit(Ended(until)))
        bus = bool(conf.transport_url or conf.agent.messaging_urls)
        self._inspector = inspector_stage.Stage(conf, bus)
        commit = functools.partial(local.commit, self._batcher)
        self._work: local.LocalWork | None = None
        if conf.inspector.auth_type or conf.inspector.auth_section:
            self._work = local.LocalWork(
                conf, self._db, commit, self.stopping)
        self._local = local.LocalEvents(
            commit, self._inspector, letters, self._work)
        self._server = api_server.Server(
            conf, app.build_app(conf, self._db, self._local))
        self._agent: agent.AgentService | None = None
        if bus:
            self._agent = agent.AgentService(
                conf, letters, accept=self._local.accept)

    @property
    def url(self) -> str:
        """Where the API listens, once it does."""
        return self._server.url

    def open(self) -> None:
        """Bring the schema up to date, start the stages from the last."""
        self._lock_state()
        schema.sync(self._db)
        self._dispatcher.start()
        self._batcher.start()
        self._inspector.start()
        if self._work is not None:
            self._work.start()
        self._server.start()
        if self._agent is not None:
            self._agent.open()
        self._timers.start()
        self._retention.start()
        LOG.info('Standalone service listens on %s', self._server.url)

    def _commit(self, items: list[committer.Item | Ended]) -> None:
        self._committer.commit([
            item for item in items if isinstance(item, committer.Item)])
        over = [item.until for item in items if isinstance(item, Ended)]
        if not over:
            return
        with contextlib.suppress(committer.Abandoned):
            # Between two transactions of them events have a turn.
            if self._committer.end(self._events, max(over)):
                self._batcher.submit(Ended(max(over)))

    def reset(self) -> None:
        """Read failure policy and resource map again."""
        self._inspector.reload()

    def _lock_state(self) -> None:
        """Refuse to share a folder with another process.

        :raises ConfigurationError: somebody has it
        """
        database = self._db.engine.url.database
        if self._db.dialect != 'sqlite' or not database:
            return
        self._lock = open(database + '.lock', 'w')  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise exception.ConfigurationError(
                where=database,
                reason='another service works on it') from None

    def close(self) -> None:
        """Stop the stages from the first, so that each drains."""
        if self._agent is not None:
            self._agent.stop()
        self._server.stop()
        self._inspector.stop()
        self._retention.stop()
        if self._work is not None:
            self._work.stop()
        self._timers.stop()
        self._batcher.stop()
        self._dispatcher.stop()
        self._db.dispose()


def database_url(state_path: str) -> str:
    """Return where a standalone service keeps everything."""
    return 'sqlite:///%s' % os.path.join(
        os.path.abspath(state_path), 'doctor-alarm.sqlite')


def provide_key(conf: cfg.ConfigOpts) -> None:
    """Use the keys next to the database, unless others are configured.

    :raises ConfigurationError: there are none and they can not be made
    """
    database = sa.make_url(conf.database.connection)
    if conf.credential.key_file or database.get_backend_name() != 'sqlite' or (
            database.database in (None, '', ':memory:')):
        return
    folder = os.path.dirname(os.path.abspath(str(database.database)))
    path = os.path.join(folder, KEY_FILE)
    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
        credential.create(path)
    except FileExistsError:
        LOG.debug('Credentials in action URLs: with the keys of %s', path)
    except OSError as exc:
        raise exception.ConfigurationError(
            where=path, reason=exc.strerror or str(exc)) from exc
    else:
        LOG.info('A key for the credentials in action URLs was made: %s',
                 path)
    conf.set_override('key_file', path, group='credential')


def configure(conf: cfg.ConfigOpts) -> None:
    """Apply the command line; refuse what nobody can want.

    :raises ConfigurationError: without authentication on the network
    """
    if conf.host:
        conf.set_override('host', str(conf.host), group='api')
    if conf.port is not None:
        conf.set_override('port', conf.port, group='api')
    if conf.state_path and conf.database.connection:
        raise exception.ConfigurationError(
            where='--state-path', reason=(
                '[database] connection is set as well: only one of them '
                'can hold'))
    if not conf.database.connection:
        folder = conf.state_path or os.path.join(
            os.environ.get('XDG_STATE_HOME')
            or os.path.expanduser('~/.local/state'), 'doctor-alarm')
        conf.set_override(
            'connection', database_url(folder), group='database')
    if (conf.api.auth_mode == 'noauth'
            and not api_server.is_loopback(conf.api.host)
            and not conf.no_authentication_on_the_network):
        raise exception.ConfigurationError(
            where='--host %s' % conf.api.host, reason=(
                'anybody who reaches it would be an administrator; set [api] '
                'auth_mode, or say --no-authentication-on-the-network'))
