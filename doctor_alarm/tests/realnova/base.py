# SPDX-License-Identifier: Apache-2.0

import fixtures
from testtools import content

from doctor_alarm.tests import base
from doctor_alarm.tests.realnova import stack
from doctor_alarm.tests.services import process


class TestCase(base.TestCase):
    """Tests of a class share one nova, ``self.nova``.

    They leave it as they found it: no servers, no host forced down.
    """

    quorum = False      # whether nova's queues are quorum queues

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nova = stack.RealNova(quorum=cls.quorum)
        try:
            cls.nova.setUp()
        except fixtures.MultipleExceptions as errors:
            # what went wrong, and the details that a test would show
            raise process.ServiceFailed(str(errors.args[0][1])) from None
        cls.addClassCleanup(cls.nova.cleanUp)

    def setUp(self):
        super().setUp()
        self.addOnException(self._show_logs)

    def _show_logs(self, _error):
        self.addDetail('the logs of nova', content.text_content(
            str(self.nova.log_directory)))
        for name, tail in self.nova.log_tails().items():
            self.addDetail(name, content.text_content(tail))

    def boot(self, name, host):
        """Boot a server that is deleted after the test; returns its id."""
        server_id = self.nova.boot(name, host)
        self.addCleanup(self.nova.delete, server_id)
        return server_id
