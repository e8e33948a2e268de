# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.objects import test_purge


class MariaDBPurgeTest(test_purge.Purged, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLPurgeTest(test_purge.Purged, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url
