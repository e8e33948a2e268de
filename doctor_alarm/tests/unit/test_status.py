# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-status upgrade check."""

import contextlib
import io
import json
import os
import sys
from unittest import mock

import fixtures
import sqlalchemy as sa

from doctor_alarm.cmd import state
from doctor_alarm.cmd import status
from doctor_alarm import credential
from doctor_alarm.db import models
from doctor_alarm.objects import alarm
from doctor_alarm import standalone
from doctor_alarm.tests import base
from doctor_alarm.tests import storage

URL = 'http://bob:hush@receiver/'


class StatusTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MockPatch('oslo_log.log.setup'))
        self.storage = self.useFixture(storage.Storage())
        self.options = {
            'DEFAULT': [], 'database': ['connection = ' + self.storage.url],
            'credential': ['key_file = ' + self.storage.key_file],
            'oslo_policy': ['policy_file = ' + self.path('policy.yaml')],
            'api': ['auth_mode = noauth', 'host = 127.0.0.1'],
            'notifier': []}

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as file:
            file.write(text)
        return self.path(name)

    def run_command(self, *arguments):
        """Return the status and what was said."""
        config = self.write('test.conf', ''.join(
            '[%s]\n%s\n' % (group, '\n'.join(lines))
            for group, lines in self.options.items()))
        said = io.StringIO()
        with mock.patch.object(sys, 'argv', [
                'doctor-alarm-status', '--config-file', config, *arguments,
                ]), contextlib.redirect_stdout(said), (
                contextlib.redirect_stderr(said)):
            found = status.main()
        self.assertNotIn('hush', said.getvalue())
        return found, said.getvalue()

    def check(self, *arguments):
        """Return the status, and the checks that failed with their words."""
        found, said = self.run_command(*arguments, 'upgrade', 'check',
                                       '--json')
        checks = json.loads(said)['checks']
        self.assertEqual(found, max(item['result'] for item in checks))
        return found, {item['check']: item['details'] for item in checks
                       if item['result']}

    def complaint(self, level, check, *arguments):
        found, complaints = self.check(*arguments)
        self.assertEqual((level, [check]), (found, list(complaints)),
                         complaints)
        return complaints[check]

    def store(self, url):
        alarm.create(self.storage.db, alarm.Alarm(
            name='a', type='event', rule={'event_type': 'x', 'query': []},
            project_id='p1', alarm_actions=[url]))

    def sealed(self):
        return credential.make(self.storage.conf).seal(URL)

    def test_all_is_well(self):
        self.store('http://receiver/')
        self.store(self.sealed())

        self.assertEqual((0, {}), self.check())

    def test_a_table_for_people(self):
        found, said = self.run_command('upgrade', 'check')

        self.assertEqual(0, found)
        self.assertIn('| Check: Database schema', said)

    def test_no_schema(self):
        self.options['database'] = [
            'connection = sqlite:///' + self.path('empty')]

        found, complaints = self.check()
        self.assertEqual(2, found)
        self.assertIn('db sync', complaints['Database schema'])

    def test_other_schemas(self):
        for revision, words in (('9999', 'newer version'),
                                (None, 'missing')):
            with self.storage.db.writer() as conn:
                conn.execute(sa.text('DELETE FROM alembic_version'))
                if revision:
                    conn.execute(sa.text(
                        "INSERT INTO alembic_version VALUES ('9999')"))
            self.assertIn(words, self.complaint(2, 'Database schema'))

    def test_no_database(self):
        self.options['database'] = [
            'connection = mysql+pymysql://u:hush@127.0.0.1:1/x']

        found, complaints = self.check()
        self.assertEqual(2, found)
        for check in ('Database schema', 'Credentials in action URLs'):
            self.assertIn('does not answer', complaints[check])

    def test_policies_as_json(self):
        self.options['oslo_policy'] = [
            'policy_file = ' + self.write('policy.json', '{"a": "!"}')]

        self.assertIn('JSON', self.complaint(2, 'Policy file format'))

    def test_policies_that_there_are_not(self):
        self.write('policy.yaml', '"telemetry:get_alarms": "rule:mine"\n'
                   '"telemetry:get_alarmz": "!"\nmine: "role:a"\n')

        self.assertEqual('Policies that there are not: telemetry:get_alarmz',
                         self.complaint(1, 'Policies'))

    def test_policies_that_are_broken(self):
        for text in ('"telemetry:get_alarms": "rule:nope"\n', 'a: [\n'):
            self.write('policy.yaml', text)

            self.assertIn('can not be used', self.complaint(2, 'Policies'))

    def test_credentials_without_their_key(self):
        self.store(self.sealed())
        name = 'Credentials in action URLs'
        self.options['credential'] = []
        self.assertIn('1 alarms', self.complaint(2, name))

        self.options['credential'] = [
            'key_file = ' + self.write('other', credential.new_key())]
        os.chmod(self.path('other'), 0o600)
        self.assertIn('1 alarms', self.complaint(2, name))

        os.chmod(self.path('other'), 0o644)
        self.assertIn('chmod', self.complaint(2, name))

    def test_what_waits_of_an_alarm_that_is_gone(self):
        with self.storage.db.writer() as conn:
            conn.execute(sa.insert(models.lane).values(
                id='l', alarm_id='a', project_id='p1', action=self.sealed(),
                head=1, tail=1, due=1, attempts=0))
        self.options['credential'] = []

        self.assertIn('1 alarms', self.complaint(
            2, 'Credentials in action URLs'))

    def test_credentials_that_are_not_encrypted(self):
        self.store(URL)

        self.assertIn('credential rotate', self.complaint(
            1, 'Credentials in action URLs'))

    def test_tokens_that_could_not_be_checked(self):
        self.options['api'] = []
        said = self.complaint(2, 'Options')
        self.assertIn('[keystone_authtoken]', said)
        self.assertIn('auth_type', said)

        self.options['keystone_authtoken'] = ['auth_type = nonsense']
        self.assertIn('[keystone_authtoken]', self.complaint(2, 'Options'))

        self.options['keystone_authtoken'] = [
            'auth_type = password', 'auth_url = http://127.0.0.1:1',
            'username = u', 'password = hush', 'project_name = service',
            'user_domain_id = default', 'project_domain_id = default']
        self.assertEqual((0, {}), self.check())

    def test_options_that_contradict_each_other(self):
        self.options['api'] = ['auth_mode = noauth']
        self.options['notifier'] = [
            'timeout = 20', 'lease = 30', 'blocked_networks = nope']

        words = self.complaint(2, 'Options')
        for part in ('[evaluator] wakeup_lease', '[notifier] lease',
                     '[notifier] blocked_networks', '[api] auth_mode'):
            self.assertIn(part, words)

    def test_a_standalone_service(self):
        self.options['database'] = self.options['api'] = []
        self.options['credential'] = []
        path = self.path('state')
        url = standalone.database_url(path)
        self.useFixture(storage.Storage(url))

        self.assertEqual((0, {}), self.check('--state-path', path))
        found, said = self.run_command(
            '--state-path', self.path('nope'), 'upgrade', 'check')
        self.assertEqual(255, found)
        self.assertEqual(1, len(said.splitlines()), said)

    def test_a_check_that_breaks(self):
        self.useFixture(fixtures.MockPatchObject(
            state, 'use', side_effect=KeyError('http://u:hush@h/')))

        self.assertEqual(255, self.run_command('upgrade', 'check')[0])
