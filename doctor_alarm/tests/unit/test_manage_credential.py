# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-manage credential, and the keys of a standalone service."""

import contextlib
import io
import json
import os

from doctor_alarm.cmd import standalone as standalone_cmd
from doctor_alarm import credential
from doctor_alarm.objects import alarm
from doctor_alarm import standalone
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit import test_manage

URL = 'http://bob:hush@receiver/'


class CredentialTest(test_manage.CommandTestCase):

    def setUp(self):
        super().setUp()
        self.storage = self.useFixture(storage.Storage())
        self.url = self.storage.url

    def run_command(self, *arguments, url='sqlite://', key_file=None):
        config = self.write('keys.conf', '[credential]\nkey_file = %s\n' % (
            key_file or ''))
        return super().run_command(
            '--config-file', config, *arguments, url=url)

    def done(self, *arguments, **options):
        """Return what a command that succeeds prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status, said = self.run_command(*arguments, **options)
        self.assertEqual((0, ''), (status, said))
        return printed.getvalue()

    def stored(self):
        with self.storage.db.reader() as conn:
            return [url for row in conn.execute(
                alarm.sa.select(alarm.models.alarm.c.alarm_actions))
                for url in json.loads(row[0])]

    def import_one(self, **options):
        return self.write('alarms', json.dumps({
            'name': 'a', 'project_id': 'p1', 'type': 'event',
            'event_rule': {}, 'alarm_actions': [URL]}))

    def test_a_new_key(self):
        path = os.path.join(self.folder, 'new')
        self.assertEqual('', self.done('credential', 'create-key', path))
        self.assertEqual(1, len(credential.read(path)))
        self.assertIn('exists', self.refused(
            'credential', 'create-key', path))
        with open(path, 'a') as file:
            file.write(self.done('credential', 'create-key'))
        self.assertEqual(2, len(credential.read(path)))

    def test_rotate(self):
        sealed = credential.make(self.storage.conf).seal(URL)
        alarm.create(self.storage.db, alarm.Alarm(
            name='a', type='event', project_id='p1', rule={},
            alarm_actions=[sealed, 'http://plain/']))
        path = self.storage.key_file
        with open(path) as file:
            old = file.read()
        with open(path, 'w') as file:
            file.write('%s\n%s\n' % (credential.new_key(), old))

        self.assertEqual('alarm: 1\nlane: 0\n', self.done(
            'credential', 'rotate', url=self.url, key_file=path))
        self.assertNotIn(sealed, self.stored())
        self.assertEqual('alarm: 0\nlane: 0\n', self.done(
            'credential', 'rotate', url=self.url, key_file=path))

        other = os.path.join(self.folder, 'other')
        credential.create(other)
        line = self.refused(
            'credential', 'rotate', url=self.url, key_file=other)
        self.assertIn('1 alarms', line)
        self.assertNotIn('hush', line)

    def test_without_keys(self):
        self.assertIn('[credential] key_file', self.refused(
            'credential', 'rotate', url=self.url))
        line = self.refused(
            'alarm', 'import', self.import_one(), url=self.url)
        self.assertIn('line 1:', line)
        self.assertIn('[credential] key_file', line)
        self.assertNotIn('hush', line)

    def test_import(self):
        self.done('alarm', 'import', self.import_one(), url=self.url,
                  key_file=self.storage.key_file)

        stored, = self.stored()
        self.assertNotIn('hush', stored)
        self.assertEqual(
            URL, credential.make(self.storage.conf).open(stored))

    def test_keys_that_can_not_be_read(self):
        os.chmod(self.storage.key_file, 0o644)
        for command in (('credential', 'rotate'),
                        ('alarm', 'import', self.import_one())):
            self.assertIn('chmod', self.refused(
                *command, url=self.url, key_file=self.storage.key_file))

    def test_a_standalone_service_makes_its_own(self):
        state = os.path.join(self.folder, 'state')
        path = os.path.join(state, standalone.KEY_FILE)
        conf = standalone_cmd.prepare(['--state-path', state, '--port', '0'])
        worker = standalone.Standalone(conf)
        self.addCleanup(worker.close)
        worker.open()

        self.assertEqual(path, conf.credential.key_file)
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        keys = credential.read(path)
        # then: the next start, and commands, use it
        again = standalone_cmd.prepare(['--state-path', state])
        standalone.configure(again)
        standalone.provide_key(again)
        self.assertEqual(path, again.credential.key_file)
        self.assertEqual(
            keys[0]._signing_key, credential.read(path)[0]._signing_key)
        self.done('--state-path', state, 'alarm', 'import',
                  self.import_one())
        self.done('--state-path', state, 'credential', 'rotate')

    def test_a_standalone_service_uses_what_is_configured(self):
        config = self.write('keys.conf', '[credential]\nkey_file = %s\n'
                            % self.storage.key_file)
        state = os.path.join(self.folder, 'state2')
        conf = standalone_cmd.prepare(
            ['--config-file', config, '--state-path', state])
        standalone.configure(conf)
        standalone.provide_key(conf)

        self.assertEqual(self.storage.key_file, conf.credential.key_file)
        self.assertFalse(os.path.exists(
            os.path.join(state, standalone.KEY_FILE)))
