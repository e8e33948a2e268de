# SPDX-License-Identifier: Apache-2.0
"""What can not work stops at start, with one clear line."""

import os
import subprocess
import sys

import fixtures
import kombu

from doctor_alarm import credential
from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage


class TestStart(base.TestCase):

    def setUp(self):
        super().setUp()
        self.bus = self.useFixture(rabbitmq.VirtualHost())
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'test.conf')

    def refused(self, name, database='', extra=''):
        with open(self.path, 'w') as config:
            config.write('[DEFAULT]\ntransport_url = %s\n[database]\n'
                         'connection = %s\n%s' % (
                             self.bus.url, database, extra))
        return self.refused_as_it_is(name)

    def refused_as_it_is(self, name):
        done = subprocess.run(
            [sys.executable, '-m', 'doctor_alarm.cmd.' + name,
             '--config-file', self.path],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        errors = [line for line in done.stderr.splitlines()
                  if line.startswith('ERROR: ')]
        self.assertEqual(1, len(errors), done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        return errors[0]

    def test_without_a_database(self):
        for name in ('evaluator', 'notifier', 'api'):
            self.assertIn('[database] connection', self.refused(name))

    def test_a_configuration_that_is_no_text(self):
        with open(self.path, 'wb') as config:
            config.write(b'[api]\nport = \x98\xff\n')
        self.assertIn('configuration: ', self.refused_as_it_is('evaluator'))

    def test_without_the_schema(self):
        url = self.useFixture(mariadb.Database()).url
        for name in ('evaluator', 'notifier', 'api'):
            self.assertIn('db sync', self.refused(name, url))

    def test_queue_with_other_settings(self):
        url = self.useFixture(
            storage.Storage(self.useFixture(mariadb.Database()).url)).url
        conf = self.useFixture(storage.Storage()).conf
        conf.set_override('transport_url', self.bus.url)
        transport = messaging.get_own_transport(conf)
        with kombu.Connection(dead_letter.kombu_url(transport)) as conn:
            conn.channel().queue_declare(
                'alarm.all.sample', durable=True, auto_delete=False,
                arguments={'x-queue-type': 'quorum'})
        self.assertIn('alarm.all', self.refused('evaluator', url))

    def test_without_the_file_of_passwords(self):
        url = self.useFixture(
            storage.Storage(self.useFixture(mariadb.Database()).url)).url
        self.assertIn(
            'http_basic_auth_user_file = /nowhere: No such file or directory',
            self.refused('api', url, '[api]\nauth_mode = http_basic\n'
                         '[oslo_middleware]\n'
                         'http_basic_auth_user_file = /nowhere\n'))

    def test_options_that_contradict_each_other(self):
        url = self.useFixture(
            storage.Storage(self.useFixture(mariadb.Database()).url)).url
        self.assertIn('wakeup_lease', self.refused(
            'evaluator', url, '[evaluator]\nwakeup_lease = 5\n'))

    def test_keys_that_can_not_be_used(self):
        url = self.useFixture(
            storage.Storage(self.useFixture(mariadb.Database()).url)).url
        keys = self.path + '.keys'
        extra = '[credential]\nkey_file = %s\n' % keys
        options = '[api]\nauth_mode = noauth\nhost = 127.0.0.1\n'
        for name in ('notifier', 'api'):
            self.assertIn('No such file', self.refused(
                name, url, extra + options))
        for text, mode, words in (
                (credential.new_key(), 0o644, 'everybody may read it'),
                ('abc', 0o600, 'line 1 is not a key'), ('', 0o600, 'no key')):
            with open(keys, 'w') as file:
                file.write(text)
            os.chmod(keys, mode)
            line = self.refused('api', url, extra + options)
            self.assertIn(words, line)
            self.assertIn('[credential] key_file %s' % keys, line)


class TestUrls(base.TestCase):

    def test_passwords_and_addresses_of_every_form(self):
        conf = self.useFixture(storage.Storage()).conf
        # Python 3.11 of Debian takes brackets for the only host there is.
        for url, expected in (
                ('rabbit://a%40b:p%40ss%23w%25rd@[::1]:5672/v%2Fh',
                 'amqp://a%40b:p%40ss%23w%25rd@[::1]:5672/v%2Fh'),
                ('rabbit://a%40b:p%40ss%23w%25rd@g:5672,c:d@h:1/v%2Fh',
                 'amqp://a%40b:p%40ss%23w%25rd@g:5672/v%2Fh;'
                 'amqp://c:d@h:1/v%2Fh')):
            conf.set_override('transport_url', url)
            transport = messaging.get_own_transport(conf)
            self.assertFalse(dead_letter._tls(transport))
            self.assertEqual(expected, dead_letter.kombu_url(transport))

    def test_tls_is_that_of_oslo_messaging(self):
        conf = self.useFixture(storage.Storage()).conf
        conf.set_override(
            'transport_url', 'rabbit://u:p@h:5671/?ssl=true&ssl_ca_file=/ca')
        found = dead_letter._tls(messaging.get_own_transport(conf))
        self.assertEqual('/ca', found['ca_certs'])
        self.assertIn('cert_reqs', found)
