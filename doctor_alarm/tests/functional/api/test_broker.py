# SPDX-License-Identifier: Apache-2.0
"""POST /v1/events over a real broker."""

import time

import requests
from testtools import matchers

from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment

QUEUE = 'doctor_alarm.event.sample'
EVENT = {'event': {'time': '2026-11-20T08:00:00', 'type': 'host.down',
                   'details': {'hostname': 'h7'}}}


class HangTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(deployment.Deployment(
            ('api',), extra='[api]\npublish_timeout = 5\n'))
        self.addCleanup(self.cloud.bus.go_on)

    def post(self):
        return requests.post(self.cloud.url + '/v1/events', json=EVENT,
                             headers=deployment.ADMIN, timeout=120)

    def test_a_broker_that_hangs_is_a_503_in_time(self):
        """All attempts of a publish take more than a minute."""
        self.assertTrue(self.post().ok)
        self.cloud.bus.hang()

        started = time.monotonic()
        answer = self.post()
        took = time.monotonic() - started

        self.assertEqual(503, answer.status_code, answer.text)
        self.assertThat(took, matchers.LessThan(30))
        # then: what is posted again arrives
        self.cloud.bus.go_on()
        self.wait_until(lambda: self.post().ok)
        self.wait_until(lambda: self.cloud.waiting(QUEUE) >= 2)
