# SPDX-License-Identifier: Apache-2.0
"""The API behind its own HTTP server, on a port of this host."""

import json
import socket

import requests

from doctor_alarm.api import app
from doctor_alarm.api import server
from doctor_alarm.tests import base
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import base as api_base


class ServedTestCase(base.TestCase):
    """Tests that talk through sockets; the database is SQLite."""

    #: options of [api] beside the address
    options = {}

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage())
        self.conf, self.db = stored.conf, stored.db
        for name, value in {'auth_mode': 'noauth', 'host': '127.0.0.1',
                            'port': 0, 'drain_timeout': 5,
                            **self.options}.items():
            self.conf.set_override(name, value, group='api')
        self.prepare()
        self.events = api_base.Events()
        self.application = app.build_app(self.conf, self.db, self.events)
        self.server = server.Server(self.conf, self.wrapped())
        self.server.start()
        self.addCleanup(self.server.stop)
        self.url = self.server.url

    def prepare(self):
        """Change the configuration before the application is built."""

    def wrapped(self):
        """Return what is served: by default the application."""
        return self.application

    def connect(self):
        """Return a connected socket."""
        host, _, port = self.url.removeprefix('http://').rpartition(':')
        sock = socket.create_connection((host, int(port)), 60)
        self.addCleanup(sock.close)
        return sock

    def request(self, method, path, **kwargs):
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, self.url + path, timeout=60, **kwargs)

    @staticmethod
    def answer(sock):
        """Read until the server closes; return (status, document)."""
        data = b''
        while piece := sock.recv(65536):
            data += piece
        head, _, body = data.rpartition(b'\r\n\r\n')
        if not head:
            return None, None
        return int(head.split()[1]), json.loads(body)
