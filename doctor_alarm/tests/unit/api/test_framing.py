# SPDX-License-Identifier: Apache-2.0
"""Where a request ends, however its bytes arrive."""

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.api import framing
from doctor_alarm.tests import base

GET = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
LENGTH = b'POST / HTTP/1.1\r\ncontent-length : 5 \r\n\r\nhello'
CHUNKED = (b'POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n'
           b'3;x=y\r\nhel\r\n002\r\nlo\r\n0\r\n')
WHOLE = (GET, LENGTH, CHUNKED + b'\r\n', CHUNKED + b'A: b\r\nC: d\r\n\r\n')


def end(data, size=1000):
    return framing.Frame(size).end(bytearray(data))


class FrameTest(base.TestCase):

    @hypothesis.given(st.sampled_from(WHOLE), st.lists(
        st.integers(1, 100), max_size=20), st.binary(max_size=10))
    def test_in_pieces(self, request, cuts, following):
        frame, data = framing.Frame(1000), bytearray()
        for at in sorted({cut % len(request) for cut in cuts}):
            data[:] = request[:at]
            self.assertIsNone(frame.end(data))
        data[:] = request + following

        self.assertEqual(len(request), frame.end(data))

    def refused(self, data, size=1000):
        return self.assertRaises(
            framing.Refused, end, data, size).status

    def test_what_could_be_read_in_two_ways(self):
        for headers in (
                b'Content-Length: 5\r\nContent-Length: 6',
                b'Content-Length: 5, 5', b'Content-Length: +5',
                b'Content-Length: -1', b'Content-Length:',
                b'Content-Length: 5\r\n 7',
                b'Content-Length: 5\r\nTransfer-Encoding: chunked',
                b'Transfer-Encoding: gzip, chunked',
                b'Transfer-Encoding: identity'):
            self.assertEqual(400, self.refused(
                b'POST / HTTP/1.1\r\n%s\r\n\r\n' % headers), headers)
        self.assertEqual(400, self.refused(
            b'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n'))

    def test_chunks_that_are_none(self):
        for chunk in (b'x\r\n', b'-1\r\n', b'0x1\r\n', b'\r\n', b'1' * 300,
                      b'2\r\nabc\r\n', b'123456789\r\n'):
            self.assertEqual(400, self.refused(
                b'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'
                + chunk), chunk)

    def test_what_is_too_large(self):
        self.assertEqual(5, len(LENGTH) - LENGTH.index(b'hello'))
        for request in (LENGTH, LENGTH[:-5], CHUNKED + b'\r\n'):
            self.assertEqual(413, self.refused(request, 4))
        end(LENGTH, 5)
        end(CHUNKED, 5)

    def test_a_body_of_crumbs(self):
        crumbs = b'1;%s\r\nx\r\n' % (b'e' * 200)
        self.assertEqual(413, self.refused(
            b'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'
            + crumbs * 400))

    def test_heads_without_an_end(self):
        for line in (b'GET /' + b'x' * framing.MAX_HEAD,
                     b'GET / HTTP/1.1\r\nA: ' + b'x' * framing.MAX_HEAD,
                     CHUNKED + b'x' * framing.MAX_HEAD * 2):
            self.assertIn(self.refused(line, 10 ** 6), (413, 431))

    def test_who_waits_for_a_go_on(self):
        frame = framing.Frame(10)
        frame.end(bytearray(b'POST / HTTP/1.1\r\nContent-Length: 5\r\n'
                            b'Expect: 100-continue\r\n\r\n'))

        self.assertTrue(frame.expects)
