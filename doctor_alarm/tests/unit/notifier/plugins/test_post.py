# SPDX-License-Identifier: Apache-2.0

import asyncio
import contextlib

import aiohttp
import yarl

from doctor_alarm.notifier.plugins import post
from doctor_alarm.tests import base

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'


class Server:
    """Answers each request with the next bytes; None: it closes.

    :ivar requests: (connection, head, body)
    """

    def __init__(self, *answers, reads=True):
        self.answers = list(answers)
        self.reads = reads
        self.requests = []
        self.connections = 0

    async def __call__(self, reader, writer):
        self.connections += 1
        number = self.connections
        with contextlib.suppress(ConnectionError,
                                 asyncio.IncompleteReadError):
            while self.answers:
                head = await reader.readuntil(b'\r\n\r\n')
                length = int(head.lower().partition(
                    b'content-length: ')[2].partition(b'\r')[0])
                body = await reader.readexactly(length if self.reads else 0)
                self.requests.append((number, head, body))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
        writer.close()


class ClientTest(base.TestCase):

    def posted(self, server, *bodies, headers=()):
        """Post each body in turn; return (status, body) or the error."""
        async def run():
            async with await asyncio.start_server(
                    server, '127.0.0.1', 0) as listening:
                url = yarl.URL('http://127.0.0.1:%d/p?q=1' % (
                    listening.sockets[0].getsockname()[1]))
                client = post.Client(aiohttp.TCPConnector())
                try:
                    return [await self.outcome(client, url, headers, body)
                            for body in bodies]
                finally:
                    self.acquired = len(client._connector._acquired)
                    await client.close()
        return asyncio.run(asyncio.wait_for(run(), 60))

    @staticmethod
    async def outcome(client, url, headers, body):
        try:
            answer = await client.post(
                url.origin(), post.head_of(url, headers), body)
        except aiohttp.ClientError as exc:
            return type(exc)
        found = await answer.content.read()
        answer.release()
        return answer.status, found

    def test_the_request(self):
        server = Server(OK)

        self.assertEqual([(200, b'ok')], self.posted(
            server, b'{}', headers=[('X-A', 'b'), ('X-C', 'd')]))

        (_number, head, body), = server.requests
        lines = head.split(b'\r\n')
        self.assertEqual(b'POST /p?q=1 HTTP/1.1', lines[0])
        self.assertTrue(lines[1].startswith(b'Host: 127.0.0.1:'))
        self.assertEqual(
            [b'X-A: b', b'X-C: d', b'Content-Length: 2', b'', b''],
            lines[2:])
        self.assertEqual(b'{}', body)

    def test_long_bodies_arrive_whole(self):
        server, body = Server(OK, OK), bytes(range(256)) * 20000

        self.assertEqual(
            [(200, b'ok')] * 2, self.posted(server, body, b'next'))

        self.assertEqual([(1, body), (1, b'next')], [
            (number, sent) for number, _head, sent in server.requests])

    def test_connections_are_used_again(self):
        server = Server(*[OK] * 5)
        self.posted(server, *[b'x'] * 5)
        self.assertEqual(1, server.connections)
        self.assertEqual(0, self.acquired)

    def test_not_after_more_than_was_asked_for(self):
        # Else it would be taken for the answer to the next request.
        server = Server(OK + OK, OK)
        self.posted(server, b'x', b'x')
        self.assertEqual(2, server.connections)

    def test_not_when_the_answer_says_so(self):
        server = Server(OK.replace(
            b'\r\n', b'\r\nConnection: close\r\n', 1), OK)
        self.posted(server, b'x', b'x')
        self.assertEqual(2, server.connections)

    def test_what_comes_before_the_answer_is_none(self):
        server = Server(b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'
                        b'HTTP/1.1 102 Processing\r\n\r\n' + OK)
        self.assertEqual([(200, b'ok')], self.posted(server, b'x'))

    def test_the_end_of_the_connection_is_one_of_the_answer(self):
        answer = b'HTTP/1.1 200 OK\r\n\r\nall of it'
        self.assertEqual(
            [(200, b'all of it')], self.posted(Server(answer), b'x'))

    def test_no_answer(self):
        server = Server(None, b'SSH-2.0-OpenSSH_9.2\r\n', OK)
        self.assertEqual(
            [aiohttp.ServerDisconnectedError, post.NotHttp, (200, b'ok')],
            self.posted(server, b'x', b'x', b'x'))
        self.assertEqual(0, self.acquired)

    def test_an_upgrade_that_nobody_asked_for(self):
        server = Server(b'HTTP/1.1 101 Switching Protocols\r\n'
                        b'Upgrade: x\r\nConnection: Upgrade\r\n\r\n', OK)
        (status, _body), after = self.posted(server, b'x', b'x')
        self.assertEqual(101, status)
        self.assertEqual((200, b'ok'), after)
        self.assertEqual(2, server.connections)


class HeadTest(base.TestCase):

    def test_ports_and_addresses(self):
        for url, host in (('http://h/', b'h'), ('http://h:80/', b'h'),
                          ('http://h:8080/', b'h:8080'),
                          ('https://h:443/', b'h'),
                          ('http://[::1]:81/', b'[::1]:81'),
                          ('http://b\u00fccher.example/',
                           b'xn--bcher-kva.example')):
            self.assertEqual(
                b'POST / HTTP/1.1\r\nHost: %b\r\n' % host,
                post.head_of(yarl.URL(url), ()))

    def test_paths(self):
        for path, sent in (('', b'/'), ('?a', b'/?a'), ('/a b', b'/a%20b'),
                           ('/\u00fc?\u00fc', b'/%C3%BC?%C3%BC'),
                           ('/%0d%0aX:y', b'/%0D%0AX:y')):
            self.assertTrue(post.head_of(
                yarl.URL('http://h' + path), ()).startswith(
                    b'POST %b HTTP/1.1\r\n' % sent), path)

    def test_nothing_makes_a_line_of_its_own(self):
        url = yarl.URL('http://h/')
        for value in ('a\r\nX-B: c', 'a\nb', 'a\rb', 'a\0', '\u00fc'):
            self.assertRaises(
                ValueError, post.head_of, url, [('X-A', value)])
            self.assertRaises(ValueError, post.lines, ('X-A', value))
        encoded = yarl.URL('http://h/a\r\nX-B: c', encoded=True)
        self.assertNotIn(b'\nX-B', _head_or_nothing(encoded))


def _head_or_nothing(url):
    try:
        return post.head_of(url, ())
    except ValueError:
        return b''
