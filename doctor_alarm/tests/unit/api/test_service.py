# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.api import service
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests import storage


class NoAuthenticationTest(base.TestCase):
    """Who is believed whatever he says must sit on this host."""

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(storage.Storage()).conf
        self.conf.set_override('transport_url', 'rabbit://127.0.0.1:1/')
        self.conf.set_override('auth_mode', 'noauth', group='api')

    def make(self, host):
        self.conf.set_override('host', host, group='api')
        return service.make_app(self.conf)

    def test_on_the_network(self):
        for host in ('0.0.0.0', '192.0.2.7', '::', 'controller'):
            error = self.assertRaises(
                exception.ConfigurationError, self.make, host)
            self.assertIn('auth_mode = noauth', str(error))
            self.assertIn(host, str(error))

    def test_on_this_host(self):
        for host in ('127.0.0.1', '127.8.0.1', '::1', 'localhost'):
            self.assertTrue(callable(self.make(host)))
