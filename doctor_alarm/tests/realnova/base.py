# SPDX-License-Identifier: Apache-2.0

import contextlib

import fixtures
from keystoneauth1 import exceptions
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
        """Boot a server that is gone after the test; returns its id."""
        server_id = self.nova.boot(name, host)
        self.addCleanup(self._delete, server_id)
        return server_id

    def _delete(self, server_id):
        with contextlib.suppress(exceptions.NotFound):
            self.nova.delete(server_id)

    def force_down(self, host):
        """Say that a host is down; it is repaired after the test."""
        self.addCleanup(self._repair, host)
        self.nova.force_down(host, True)

    def _repair(self, host):
        if self.nova.service(host)['forced_down']:
            self.nova.repair(host)
