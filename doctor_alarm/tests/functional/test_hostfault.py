# SPDX-License-Identifier: Apache-2.0
"""Runs the scenario of a host that goes away in a network of its own."""

import subprocess
import sys

from testtools import content

from doctor_alarm.tests import base
from doctor_alarm.tests.functional import hostfault
from doctor_alarm.tests import namespace


class HostFaultTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def test_the_scenario_of_doctor(self):
        done = subprocess.run(
            namespace.command(sys.executable, '-m', 'testtools.run',
                              hostfault.__name__),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL, timeout=850)
        self.addDetail('story', content.text_content(done.stdout))
        self.assertEqual(0, done.returncode)
        self.assertIn('Ran 1 test', done.stdout)
