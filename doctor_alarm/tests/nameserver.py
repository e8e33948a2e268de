# SPDX-License-Identifier: Apache-2.0
"""A name server on loopback, and an environment that asks only this one."""

import socket
import threading

import aiodns
import fixtures


class NameServer(fixtures.Fixture):
    """Says that each name is 127.0.0.1; it is silent about ``*.hang``.

    :ivar asked: the names of all queries
    """

    def _setUp(self):
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(('127.0.0.1', 0))
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()
        self.addCleanup(self._stop)
        kind, server = aiodns.DNSResolver, '127.0.0.1:%d' % (
            self._socket.getsockname()[1])
        self.useFixture(fixtures.MonkeyPatch(
            'aiodns.DNSResolver',
            # Who asks for a name that hangs waits until he gives up.
            lambda loop=None: kind(
                nameservers=[server], loop=loop, timeout=300, tries=1)))
        # Nobody may ask the system's resolver: it blocks.
        self.useFixture(fixtures.MonkeyPatch('socket.getaddrinfo', _refuse))

    def _stop(self):
        self._socket.sendto(b'', self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    def _answer(self):
        while True:
            query, sender = self._socket.recvfrom(4096)
            if not query:
                return
            name, kind, end = _question(query)
            self.asked.append(name)
            if not name.endswith('.hang'):
                self._socket.sendto(_reply(query, end, kind == 1), sender)


def _question(query):
    """Return name and type of a query (RFC 1035), and where it ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return '.'.join(labels), int.from_bytes(query[at + 1:at + 3]), at + 5


def _reply(query, end, is_a):
    head = query[:2] + b'\x81\x80\0\1' + (b'\0\1' if is_a else b'\0\0')
    record = b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1' if is_a else b''
    return head + b'\0\0\0\0' + query[12:end] + record


def _refuse(host, *args, **kwargs):
    raise AssertionError('a blocking look-up of %s' % host)
