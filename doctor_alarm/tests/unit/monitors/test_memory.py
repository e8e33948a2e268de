# SPDX-License-Identifier: Apache-2.0

import logging
import os

import fixtures

from doctor_alarm import exception
from doctor_alarm.monitors import memory
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.monitors import recorder


class MemoryTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.folder, 'state')

    def test_it_outlives_the_process(self):
        known = memory.Memory(self.path)
        known.told([recorder.down('h1'), recorder.down('h2')])
        known.told([recorder.up('h1')])

        again = memory.Memory(self.path)

        self.assertNotIn('host/h1', again)
        self.assertIn('host/h2', again)
        again.forget('host/h2')
        self.assertNotIn('host/h2', memory.Memory(self.path))

    def test_without_a_file(self):
        known = memory.Memory('')
        known.told([recorder.down('h1')])

        self.assertIn('host/h1', known)
        self.assertEqual([], os.listdir(self.folder))

    def test_a_file_that_is_none(self):
        for text in ('', 'x', '3', '[', 'null'):
            with open(self.path, 'w') as file:
                file.write(text)
            self.assertIn(self.path, str(self.assertRaises(
                exception.ConfigurationError, memory.Memory, self.path)))

    def test_a_folder_that_is_not_there(self):
        self.assertIn('No such file', str(self.assertRaises(
            exception.ConfigurationError, memory.Memory,
            os.path.join(self.folder, 'none', 'state'))))

    def test_a_disk_that_fails_later_ends_nothing(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        known = memory.Memory(self.path)
        os.mkdir(self.path + '.new')

        known.told([recorder.down('h1')])

        self.assertIn('host/h1', known)
        self.assertIn(self.path, log.output)
