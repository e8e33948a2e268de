# SPDX-License-Identifier: Apache-2.0

import datetime

import requests

from doctor_alarm.monitors import client
from doctor_alarm.tests import base

NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.timezone.utc)


def answer(status, content=b'', **headers):
    found = requests.Response()
    found.status_code = status
    found._content = content
    found.headers.update(headers)
    return found


class JudgeTest(base.TestCase):

    def test_every_status_has_a_meaning(self):
        for result, statuses in (
                ('DELIVERED', (200, 201, 202, 204)),
                ('REFUSED', (400, 413, 415, 422)),
                # an operator can repair these; what was found has to wait
                ('RETRY', (301, 302, 307, 401, 403, 404, 405, 408, 409, 429,
                           500, 502, 503, 504, 599))):
            for status in statuses:
                self.assertEqual(
                    client.Result[result],
                    client.judge(answer(status)).result, status)

    def test_the_reason_is_one_short_line(self):
        found = client.judge(answer(
            400, b'{"error_message": {"faultstring": "a\\nb %s"}}' % (
                b'x' * 1000)))
        self.assertTrue(found.reason.startswith('HTTP 400 a b xxx'))
        self.assertLess(len(found.reason), 400)
        for content in (b'', b'<html>', b'[]', b'{"error_message": null}'):
            self.assertEqual('HTTP 500 ', client.judge(
                answer(500, content)).reason)

    def test_retry_after(self):
        self.assertEqual(7.0, client.judge(
            answer(503, **{'Retry-After': '7'})).retry_after)
        for text, seconds in (
                (None, 0.0), ('', 0.0), ('soon', 0.0), ('-5', 0.0),
                ('\u0663', 0.0), ('120', 120.0), (' 5 ', 5.0),
                ('9' * 400, 999999999.0),
                ('Fri, 20 Nov 2026 12:01:00 GMT', 60.0),
                ('Fri, 20 Nov 2026 12:01:00 -0000', 60.0),
                ('Fri, 20 Nov 2026 11:00:00 GMT', 0.0)):
            self.assertEqual(seconds, client.retry_after(text, NOW), text)
