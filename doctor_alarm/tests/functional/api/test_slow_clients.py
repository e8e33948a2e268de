# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, endless, too large or malformed."""

import re
import socket
import threading
import time

from doctor_alarm.api import server
from doctor_alarm.tests.functional.api import served
from doctor_alarm.tests.unit.api import base as api_base

EVENT = b'{"event": {"time": "2026-11-20T12:00:00", "type": "a"}}'
HEADERS = (b'POST /v1/events HTTP/1.1\r\nHost: a\r\n'
           b'Content-Type: application/json\r\nX-User-Id: u\r\n'
           b'X-Project-Id: p1\r\nX-Roles: member\r\n')
LENGTH = b'Content-Length: %d\r\n\r\n' % len(EVENT)
CHUNKED = b'Transfer-Encoding: chunked\r\n\r\n'


def is_closed(sock):
    """Whether the server has closed a connection."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class SlowTest(served.ServedTestCase):

    options = {'threads': 2, 'client_timeout': 2, 'max_connections': 100}

    def dribble(self, sock, data):
        """Send a byte now and then until the server ends it."""
        try:
            for at in range(len(data)):
                sock.sendall(data[at:at + 1])
                time.sleep(0.1)
        except OSError:
            pass

    def cut_off(self, start, rest):
        sock = self.connect()
        sock.sendall(start)
        # More of it than the server waits for.
        sender = threading.Thread(
            target=self.dribble, args=(sock, rest * 100), daemon=True)
        began = time.monotonic()
        sender.start()
        try:
            status, _doc = self.answer(sock)
        except ConnectionResetError:
            status = 408    # it was still sending
        self.assertIn(status, (408, None))
        self.assertLess(1, time.monotonic() - began)
        sock.close()
        sender.join(60)

    def test_a_header_byte_by_byte(self):
        self.cut_off(HEADERS, b'X-A: b\r\n')

    def test_a_body_byte_by_byte(self):
        self.cut_off(HEADERS + b'Content-Length: 1000\r\n\r\n', b'x')

    def test_a_chunked_body_byte_by_byte(self):
        self.cut_off(HEADERS + CHUNKED, b'1\r\nx\r\n')

    def test_silence(self):
        status, doc = self.answer(self.connect())

        self.assertEqual((None, None), (status, doc))

    def test_the_refusal_has_our_form(self):
        sock = self.connect()
        sock.sendall(HEADERS)

        status, doc = self.answer(sock)

        self.assertEqual(408, status)
        self.assertEqual('Request is not complete',
                         doc['error_message']['faultstring'])


class ManyTest(served.ServedTestCase):
    """More slow clients than threads, for as long as they like."""

    options = {'threads': 2, 'client_timeout': 250, 'max_connections': 40}

    def test_others_are_served(self):
        slow = []
        for _number in range(30):
            sock = self.connect()
            sock.sendall(HEADERS + LENGTH + EVENT[:-1])
            slow.append(sock)

        for _number in range(5):
            self.assertEqual(200, self.request('get', '/').status_code)
        self.assertEqual([], self.events.accepted)

        # Who goes on is served as well.
        slow[7].sendall(EVENT[-1:])
        self.assertIn(b' 202 ', slow[7].recv(65536).split(b'\r\n')[0])

    def test_one_connection_too_many(self):
        first = self.connect()
        first.sendall(HEADERS)
        # It is the oldest only when the server has seen it.
        self.assertEqual(200, self.request('get', '/').status_code)
        idle = [self.connect() for _number in range(40)]

        self.wait_until(lambda: is_closed(first))
        self.assertEqual(200, self.request('get', '/').status_code)
        for sock in idle[5:]:
            self.assertFalse(is_closed(sock))


class MemoryTest(served.ServedTestCase):
    """Many clients with most of a large body, and never the rest."""

    options = {'threads': 2, 'client_timeout': 250, 'max_body_size': 2000}

    def test_it_is_bounded(self):
        begun = HEADERS + b'Content-Length: 2000\r\n\r\n' + b'x' * 1900
        budget = server.BODIES * 2000
        many = []
        for _number in range(budget // len(begun) + 30):
            sock = self.connect()
            sock.sendall(begun)
            many.append(sock)

        self.wait_until(lambda: sum(map(is_closed, many)) >= 30)
        self.assertEqual(202, self.request(
            'post', '/v1/events', data=EVENT, headers={
                **api_base.ALICE, 'Content-Type': 'application/json',
            }).status_code)
        # No more of them than need be.
        self.assertLess(sum(map(is_closed, many)), 40)


class ReaderTest(served.ServedTestCase):
    """A client that asks, and does not take the answer."""

    options = {'threads': 1, 'client_timeout': 2}

    def wrapped(self):
        def application(environ, start_response):
            if environ['PATH_INFO'] != '/large':
                return self.application(environ, start_response)
            start_response('200 OK', [('Content-Length', '60000000')])
            return [b'x' * 1000000] * 60
        return application

    def test_others_are_served(self):
        sock = self.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b'GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
        self.assertTrue(sock.recv(1))

        self.assertEqual(200, self.request('get', '/').status_code)


class BodyTest(served.ServedTestCase):

    options = {'max_body_size': 2000}

    def send(self, *parts):
        sock = self.connect()
        for part in parts:
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        status, doc = self.answer(sock)
        return status, doc and doc['error_message']['faultstring']

    def test_too_large(self):
        for parts in (
                [b'Content-Length: 2001\r\n\r\n', b'x' * 2001],
                [b'Content-Length: 9000000\r\n\r\n'] + [b'x' * 100000] * 90,
                [CHUNKED, b'FFFF\r\n', b'x' * 0xffff],
                [CHUNKED] + [b'400\r\n', b'x' * 0x400, b'\r\n'] * 9000):
            self.assertEqual((413, 'Body is larger than 2000 bytes'),
                             self.send(HEADERS, *parts))
        self.assertEqual([], self.events.accepted)

    def test_in_chunks(self):
        def pieces():
            for at in range(0, len(EVENT), 7):
                yield EVENT[at:at + 7]

        answer = self.request('post', '/v1/events', data=pieces(), headers={
            **api_base.ALICE, 'Content-Type': 'application/json'})

        self.assertEqual(202, answer.status_code)
        self.assertEqual(1, len(self.events.accepted))

    def test_one_after_the_other(self):
        chunked = (CHUNKED + b'%x\r\n' % len(EVENT) + EVENT
                   + b'\r\n0\r\nA: b\r\n\r\n')
        sock = self.connect()
        sock.sendall(HEADERS + LENGTH + EVENT + HEADERS + chunked
                     + b'GET /nope HTTP/1.1\r\nHost: a\r\n'
                     b'Content-Length: 3\r\n\r\nabc'
                     + HEADERS + b'Connection: close\r\n' + LENGTH + EVENT)
        data = b''
        while piece := sock.recv(65536):
            data += piece

        self.assertEqual(
            [b'202', b'202', b'404', b'202'],
            re.findall(rb'HTTP/1.1 (\d+)', data))
        self.assertEqual(3, len(self.events.accepted))

    def test_who_waits_to_be_told_to_go_on(self):
        sock = self.connect()
        sock.sendall(HEADERS + b'Connection: close\r\n'
                     b'Expect: 100-continue\r\n' + LENGTH)
        self.assertEqual(b'HTTP/1.1 100 Continue\r\n\r\n', sock.recv(65536))
        sock.sendall(EVENT)
        self.assertEqual(202, self.answer(sock)[0])

        sock = self.connect()
        sock.sendall(HEADERS + b'Expect: 100-continue\r\n'
                     b'Content-Length: 2001\r\n\r\n')
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(413, self.answer(sock)[0])

    def test_what_is_no_request(self):
        for data, words in [
                (b'hello\r\n\r\n', 'Malformed'),
                (b'GET / HTTP/9.9\r\n\r\n', ''),
                (b'GET http://b/ HTTP/1.1\r\n\r\n', 'Absolute'),
                (HEADERS + CHUNKED + b'zz\r\n', 'chunk'),
                (HEADERS + b'Content-Length: 1\r\n' + CHUNKED, 'chunked'),
                (b'GET / HTTP/1.1\r\nA' + b'a' * 70000, '65536 bytes')]:
            status, sentence = self.send(data)
            self.assertIn(status, (400, 431, 505), data[:30])
            self.assertIn(words, sentence)

    def test_headers_that_could_be_taken_for_others(self):
        sock = self.connect()
        sock.sendall(b'GET /v2/alarms HTTP/1.1\r\nHost: a\r\n'
                     b'X-User-Id: u\r\nX-Project-Id: p1\r\nX-Roles: none\r\n'
                     b'X_Roles: admin\r\nConnection: close\r\n\r\n')

        self.assertEqual(403, self.answer(sock)[0])


class EndTest(served.ServedTestCase):

    def test_what_has_arrived_is_answered(self):
        socks = [self.connect() for _number in range(3)]
        for sock in socks:
            sock.sendall(HEADERS)
        self.request('get', '/')        # they have been accepted by now
        # The selector looks no more, as if it were late.
        self.server._cheroot._connections.stop()
        for sock in socks[:2]:
            sock.sendall(LENGTH + EVENT)

        self.server.stop()

        for sock in socks[:2]:
            self.assertIn(b' 202 ', sock.recv(65536).split(b'\r\n')[0])
        self.assertEqual(408, self.answer(socks[2])[0])
        self.assertEqual(2, len(self.events.accepted))
