# SPDX-License-Identifier: Apache-2.0

import json
import os

import fixtures
from oslo_config import cfg
import yaml

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm.monitors import hosts
from doctor_alarm.tests import base


class HostsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[])
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'hosts')

    def read(self, text=None, **options):
        if text is not None:
            with open(self.path, 'w') as file:
                file.write(text)
            options['hosts_file'] = self.path
        for name, value in options.items():
            self.conf.set_override(name, value, group='monitor_ping')
        return hosts.read(self.conf.monitor_ping)

    def refused(self, text=None, **options):
        return str(self.assertRaises(
            exception.ConfigurationError, self.read, text, **options))

    def test_both_formats_of_the_file(self):
        listed = {'h1': '127.0.0.1', 'h2': '::1'}
        for text in (json.dumps(listed), yaml.safe_dump(listed)):
            found = self.read(text)
            self.assertEqual(listed, found.hosts)
            self.assertEqual({4, 6}, found.families())

    def test_the_option_and_the_file_together(self):
        found = self.read('{"h1": "127.0.0.1"}', hosts={'h2': '127.0.0.2'})

        self.assertEqual({'h1': '127.0.0.1', 'h2': '127.0.0.2'}, found.hosts)
        self.assertIn('h1 has another address', self.refused(
            hosts={'h1': '127.0.0.3'}))

    def test_canaries(self):
        found = self.read(hosts={'h1': '127.0.0.1'}, canaries=['::1'])

        self.assertEqual(('::1',), found.canaries)
        self.assertEqual({4, 6}, found.families())
        self.assertIn('canaries', self.refused(canaries=['']))

    def test_a_name_is_looked_up(self):
        found = self.read(hosts={'h1': 'localhost'})

        self.assertIn(found.hosts['h1'], ('127.0.0.1', '::1'))

    def test_what_is_no_list_of_hosts(self):
        for text, complaint in (
                ('', 'must be an object'), ('[]', 'must be an object'),
                ('a: [', 'expected'), ('\x00', 'special characters'),
                ('{"h1": 5}', 'the address of h1 must be a text'),
                ('{"h1": null}', 'the address of h1 must be a text'),
                ('{"h1": ""}', 'the address of h1 must be a text'),
                ('{5: "127.0.0.1"}', 'the name 5 is not a text'),
                ('{"": "127.0.0.1"}', "the name '' is not a text"),
                ('{"h1": "224.0.0.1"}', 'is not that of a host'),
                ('{"h1": "0.0.0.0"}', 'is not that of a host'),
                ('{"h1": "255.255.255.255"}', 'is not that of a host'),
                ('{"h1": "h1.invalid"}', 'can not be looked up'),
                ('{"h1": "%s"}' % ('a' * 300), 'can not be looked up')):
            said = self.refused(text)
            self.assertIn(complaint, said)
            self.assertIn(self.path, said)
        os.unlink(self.path)
        self.assertIn('No such file', self.refused())
