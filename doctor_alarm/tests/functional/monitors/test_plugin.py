# SPDX-License-Identifier: Apache-2.0
"""A monitor of somebody else, written as the documents say."""

import os
import pathlib
import signal
import subprocess
import sys
import tomllib

import fixtures

import doctor_alarm
from doctor_alarm.tests import base
from doctor_alarm.tests import eventapi
from doctor_alarm.tests.unit import test_docs

TOP = pathlib.Path(doctor_alarm.__file__).parents[1]


class PluginTest(base.TestCase):

    DEFAULT_TIMEOUT = 600

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.api = self.useFixture(eventapi.EventApi())

    def given_plugin(self):
        """Put what the page shows where pip would, without its time."""
        page = (TOP / 'doc' / 'source' / 'monitors.rst').read_text()
        module, = test_docs.blocks(page, 'python')
        (self.folder / 'door.py').write_text(module)
        block, = test_docs.blocks(page, 'toml')
        project = tomllib.loads(block)['project']
        name, version = project['name'], project['version']
        metadata = self.folder / ('%s-%s.dist-info' % (
            name.replace('-', '_'), version))
        metadata.mkdir()
        (metadata / 'METADATA').write_text(
            'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' % (
                name, version))
        (metadata / 'entry_points.txt').write_text(''.join(
            '[%s]\n%s\n' % (
                namespace, '\n'.join(map(' = '.join, found.items())))
            for namespace, found in project['entry-points'].items()))

    def start(self):
        self.doors = self.folder / 'doors'
        self.doors.mkdir()
        config = self.folder / 'test.conf'
        config.write_text(
            '[monitor]\nendpoint = %s\nstate_file = %s\n'
            '[monitor_door]\nfolder = %s\ninterval = 0.1\n' % (
                self.api.endpoint, self.folder / 'state', self.doors))
        with open(self.folder / 'log', 'wb') as log:
            child = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.monitor',
                 '--config-file', str(config), 'door'],
                stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, 'PYTHONPATH': '%s:%s' % (
                    self.folder, TOP)})
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def told(self, *expected):
        self.wait_until(
            lambda: self.api.told == list(expected),
            message=lambda: '%s\n%s' % (
                self.api.told, (self.folder / 'log').read_text()))

    def test_a_door_is_opened_and_closed(self):
        self.given_plugin()
        child = self.start()

        (self.doors / 'r7').touch()
        self.told(('r7', 'rack.open'))
        (self.doors / 'r7').unlink()
        self.told(('r7', 'rack.open'), ('r7', 'rack.closed'))

        event = self.api.events[0]
        self.assertTrue(event['details']['monitor_id'].startswith('door@'))
        self.assertLessEqual(
            {'status': 'open', 'severity': 'warning'}.items(),
            event['details'].items())
        child.send_signal(signal.SIGTERM)
        self.assertEqual(0, child.wait(60))
