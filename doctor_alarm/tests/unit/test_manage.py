# SPDX-License-Identifier: Apache-2.0
"""What doctor-alarm-manage says when it can not: one line."""

import io
import os
import sys
from unittest import mock

import fixtures
from oslo_db import exception as db_exc

from doctor_alarm.cmd import manage
from doctor_alarm.objects import purge
from doctor_alarm.tests import base
from doctor_alarm.tests import storage

EVENT = '{"event_type": "x", "payload": {"a": "\xe9"}}'
GOOD = ('{"name": "a", "project_id": "p1", "type": "event", '
        '"event_rule": {"event_type": "x"}}')
ALARM = '{"name": "\xe9", "project_id": "p1"}'


class CommandTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        # The log of the command is set up for the process.
        self.useFixture(fixtures.MockPatch('oslo_log.log.setup'))

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as file:
            file.write(data.encode('latin-1'))
        return path

    def run_command(self, *arguments, url='sqlite://'):
        """Return the status, and what was said on standard error."""
        config = self.write('test.conf', '[DEFAULT]\ntransport_url =\n'
                            '[database]\nconnection = %s\n' % url)
        errors = io.StringIO()
        with mock.patch.object(sys, 'argv', [
                'doctor-alarm-manage', '--config-file', config, *arguments,
                ]), mock.patch.object(sys, 'stderr', errors):
            status = manage.main()
        return status, errors.getvalue()

    def refused(self, *arguments, **options):
        """Return the one line that a command ends with."""
        status, said = self.run_command(*arguments, **options)
        self.assertEqual(1, status)
        line, = said.splitlines()
        self.assertTrue(line.startswith('ERROR: '), line)
        return line


class ManageTest(CommandTestCase):

    def test_state_that_there_is_not(self):
        path = os.path.join(self.folder, 'nope')

        for command in (('dead-letter', 'list'), ('db', 'version'),
                        ('db', 'purge')):
            self.assertIn(path, self.refused('--state-path', path, *command))
        # then: looking for it did not make it
        self.assertFalse(os.path.exists(path))

    def test_no_schema(self):
        url = 'sqlite:///%s/empty' % self.folder
        path = self.write('alarms', GOOD)

        for command in (('dead-letter', 'list'), ('db', 'purge'),
                        ('alarm', 'import', path)):
            self.assertIn('db sync', self.refused(*command, url=url))

    def test_files_that_are_not_utf_8(self):
        url = self.useFixture(storage.Storage()).url

        self.assertIn('UTF-8', self.refused(
            'alarm', 'import', self.write('alarms', ALARM), url=url))
        self.assertIn('UTF-8', self.refused(
            'event', 'send', '--url', 'http://127.0.0.1:1',
            self.write('events', EVENT), url=url))

    def test_standard_input_that_is_not_utf_8(self):
        stream = io.TextIOWrapper(
            io.BytesIO(ALARM.encode('latin-1')), encoding='utf-8')
        url = self.useFixture(storage.Storage()).url

        with mock.patch.object(sys, 'stdin', stream):
            self.assertIn('UTF-8', self.refused(
                'alarm', 'import', '-', url=url))

    def test_files_that_there_are_not(self):
        url = 'http://127.0.0.1:1'
        for command in (('alarm', 'import'), ('event', 'send', '--url', url)):
            self.assertIn('/nope', self.refused(
                *command, self.folder + '/nope'))
            self.assertIn(self.folder, self.refused(*command, self.folder))

    def test_a_database_that_is_away(self):
        url = self.useFixture(storage.Storage()).url
        with mock.patch.object(purge, 'purge',
                               side_effect=db_exc.DBConnectionError()):
            self.assertIn('The database does not answer',
                          self.refused('db', 'purge', url=url))

    def test_what_was_not_foreseen(self):
        url = self.useFixture(storage.Storage()).url
        with mock.patch.object(purge, 'purge', side_effect=KeyError(
                'mysql://u:secret@h/x\nsecond line')):
            line = self.refused('db', 'purge', url=url)

        self.assertIn('KeyError', line)
        self.assertNotIn('secret', line)

    def test_options_that_there_are_not(self):
        path = self.write('bad.conf', '[database\n')
        status, said = self.run_command('--config-file', path, 'db', 'version')

        self.assertEqual(1, status)
        self.assertEqual(1, len(said.splitlines()), said)
