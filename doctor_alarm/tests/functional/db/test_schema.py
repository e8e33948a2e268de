# SPDX-License-Identifier: Apache-2.0

import sqlalchemy as sa

from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.db import test_schema


class MariaDBWalkTest(test_schema.Walk, base.TestCase):

    def url(self):
        return self.useFixture(mariadb.Database()).url

    def test_text_compares_bytewise(self):
        with self.db.reader() as conn:
            collations = set(conn.execute(sa.text(
                'SELECT collation_name FROM information_schema.columns'
                ' WHERE table_schema = DATABASE()'
                " AND table_name <> 'alembic_version'"
                ' AND collation_name IS NOT NULL')).scalars())

        self.assertEqual({'ascii_bin', 'utf8mb4_bin'}, collations)


class PostgreSQLWalkTest(test_schema.Walk, base.TestCase):

    def url(self):
        return self.useFixture(postgresql.Database()).url
