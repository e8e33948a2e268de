# SPDX-License-Identifier: Apache-2.0
"""The requests of ``functional/gabbits``, and the services that answer them.

Each file there is a sequence about one noun. It names the service that it
wants, ``Open`` or ``Guarded``, and gets one of its own. A module of tests says
where that runs::

    load_tests = gabbing.loader(__name__, gabbing.InProcess)

In the files ``$ENVIRON`` has ``RECEIVER`` and ``REFUSER``, URLs that take and
refuse notifications, ``NOW``, the time, and ``LARGE``, a text that is larger
than a body may be.
"""

import datetime
import json
import pathlib
import types

import bcrypt
import fixtures
from gabbi import driver
from gabbi import fixture as gabbi_fixture
from oslotest import log as capture

from doctor_alarm.cmd import standalone as standalone_cmd
from doctor_alarm import standalone
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import receiver
from doctor_alarm.tests import samples
from doctor_alarm.tests import storage

FOLDER = pathlib.Path(__file__).parent / 'functional' / 'gabbits'
MAX_BODY = 20000

#: What is on the hosts that fail.
_SERVERS = {'compute-7': [
    {'id': '3cb61dfc-6ae7-4c4f-9a56-d1b5f2d52bb6', 'name': 'web',
     'project_id': 'p1'},
    {'id': '5d1b7e0a-43c1-4e86-a0bd-1f9be1a4e1ec', 'name': 'batch',
     'project_id': 'p2', 'monitored': False}]}

_OPEN = '''[inspector]
resource_map_file = @MAP@
[api]
max_body_size = %d
max_limit = 50
''' % MAX_BODY
#: Name, project and role of who may ask the guarded service; the password is
#: the name.
_GUARDED = _OPEN + '''auth_mode = http_basic
http_basic_users = alice:p1:member,bob:p2:member,root:admin:admin
[oslo_middleware]
http_basic_auth_user_file = %s
'''


class InProcess(fixtures.Fixture):
    """All parts in this process, and the application without a server."""

    def __init__(self, config):
        self._config = config

    def database(self):
        """Return the fixture of the database; None: SQLite."""

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        text = self._config
        if database := self.database():
            stored = self.useFixture(storage.Storage(
                self.useFixture(database).url))
            text += ('[database]\nconnection = %s\n[credential]\n'
                     'key_file = %s\n' % (stored.url, stored.key_file))
            where = []
        else:
            where = ['--state-path', str(folder)]
        (folder / 'test.conf').write_text(text)
        # The log is that of the tests.
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_log.log.setup', lambda *args: None))
        service = standalone.Standalone(standalone_cmd.prepare([
            '--config-file', str(folder / 'test.conf'), '--port', '0',
            *where]))
        self.addCleanup(service.close)
        service.open()
        self.app = service._server._cheroot.wsgi_app


class Live(fixtures.Fixture):
    """doctor-alarm-standalone, on a port of this host."""

    def __init__(self, config):
        self._config = config

    def _setUp(self):
        service = self.useFixture(test_standalone.Standalone(self._config))
        service.start()
        base.wait_until(lambda: service.up, 120)
        self.port = service.port


class _Service(gabbi_fixture.GabbiFixture):
    """Starts a service, and what its alarms call; subclasses say which."""

    config = _OPEN

    def start_fixture(self):
        self._all = fixtures.Fixture()
        self._all.setUp()
        try:
            self._start()
        except BaseException:
            self._all.cleanUp()
            raise

    def _start(self):
        folder = pathlib.Path(self._all.useFixture(fixtures.TempDir()).path)
        servers, users = folder / 'servers.json', folder / 'htpasswd'
        servers.write_text(json.dumps(_SERVERS))
        users.write_text(''.join('%s:%s\n' % (name, bcrypt.hashpw(
            name.encode(), bcrypt.gensalt(4)).decode())
            for name in ('alice', 'bob', 'root')))
        for name, value in {
                'RECEIVER': self._receiver(204),
                'REFUSER': self._receiver(400),
                'NOW': datetime.datetime.now(
                    datetime.UTC).replace(tzinfo=None).isoformat(),
                'LARGE': 'x' * MAX_BODY}.items():
            self._all.useFixture(fixtures.EnvironmentVariable(name, value))
        self.place.service = self._all.useFixture(
            self.place.kind(self.config.replace(
                '%s', str(users)).replace('@MAP@', str(servers))))

    def _receiver(self, status):
        return self._all.useFixture(receiver.Receiver(status)).url

    def stop_fixture(self):
        self.place.service = None
        self._all.cleanUp()


class _Place:
    """Where the requests of one module go; known once the service runs."""

    def __init__(self, kind):
        self.kind = kind
        self.service = None

    def app(self, environ, start_response):
        return self.service.app(environ, start_response)

    @property
    def services(self):
        """What the files may name."""
        found = {'place': self}
        return types.SimpleNamespace(
            Open=type('Open', (_Service,), found),
            Guarded=type('Guarded', (_Service,),
                         {**found, 'config': _GUARDED}))


def loader(name, kind):
    """Return the ``load_tests`` of a module.

    :param name: of the module
    :param kind: called with options, returns a fixture that has the ``app``
        or the ``port``
    """
    def load_tests(loader, tests, pattern):
        place = _Place(kind)
        served = issubclass(kind, Live)
        where = {'host': '127.0.0.1'} if served else {
            'intercept': lambda: place.app}
        suite = driver.build_tests(
            str(FOLDER), loader, fixture_module=place.services,
            response_handlers=[samples.Sample], cert_validate=False,
            inner_fixtures=[capture.ConfigureLogging],
            test_loader_name=name, **where)
        if served:
            port = property(lambda test: place.service and place.service.port)
            for test in driver_tests(suite):
                type(test).port = port
        return suite
    return load_tests


def driver_tests(suite):
    """Yield the tests of a suite of suites."""
    for one in suite:
        yield from one
