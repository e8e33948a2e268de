# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.tests.functional.api import test_databases
from doctor_alarm.tests.unit import test_secrecy


class MariaDBSecrecyTest(test_databases.OnMariaDB, test_secrecy.SecrecyTest):
    pass


class PostgreSQLSecrecyTest(test_databases.OnPostgreSQL,
                            test_secrecy.SecrecyTest):
    pass
