# SPDX-License-Identifier: Apache-2.0
"""What tools/quickstart.sh shows, but for the environment that it makes."""

import re
import signal
import socket
import subprocess
import sys

from doctor_alarm.tests import base
from doctor_alarm.tests.services import process

PATIENCE = 300


class QuickStartTest(base.TestCase):

    DEFAULT_TIMEOUT = 600

    def start(self, *arguments, port=None):
        child = subprocess.Popen(
            ['env', '--default-signal=INT', sys.executable, '-m',
             'doctor_alarm.cmd.entry', 'quickstart', '--port',
             str(port or process.free_port()), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        return child

    def check(self, said):
        """Both tenants are told of their servers, first and last."""
        down, up = said.split('3. ')
        for tenant, server in (('green', 'web'), ('green', 'queue'),
                               ('blue', 'shop')):
            told = r'(?m)^     %s +%s down +' % (tenant, server)
            self.assertRegex(down, told + 'insufficient data -> alarm ')
            self.assertRegex(up, told + 'alarm -> ok ')
        # All stages but those of nova have a time.
        self.assertEqual(
            ['T00', 'T01', 'T02', 'T05', 'T06', 'T07', 'T08', 'T09'],
            re.findall(r'(?m)^\| (T\d\d) .*\d\d:\d\d:\d\d\.\d{6}', down))
        self.assertEqual(['T03', 'T04'], re.findall(
            r'(?m)^\| (T\d\d) .* - ', down))

    def test_once(self):
        child = self.start('--once')

        said, _ = child.communicate(timeout=PATIENCE)

        self.assertEqual(0, child.returncode, said)
        self.check(said)

    def test_until_ctrl_c(self):
        child = self.start()
        said = ''
        while 'Serving until' not in said:
            line = child.stdout.readline()
            self.assertNotEqual('', line, said)
            said += line

        child.send_signal(signal.SIGINT)

        rest, _ = child.communicate(timeout=PATIENCE)
        self.assertEqual((0, ''), (child.returncode, rest))
        self.check(said)

    def test_somebody_has_the_port(self):
        with socket.create_server(('127.0.0.1', 0)) as other:
            child = self.start('--once', port=other.getsockname()[1])

            said, _ = child.communicate(timeout=PATIENCE)

        self.assertEqual(1, child.returncode, said)
        self.assertNotIn('Traceback', said)
