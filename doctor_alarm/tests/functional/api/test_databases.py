# SPDX-License-Identifier: Apache-2.0
"""The API on the databases of the distributed service."""

from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.api import test_alarm
from doctor_alarm.tests.unit.api import test_alarm_import
from doctor_alarm.tests.unit.api import test_alarm_list
from doctor_alarm.tests.unit.api import test_fuzz
from doctor_alarm.tests.unit.api import test_fuzz_query
from doctor_alarm.tests.unit.api import test_metrics
from doctor_alarm.tests.unit.api import test_query
from doctor_alarm.tests.unit.api import test_quota


class OnMariaDB:

    def url(self):
        return self.useFixture(mariadb.Database()).url


class OnPostgreSQL:

    def url(self):
        return self.useFixture(postgresql.Database()).url


class MariaDBCreateTest(OnMariaDB, test_alarm.CreateTest):
    pass


class MariaDBChangeTest(OnMariaDB, test_alarm.ChangeTest):
    pass


class MariaDBListTest(OnMariaDB, test_alarm_list.ListTest):
    pass


class MariaDBQueryTest(OnMariaDB, test_query.QueryTest):
    pass


class MariaDBHistoryQueryTest(OnMariaDB, test_query.HistoryTest):
    pass


class MariaDBFuzzTest(OnMariaDB, test_fuzz.FuzzTest):
    pass


class MariaDBFuzzQueryTest(OnMariaDB, test_fuzz_query.FuzzQueryTest):
    pass


class PostgreSQLChangeTest(OnPostgreSQL, test_alarm.ChangeTest):
    pass


class PostgreSQLListTest(OnPostgreSQL, test_alarm_list.ListTest):
    pass


class PostgreSQLQueryTest(OnPostgreSQL, test_query.QueryTest):
    pass


class PostgreSQLHistoryQueryTest(OnPostgreSQL, test_query.HistoryTest):
    pass


class PostgreSQLFuzzTest(OnPostgreSQL, test_fuzz.FuzzTest):
    pass


class PostgreSQLFuzzQueryTest(OnPostgreSQL, test_fuzz_query.FuzzQueryTest):
    pass


class MariaDBMetricsTest(OnMariaDB, test_metrics.MetricsTest):
    pass


class PostgreSQLMetricsTest(OnPostgreSQL, test_metrics.MetricsTest):
    pass


class MariaDBQuotaTest(OnMariaDB, test_quota.QuotaTest):
    pass


class PostgreSQLQuotaTest(OnPostgreSQL, test_quota.QuotaTest):
    pass


class MariaDBExportTest(OnMariaDB, test_alarm_import.ExportTest):
    pass


class PostgreSQLExportTest(OnPostgreSQL, test_alarm_import.ExportTest):
    pass
