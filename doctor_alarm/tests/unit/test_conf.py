# SPDX-License-Identifier: Apache-2.0

import os

import fixtures

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm.tests import base


class PrepareTest(base.TestCase):

    def test_a_wrong_value_is_one_clear_line(self):
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'doctor-alarm.conf')
        for option, value, line in (
                ('timeout', 'soon', "[notifier] timeout: could not convert "
                 "string to float: 'soon'"),
                ('workers', '0', '[notifier] workers: Should be greater than '
                 'or equal to 1')):
            with open(path, 'w') as file:
                file.write('[notifier]\n%s = %s\n' % (option, value))

            error = self.assertRaises(
                exception.ConfigurationError, project_conf.prepare,
                ['--config-file', path])

            self.assertEqual(line, str(error))
