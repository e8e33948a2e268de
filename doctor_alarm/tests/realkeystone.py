# SPDX-License-Identifier: Apache-2.0
"""A real Keystone alone: that of doctor_alarm.tests.realnova, on SQLite."""

import pathlib
import shutil
import sqlite3

from keystoneauth1.identity import v3
from keystoneauth1 import session as keystone_session
import requests

from doctor_alarm.tests.realnova import configuration
from doctor_alarm.tests.realnova import daemons
from doctor_alarm.tests.realnova import environment

_SOURCES = (pathlib.Path(__file__), pathlib.Path(daemons.__file__),
            pathlib.Path(configuration.__file__))


class Keystone(daemons.Keystone):
    """Keystone with the roles, and the user ``admin``, of its bootstrap.

    The database after that is kept beside the environment, for the schema
    takes most of a first start.
    """

    def __init__(self):
        super().__init__(configuration.Deployment(
            transport_url='', databases={}), pathlib.Path())

    def _prepare(self):
        environment.python()
        self._log_directory = self.directory
        database = self.directory / 'keystone.sqlite'
        self.deployment.databases['keystone'] = 'sqlite:///%s' % database
        prepared = pathlib.Path('%s-keystone-%s.sqlite' % (
            environment.directory(), environment.digest(
                *(path.read_bytes() for path in _SOURCES))))
        with environment.locked(prepared):
            self._fresh = not prepared.exists()
            if not self._fresh:
                shutil.copy(prepared, database)
            super()._prepare()
            if self._fresh:
                shutil.copy(database, '%s.partial' % prepared)
                pathlib.Path('%s.partial' % prepared).rename(prepared)
        # The port is another one every time.
        connection = sqlite3.connect(database)
        with connection:
            connection.execute('UPDATE endpoint SET url = ?',
                               (self.deployment.auth_url,))
        connection.close()

    def session(self, **credentials):
        """Return a session of whom the credentials are; default: the admin.

        :param credentials: arguments of ``v3.Password``
        """
        http = requests.Session()
        http.trust_env = False      # no proxy between us and ourselves
        return keystone_session.Session(session=http, auth=v3.Password(
            **self.deployment.credentials('admin', 'admin') | credentials))

    def request(self, method, path, doc=None, session=None, **kwargs):
        """Send a request to Keystone, as the admin by default."""
        answer = (session or self.session()).request(
            self.deployment.auth_url + path, method, json=doc, **kwargs)
        return answer.json() if answer.content else None

    def create(self, noun, **attributes):
        """Create something; return its id."""
        return self.request('POST', '/%ss' % noun, {noun: attributes})[
            noun]['id']

    def roles(self):
        """Return name -> id of the roles."""
        return {role['name']: role['id']
                for role in self.request('GET', '/roles')['roles']}
