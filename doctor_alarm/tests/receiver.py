# SPDX-License-Identifier: Apache-2.0
"""A web hook: a real HTTP server on loopback that keeps what it gets."""

import http.server
import json
import socket
import socketserver
import threading
import time

import fixtures


class Receiver(fixtures.Fixture):
    """Receives notifications.

    :ivar bodies: what was accepted, in the order of arrival; each has the
        path that it came to as ``_path`` and when, in seconds, as ``_at``
    :ivar status: what to answer with; anything but 2xx is not kept
    :ivar retry_after: seconds, sent with whatever is not 2xx
    :ivar manner: how to answer, in place of the plain way; called with the
        request handler and the status
    :ivar refusals: (notification id, when in seconds) of what was not kept
    :param tls: context of a server, for https
    """

    def __init__(self, status=204, tls=None):
        self.status = status
        self._tls = tls
        self.bodies = []
        self.headers = []
        self.refusals = []
        self.retry_after = None
        self.manner = None
        self.port = None
        self._released = threading.Event()
        self._released.set()
        self._server = None

    def _setUp(self):
        self.addCleanup(self.stop)
        self.addCleanup(self.release)
        self.start()

    @property
    def url(self):
        return '%s://127.0.0.1:%d/' % (
            'https' if self._tls else 'http', self.port)

    def start(self):
        """Listen, again on the port of the last time."""
        self._server = _Server(('127.0.0.1', self.port or 0), _Handler)
        self._server.receiver = self
        if self._tls:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True,
                         kwargs={'poll_interval': 0.02}).start()

    def stop(self):
        """Refuse connections and cut those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    @property
    def refused(self):
        """How many were not kept."""
        return len(self.refusals)

    def hang(self):
        """Take requests and do not answer."""
        self._released.clear()

    def release(self):
        """Answer again."""
        self._released.set()

    def document(self, raw):
        """Return the document of a body."""
        return json.loads(raw)

    def handle(self, _handler, _raw):
        """Return the status to answer a request with."""
        return self.status

    def of(self, alarm_id):
        """What came for one alarm, once each, in the order of arrival."""
        seen, found = set(), []
        for body in list(self.bodies):
            if (body['alarm_id'] == alarm_id
                    and body['notification_id'] not in seen):
                seen.add(body['notification_id'])
                found.append(body)
        return found

    def ids(self):
        """The notification ids that came."""
        return {body['notification_id'] for body in list(self.bodies)}


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, *args):
        self._open = set()
        super().__init__(*args)

    def get_request(self):
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(request)
        return request, address

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self):
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue        # the client was quicker

    def handle_error(self, request, client_address):
        """A cut connection is what a test wanted."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        receiver = self.server.receiver
        raw = self.rfile.read(int(self.headers['Content-Length']))
        receiver._released.wait(60)
        status = receiver.handle(self, raw)
        if 200 <= status < 300:
            receiver.headers.append(dict(self.headers))
            receiver.bodies.append(dict(
                receiver.document(raw), _path=self.path, _at=time.time()))
        else:
            receiver.refusals.append(
                (receiver.document(raw)['notification_id'], time.time()))
        (receiver.manner or _Handler.answer)(self, status)

    def answer(self, status):
        """Answer at once."""
        self.send_response(status)
        self.send_header('Content-Length', '0')
        if status >= 300 and self.server.receiver.retry_after:
            self.send_header(
                'Retry-After', '%d' % self.server.receiver.retry_after)
        self.end_headers()

    def log_message(self, *args):
        """Nothing on stderr."""
