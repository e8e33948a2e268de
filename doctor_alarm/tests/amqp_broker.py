# SPDX-License-Identifier: Apache-2.0
"""A broker that confirms what is published, and breaks when it is told to."""

import contextlib
import socket
import struct
import threading

import fixtures

_START, _START_OK = (10, 10), (10, 11)
_TUNE, _TUNE_OK = (10, 30), (10, 31)
_PUBLISH, _ACK = (60, 40), (60, 80)
#: Methods that are answered with the method that follows, and what that says.
_ANSWERS = {
    (10, 40): b'\0',            # connection.open
    (10, 50): b'',              # connection.close
    (20, 10): b'\0\0\0\0',      # channel.open
    (20, 40): b'',              # channel.close
    (40, 10): b'',              # exchange.declare
    (85, 10): b'',              # confirm.select
}


class Broker(fixtures.Fixture):
    """Speaks as much of AMQP 0-9-1 as a publisher of wake-ups needs.

    ``before_answer(connection)`` is called for each message that has come,
    before it is confirmed.
    """

    def _setUp(self):
        self.messages = 0
        self.before_answer = lambda connection: None
        self._reads = threading.Event()
        self._reads.set()
        self.connections = []
        self._socket = socket.create_server(('127.0.0.1', 0))
        self.port = self._socket.getsockname()[1]
        self.addCleanup(self._close)
        self.addCleanup(self._reads.set)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return 'rabbit://guest:guest@127.0.0.1:%d/' % self.port

    def drop_connections(self):
        """End them as a broker does that ends."""
        while self.connections:
            close(self.connections.pop())

    def freeze(self):
        """Read and answer nothing more, as a host that lost its network.

        Who connects later is not answered either.
        """
        self._reads.clear()

    def thaw(self):
        self._reads.set()

    def _close(self):
        close(self._socket)
        self.drop_connections()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=[connection],
                                 daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, EOFError):
            self._reads.wait()
            _read(connection, 8)
            _send(connection, 0, _START, b'\0\x09' + b'\0\0\0\0'
                  + _long(b'PLAIN AMQPLAIN') + _long(b'en_US'))
            published, left = 0, 0
            while True:
                kind, channel, body = _frame(connection)
                self._reads.wait()
                if kind == 1:
                    self._method(connection, channel, body)
                elif kind == 2:
                    left = struct.unpack('>Q', body[4:12])[0]
                elif kind == 3:
                    left -= len(body)
                    if not left:
                        published += 1
                        self.messages += 1
                        self.before_answer(connection)
                        _send(connection, channel, _ACK,
                              struct.pack('>QB', published, 0))

    def _method(self, connection, channel, body):
        method = struct.unpack('>HH', body[:4])
        if method == _START_OK:
            _send(connection, 0, _TUNE, struct.pack('>HIH', 0, 131072, 60))
        elif method in _ANSWERS:
            _send(connection, channel, (method[0], method[1] + 1),
                  _ANSWERS[method])


def close(end):
    """Close a socket that another thread may wait for."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _long(text):
    return struct.pack('>I', len(text)) + text


def _send(connection, channel, method, arguments):
    body = struct.pack('>HH', *method) + arguments
    connection.sendall(
        struct.pack('>BHI', 1, channel, len(body)) + body + b'\xce')


def _frame(connection):
    kind, channel, size = struct.unpack('>BHI', _read(connection, 7))
    return kind, channel, _read(connection, size + 1)[:-1]


def _read(connection, size):
    data = b''
    while len(data) < size:
        some = connection.recv(size - len(data))
        if not some:
            raise EOFError
        data += some
    return data
