# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.objects import test_fault


class MariaDBFaultTest(test_fault.Recorded, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLFaultTest(test_fault.Recorded, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url
