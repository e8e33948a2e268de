# SPDX-License-Identifier: Apache-2.0

import socket
import urllib.error
import urllib.request

from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm import metrics
from doctor_alarm.tests import base
from doctor_alarm.tests.services import process


class ServeTest(base.TestCase):

    def serve(self, port, bind='127.0.0.1'):
        conf = cfg.ConfigOpts()
        project_conf.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override('port', port, group='metrics')
        conf.set_override('bind', bind, group='metrics')
        return metrics.serve(conf)

    def test_none_by_default(self):
        self.assertEqual(0, self.serve(0))

    def test_in_prometheus_form(self):
        port = self.serve(process.free_port())

        with urllib.request.urlopen(
                'http://127.0.0.1:%d/metrics' % port, timeout=60) as page:
            text = page.read().decode()

        self.assertIn('# TYPE doctor_alarm_deliveries_total counter', text)

    def test_there_is_nothing_else(self):
        port = self.serve(process.free_port())

        for path in ('/', '/nope', '/metrics/x', '/favicon.ico'):
            error = self.assertRaises(
                urllib.error.HTTPError, urllib.request.urlopen,
                'http://127.0.0.1:%d%s' % (port, path), timeout=60)
            self.assertEqual(404, error.code)
            error.close()

    def test_on_ipv6(self):
        if not socket.has_ipv6:
            return
        port = self.serve(process.free_port(), '::1')

        with urllib.request.urlopen(
                'http://[::1]:%d/metrics' % port, timeout=60) as page:
            self.assertEqual(200, page.status)

    def test_each_worker_takes_the_next_free_port(self):
        first = process.free_port()
        with socket.create_server(('127.0.0.1', first)):
            second = self.serve(first)
            third = self.serve(first)

        self.assertTrue(first < second < third)

    def test_an_address_that_is_not_ours(self):
        error = self.assertRaises(
            exception.ConfigurationError, self.serve, process.free_port(),
            bind='192.0.2.1')

        self.assertIn('[metrics] bind', str(error))
