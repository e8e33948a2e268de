# SPDX-License-Identifier: Apache-2.0
"""Signals that come while a command still imports what it needs."""

import configparser
import importlib
import os
import pathlib
import signal
import subprocess
import sys

import fixtures

import doctor_alarm
from doctor_alarm.cmd import entry
from doctor_alarm.tests import base

TOP = pathlib.Path(doctor_alarm.__file__).parents[1]


def scripts():
    """Return (name, module, function) of the console scripts."""
    setup = configparser.ConfigParser()
    setup.read(TOP / 'setup.cfg')
    for line in setup['entry_points']['console_scripts'].split('\n'):
        if line:
            name, _, where = line.partition('=')
            yield name.strip(), *where.strip().split(':')


class ImportTest(base.TestCase):

    def setUp(self):
        super().setUp()
        # given: something that every command imports takes for ever
        self.folder = self.useFixture(fixtures.TempDir()).path
        with open(os.path.join(self.folder, 'oslo_config.py'), 'w') as file:
            file.write('import time\nprint("importing", flush=True)\n'
                       'time.sleep(1000)\n')

    def start(self, *names):
        """Start commands, all at once; return them by their names."""
        children = {name: subprocess.Popen(
            # Who runs the tests in the background has Ctrl-C ignored.
            ['env', '--default-signal=INT,HUP',
             sys.executable, '-m', 'doctor_alarm.cmd.entry', name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env=dict(
                os.environ, PYTHONPATH='%s:%s' % (self.folder, TOP)))
            for name in names}
        for child in children.values():
            self.addCleanup(child.communicate)
            self.addCleanup(child.kill)
        for child in children.values():
            self.assertEqual('importing\n', child.stdout.readline())
        return children

    def check_interrupted(self, children):
        for name, child in children.items():
            _out, errors = child.communicate()
            self.assertEqual(('Interrupted\n', 130),
                             (errors, child.returncode), name)

    def test_hang_up_does_not_end_a_service(self):
        children = self.start(*sorted(entry.SERVICES))
        for child in children.values():
            child.send_signal(signal.SIGHUP)
            child.send_signal(signal.SIGINT)

        # then: it is the other one that ended it
        self.check_interrupted(children)

    def test_ctrl_c_is_one_line(self):
        children = self.start('manage', 'quickstart', 'status')
        for child in children.values():
            child.send_signal(signal.SIGINT)

        self.check_interrupted(children)

    def test_a_lost_terminal_ends_what_belongs_to_it(self):
        child, = self.start('quickstart').values()
        child.send_signal(signal.SIGHUP)

        child.communicate()
        self.assertEqual(-signal.SIGHUP, child.returncode)


class ScriptsTest(base.TestCase):

    def test_all_begin_there(self):
        found = list(scripts())

        self.assertGreater(len(found), len(entry.SERVICES))
        for name, module, function in found:
            self.assertEqual(entry.__name__, module)
            self.assertEqual(name, getattr(entry, function).__doc__)
            importlib.import_module('doctor_alarm.cmd.' + function)
        self.assertLessEqual(entry.SERVICES, {f for _, _, f in found})
