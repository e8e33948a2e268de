# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.api import test_window


class MariaDBWindowTest(test_window.Windowed, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLWindowTest(test_window.Windowed, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url
