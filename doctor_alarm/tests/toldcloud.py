# SPDX-License-Identifier: Apache-2.0
"""A nova and a neutron that are told of faults: real HTTP on loopback.

What comes is checked: who asks, the microversion, the query, the body. As in
nova the ways to force a service down depend on the microversion.
"""

import base64
import contextlib
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
    :ivar segments: of Masakari: id -> {id of a host: its name}
    :ivar told: (method, path, body) of each change that was accepted
    :ivar failures: what to answer first, by method and path
    :ivar newest: the newest microversion of nova
    :ivar hanging: (method, path) of requests that get no answer
    :ivar extensions: whether neutron has data_plane_status
    :ivar tokens: of Keystone, that are valid
    :ivar causes: id of the request of each change, where it has one
    :ivar wrong: what came and should not have
    """

    def __init__(self):
        self.forced, self.servers, self.ports = {}, {}, {}
        self.told, self.wrong, self.failures = [], [], {}
        self.causes, self.segments = [], {}
        self.under_way = self.most = self.logins = 0
        self.newest = '2.96'
        self.hanging = set()
        self.extensions = True
        self.tokens = set()
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
        self._over = threading.Event()
        self.addCleanup(self._over.set)

    def options(self, keystone=False):
        """Options of [inspector] that lead here."""
        if keystone:
            return {'auth_type': 'password', 'username': USER,
                    'auth_url': self.url + '/identity/v3',
                    'password': PASSWORD}
        return {'auth_type': 'http_basic', 'username': USER,
                'password': PASSWORD, 'endpoint': self.url + '/compute/v2.1',
                'network_endpoint': self.url + '/network/v2.0',
                'masakari_endpoint': self.url + '/ha/v1'}

    # (status, document) of requests

    def login(self, request):
        """Return a token of Keystone for whoever may have one."""
        who = request['auth']['identity']['password']['user']
        if (who['name'], who['password']) != (USER, PASSWORD):
            self.wrong.append('who')
        self.logins += 1
        self.tokens.add('token-%d' % self.logins)
        return {'token': {
            'methods': ['password'], 'expires_at': '2099-01-01T00:00:00.0Z',
            'user': {'id': 'u', 'name': USER},
            'project': {'id': 'p', 'name': 'service'},
            'catalog': [{'type': kind, 'name': kind, 'id': kind, 'endpoints': [
                {'interface': 'internal', 'region': 'R1', 'region_id': 'R1',
                 'id': kind, 'url': self.url + path}]}
                for kind, path in (('compute', '/compute/v2.1'),
                                   ('network', '/network/v2.0'))]}}

    def get(self, path, query, version):
        if path == '/identity/v3':
            return 200, {'version': {
                'id': 'v3.14', 'status': 'stable', 'links': [
                    {'rel': 'self', 'href': self.url + '/identity/v3/'}]}}
        if path in ('/compute/v2.1', '/network/v2.0'):
            return 200, {'version': {
                'id': path[-4:].strip('/'), 'status': 'CURRENT',
                'version': self.newest, 'min_version': '2.1', 'links': [
                    {'rel': 'self', 'href': self.url + path + '/'}]}}
        if path == '/compute/v2.1/os-services':
            if query.get('binary') != ['nova-compute']:
                self.wrong.append('query %s' % query)
            return 200, {'services': [
                self._service(number, host, version)
                for number, host in enumerate(self.forced, 1)
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
        if path.startswith('/ha/v1'):
            return 200, self._masakari(path)
        self.wrong.append(path)
        return 404, {}

    def _masakari(self, path):
        if path == '/ha/v1':
            return {'version': {
                'id': 'v1.0', 'status': 'CURRENT', 'version': '1.3',
                'min_version': '1.0', 'links': [
                    {'rel': 'self', 'href': self.url + path + '/'}]}}
        if path == '/ha/v1/segments':
            return {'segments': [
                {'uuid': segment, 'name': segment}
                for segment in self.segments]}
        return {'hosts': [
            {'uuid': host, 'name': name} for host, name
            in self.segments[path.split('/')[4]].items()]}

    def _service(self, number, host, version):
        doc = {'id': 'service-' + host if version >= (2, 53) else number,
               'host': host, 'state': 'up', 'binary': 'nova-compute',
               'status': 'enabled'}
        if version >= (2, 11):
            doc['forced_down'] = self.forced[host]
        return doc

    def _force_down(self, name, body, version):
        """Return the answer, and what of the body is not known."""
        if name != 'force-down' and version >= (2, 53):
            self.forced[name.removeprefix('service-')] = body.pop(
                'forced_down')
            return (200, {'service': {'id': name}}), body
        if name == 'force-down' and (2, 11) <= version < (2, 53):
            host = body.pop('host')
            self.forced[host] = body.pop('forced_down')
            if body.pop('binary') != 'nova-compute':
                self.wrong.append('binary')
            return (200, {'service': {
                'host': host, 'binary': 'nova-compute',
                'forced_down': self.forced[host]}}), body
        return (404, {}), None

    def change(self, method, path, body, version):
        name = path.split('/')
        if (method, name[-2]) == ('PUT', 'os-services'):
            answer, left = self._force_down(name[-1], body, version)
        elif (method, name[-1]) == ('POST', 'action'):
            self.servers[name[-2]][1] = body.pop(
                'os-resetState').pop('state')
            answer, left = (202, None), body
        elif (method, name[-2]) == ('PUT', 'ports') and not self.extensions:
            return 400, {'NeutronError': {
                'message': "Unrecognized attribute(s) 'data_plane_status'"}}
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
        if (method, path) == ('POST', '/identity/v3/auth/tokens'):
            with mock.lock:
                doc = mock.login(json.loads(raw))
            self.answer(201, doc, 'token-%d' % mock.logins)
            return
        version = self.check(mock, path)
        if version is None:
            self.answer(401, {'error': {'message': 'token'}})
            return
        with mock.lock:
            mock.under_way += 1
            mock.most = max(mock.most, mock.under_way)
        mock.released.wait(60)
        if (method, path) in mock.hanging:
            mock._over.wait(60)
            self.close_connection = True
            return
        with mock.lock:
            mock.under_way -= 1
            failures = mock.failures.get((method, path))
            if failures:
                status, doc = failures.pop(0), {}
            elif method == 'GET':
                status, doc = mock.get(path, urllib.parse.parse_qs(
                    where.query), version)
            else:
                body = json.loads(raw)
                mock.told.append((method, path, json.loads(raw)))
                mock.causes.append(
                    self.headers.get('X-OpenStack-Request-ID'))
                status, doc = mock.change(method, path, body, version)
        self.answer(status, doc)

    def check(self, mock, path):
        """Return the microversion; None: the token is no longer valid."""
        if path.endswith(('/v2.1', '/v2.0', '/v3', '/ha/v1')):
            return 2, 1     # anybody may ask for the versions
        token = self.headers.get('X-Auth-Token')
        if token is not None and token not in mock.tokens:
            return None
        who = base64.b64encode(
            ('%s:%s' % (USER, PASSWORD)).encode()).decode()
        if token is None and (
                self.headers.get('Authorization') != 'Basic ' + who):
            mock.wrong.append('who')
        if not path.startswith('/compute'):
            return 2, 0
        # Who asks for none gets the oldest, as with nova.
        service, _, text = self.headers.get(
            'OpenStack-API-Version', 'compute 2.1').partition(' ')
        version = tuple(int(part) for part in text.split('.'))
        if service != 'compute' or not (2, 1) <= version <= tuple(
                int(part) for part in mock.newest.split('.')):
            mock.wrong.append('version %s %s of %s' % (service, text, path))
        return version

    def answer(self, status, doc, token=None):
        body = b'' if doc is None else json.dumps(doc).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        if token:
            self.send_header('X-Subject-Token', token)
        with contextlib.suppress(OSError):      # who asked has gone
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args):
        """Nothing on stderr."""
