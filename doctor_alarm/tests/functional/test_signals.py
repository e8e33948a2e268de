# SPDX-License-Identifier: Apache-2.0
"""SIGHUP at any time of the life of a service."""

import itertools
import os
import pathlib
import signal
import subprocess
import sys

import fixtures
import requests

from doctor_alarm.tests import base
from doctor_alarm.tests.services import process
from doctor_alarm.tests import storage

CONFIG = """
[DEFAULT]
transport_url = %(bus)s
log_file = %(log)s
[database]
connection = %(database)s
[api]
auth_mode = noauth
host = 127.0.0.1
port = %(port)d
workers = %(workers)d
"""


#: How often a service is told something while it starts.
TIMES = 50


class HangUpTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.config = self.folder / 'test.conf'
        self.log = self.folder / 'log'
        self.port = process.free_port()

    def start(self, name, bus='', workers=1):
        self.config.write_text(CONFIG % {
            'bus': bus, 'log': self.log, 'port': self.port,
            'database': self.useFixture(storage.Storage()).url,
            'workers': workers})
        self.child = subprocess.Popen(
            [sys.executable, '-m', 'doctor_alarm.cmd.entry', name,
             '--config-file', str(self.config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            # workers send the signal on to their group
            start_new_session=True)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)

    def minds(self):
        """Whether it does something else at a SIGHUP than to end."""
        status = pathlib.Path('/proc/%d/status' % self.child.pid).read_text()
        masks = dict(line.split(':\t') for line in status.splitlines()
                     if line.startswith(('SigIgn', 'SigCgt')))
        return any(int(mask, 16) >> (signal.SIGHUP - 1) & 1
                   for mask in masks.values())

    def hang_up(self):
        self.assertIsNone(self.child.poll(), self.said())
        self.child.send_signal(signal.SIGHUP)
        return True

    def serves(self):
        try:
            return requests.get('http://127.0.0.1:%d/healthcheck' % self.port,
                                timeout=60).ok
        except requests.ConnectionError:
            return False

    def said(self):
        return self.log.read_text() if self.log.exists() else ''

    def check(self):
        # when: it is told so again and again while it starts; for ever would
        # mean that workers are replaced before they listen
        self.wait_until(self.minds, 60)
        times = itertools.count()
        self.wait_until(
            lambda: (next(times) >= TIMES or self.hang_up())
            and self.serves(), 60, self.said)
        self.hang_up()
        # Several workers are replaced: for a moment nobody listens.
        self.wait_until(self.serves, 60, self.said)

        # when: what it shall read is broken
        with self.config.open('a') as config:
            config.write('nonsense\n')
        self.hang_up()
        self.wait_until(lambda: 'nonsense' in self.said(), 60)
        self.wait_until(self.serves, 60)

        os.kill(self.child.pid, signal.SIGTERM)
        self.assertEqual(0, self.child.wait(60))

    def test_of_one_process(self):
        self.start('standalone')
        self.check()
        self.assertIn('The configuration stays as it was', self.said())
        self.assertNotIn('Traceback', self.said())

    def test_of_several(self):
        self.start('api', 'rabbit://127.0.0.1:1/', workers=2)
        self.check()
