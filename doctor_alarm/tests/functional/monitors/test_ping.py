# SPDX-License-Identifier: Apache-2.0
"""Runs the stories about ping in a network namespace."""

import os
import subprocess
import sys

from testtools import content

from doctor_alarm.tests import base
from doctor_alarm.tests.functional.monitors import stories


def in_a_network_of_its_own(name):
    """Return a test that runs one of a story in a namespace."""
    def test(self):
        # An account that is not root's is, in a namespace of its own.
        privilege = [] if os.getuid() == 0 else ['--map-root-user']
        done = subprocess.run(
            ['unshare', '--net', *privilege, sys.executable, '-m',
             'testtools.run', '%s.%s' % (stories.__name__, name)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL, timeout=240)
        self.addDetail('story', content.text_content(done.stdout))
        self.assertEqual(0, done.returncode)
        self.assertIn('Ran 1 test', done.stdout)
    return test


class PingTest(base.TestCase):
    """One test for each of the stories."""


for _kind in (stories.PingTest, stories.EndToEndTest):
    for _name in dir(_kind):
        if _name.startswith('test_'):
            setattr(PingTest, _name, in_a_network_of_its_own(
                '%s.%s' % (_kind.__name__, _name)))
