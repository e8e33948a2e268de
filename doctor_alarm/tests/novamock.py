# SPDX-License-Identifier: Apache-2.0
"""A Keystone and a nova that show services: real HTTP on loopback.

What comes is checked: the token, the microversion, the query. What a real
nova can not be made to do on demand it does.
"""

import contextlib
import http.server
import json
import threading
import time
import urllib.parse

import fixtures

PASSWORD = 'hush-hush-7'


class NovaMock(fixtures.Fixture):
    """Shows ``services``: host -> (state, forced down, time of the heartbeat).

    :ivar status: of the answer about services
    :ivar body: what to answer in place of the services
    :ivar wrong: what came and should not have
    :ivar asked: how often somebody wanted to know the services
    """

    #: What answers; set below.
    handler = None

    def __init__(self):
        self.services = {}
        self.status = 200
        self.body = None
        self.wrong = []
        self.asked = 0
        self.logins = 0
        self.tokens = set()
        self._released = threading.Event()
        self._released.set()

    def _setUp(self):
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), self.handler)
        self._server.daemon_threads = True
        self._server.mock = self
        self.url = 'http://127.0.0.1:%d' % self._server.server_address[1]
        thread = threading.Thread(
            target=self._server.serve_forever, daemon=True,
            kwargs={'poll_interval': 0.02})
        thread.start()
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)
        self.addCleanup(self._released.set)

    def hang(self):
        """Take questions about services and do not answer."""
        self._released.clear()

    def release(self):
        self._released.set()

    # Documents

    def keystone(self):
        return {'version': {
            'id': 'v3.14', 'status': 'stable',
            'links': [{'rel': 'self', 'href': self.url + '/identity/v3/'}]}}

    def token(self, request):
        user = request['auth']['identity']['password']['user']
        if (user['name'], user['password']) != ('monitor', PASSWORD):
            self.wrong.append('who: %s' % user['name'])
        if request['auth']['scope']['project']['name'] != 'service':
            self.wrong.append('scope')
        self.logins += 1
        endpoint = {'interface': 'internal', 'region': 'R1',
                    'region_id': 'R1', 'url': self.url + '/compute/v2.1',
                    'id': 'e'}
        return {'token': {
            'methods': ['password'], 'expires_at': '2099-01-01T00:00:00.0Z',
            'user': {'id': 'u', 'name': 'monitor'},
            'project': {'id': 'p', 'name': 'service'},
            'catalog': [{'type': 'compute', 'name': 'nova', 'id': 's',
                         'endpoints': [endpoint]}]}}

    def versions(self):
        return {'version': {
            'id': 'v2.1', 'status': 'CURRENT', 'version': '2.96',
            'min_version': '2.1', 'links': [
                {'rel': 'self', 'href': self.url + '/compute/v2.1/'}]}}

    def shown(self):
        if self.body is not None:
            return self.body
        return {'services': [{
            'id': '0000-' + host, 'binary': 'nova-compute', 'host': host,
            'zone': 'nova', 'status': 'enabled', 'state': state,
            'updated_at': beat, 'disabled_reason': None,
            'forced_down': forced,
        } for host, (state, forced, beat) in sorted(
            self.services.items())]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        mock = self.server.mock
        where = urllib.parse.urlsplit(self.path)
        if where.path.rstrip('/') == '/identity/v3':
            self.answer(200, mock.keystone())
        elif where.path.rstrip('/') in ('/compute/v2.1', '/compute'):
            self.answer(200, mock.versions())
        elif where.path == '/compute/v2.1/os-services':
            self.show_services(mock, urllib.parse.parse_qs(where.query))
        else:
            self.show_other(mock, where.path, urllib.parse.parse_qs(
                where.query))

    def show_other(self, mock, path, query):
        mock.wrong.append(self.path)
        self.answer(404, {})

    def show_services(self, mock, query):
        mock.asked += 1
        if self.headers.get('X-Auth-Token') not in mock.tokens:
            self.answer(401, {'error': {'message': 'token'}})
            return
        if query != {'binary': ['nova-compute']}:
            mock.wrong.append(self.path)
        version = self.headers.get('OpenStack-API-Version', '')
        if not version.startswith('compute 2.'):
            mock.wrong.append('version %s' % version)
        mock._released.wait(60)
        with contextlib.suppress(OSError):      # who asked has gone
            self.answer(mock.status, mock.shown())

    def do_POST(self):
        mock = self.server.mock
        request = json.loads(self.rfile.read(
            int(self.headers['Content-Length'])))
        if self.path != '/identity/v3/auth/tokens':
            mock.wrong.append(self.path)
        token = 'token-%f' % time.time()
        mock.tokens.add(token)
        self.answer(201, mock.token(request), {'X-Subject-Token': token})

    def answer(self, status, doc, headers=()):
        body = doc.encode() if isinstance(doc, str) else json.dumps(
            doc).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing on stderr."""


NovaMock.handler = Handler
