# SPDX-License-Identifier: Apache-2.0
"""A nova and a neutron that are told of faults: real HTTP on loopback.

What comes is checked: who asks, the microversion, the query, the body.
"""

import base64
import http.server
import json
import threading
import urllib.parse

import fixtures

USER, PASSWORD = 'inspector', 'hush-hush-9'


class ToldCloud(fixtures.Fixture):
    """Keeps what it is told.

    :ivar forced: host -> whether its compute service is forced down
    :ivar servers: id -> [host, vm_state]
    :ivar ports: id -> [id of the server, data_plane_status]
    :ivar told: (method, path, body) of each change that was accepted
    :ivar failures: what to answer first, by method and path
    :ivar wrong: what came and should not have
    """

    def __init__(self):
        self.forced, self.servers, self.ports = {}, {}, {}
        self.told, self.wrong, self.failures = [], [], {}
        self.under_way = self.most = 0
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.released.set()

    def _setUp(self):
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), _Handler)
        self._server.daemon_threads = True
        self._server.mock = self
        self.url = 'http://127.0.0.1:%d' % self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, daemon=True,
            kwargs={'poll_interval': 0.02}).start()
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)
        self.addCleanup(self.released.set)

    def options(self):
        """Options of [inspector] that lead here."""
        return {'auth_type': 'http_basic', 'username': USER,
                'password': PASSWORD, 'endpoint': self.url + '/compute/v2.1',
                'network_endpoint': self.url + '/network/v2.0'}

    # (status, document) of requests

    def get(self, path, query):
        if path in ('/compute/v2.1', '/network/v2.0'):
            return 200, {'version': {
                'id': path[-4:].strip('/'), 'status': 'CURRENT',
                'version': '2.96', 'min_version': '2.1', 'links': [
                    {'rel': 'self', 'href': self.url + path + '/'}]}}
        if path == '/compute/v2.1/os-services':
            if query.get('binary') != ['nova-compute']:
                self.wrong.append('query %s' % query)
            return 200, {'services': [
                {'id': 'service-' + host, 'host': host, 'state': 'up',
                 'binary': 'nova-compute', 'forced_down': forced}
                for host, forced in self.forced.items()
                if [host] == query.get('host')]}
        if path.startswith('/compute/v2.1/servers/'):
            server_id = path.rpartition('/')[2]
            if server_id not in self.servers:
                return 404, {}
            host, state = self.servers[server_id]
            return 200, {'server': {
                'id': server_id, 'name': server_id,
                'OS-EXT-SRV-ATTR:host': host,
                'OS-EXT-STS:vm_state': state, 'status': state.upper()}}
        if path == '/network/v2.0/ports':
            return 200, {'ports': [
                {'id': port, 'device_id': server, 'data_plane_status': status}
                for port, (server, status) in self.ports.items()
                if [server] == query.get('device_id')]}
        self.wrong.append(path)
        return 404, {}

    def change(self, method, path, body):
        name = path.split('/')
        if (method, name[-2]) == ('PUT', 'os-services'):
            self.forced[name[-1].removeprefix('service-')] = body.pop(
                'forced_down')
            answer = 200, {'service': {'id': name[-1]}}
            left = body
        elif (method, name[-1]) == ('POST', 'action'):
            self.servers[name[-2]][1] = body.pop(
                'os-resetState').pop('state')
            answer, left = (202, None), body
        elif (method, name[-2]) == ('PUT', 'ports'):
            self.ports[name[-1]][1] = body['port'].pop('data_plane_status')
            answer, left = (200, {'port': {'id': name[-1]}}), body['port']
        else:
            answer, left = (404, {}), path
        if left:
            self.wrong.append(left)
        return answer


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.serve('GET')

    def do_PUT(self):
        self.serve('PUT')

    def do_POST(self):
        self.serve('POST')

    def serve(self, method):
        mock = self.server.mock
        raw = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        where = urllib.parse.urlsplit(self.path)
        path = where.path.rstrip('/')
        self.check(mock, path)
        with mock.lock:
            mock.under_way += 1
            mock.most = max(mock.most, mock.under_way)
        mock.released.wait(60)
        with mock.lock:
            mock.under_way -= 1
            failures = mock.failures.get((method, path))
            if failures:
                status, doc = failures.pop(0), {}
            elif method == 'GET':
                status, doc = mock.get(path, urllib.parse.parse_qs(
                    where.query))
            else:
                body = json.loads(raw)
                mock.told.append((method, path, json.loads(raw)))
                status, doc = mock.change(method, path, body)
        self.answer(status, doc)

    def check(self, mock, path):
        if path.endswith(('/v2.1', '/v2.0')):
            return      # anybody may ask for the versions
        who = base64.b64encode(
            ('%s:%s' % (USER, PASSWORD)).encode()).decode()
        if self.headers.get('Authorization') != 'Basic ' + who:
            mock.wrong.append('who')
        version = self.headers.get('OpenStack-API-Version', '')
        if path.startswith('/compute') and not (
                version.startswith('compute 2.')):
            mock.wrong.append('version %s of %s' % (version, path))

    def answer(self, status, doc):
        body = b'' if doc is None else json.dumps(doc).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing on stderr."""
