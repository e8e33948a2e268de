# SPDX-License-Identifier: Apache-2.0

import sqlalchemy as sa

from doctor_alarm.db import api
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage


class MariaDBConnectionsTest(base.TestCase):

    def test_every_connection_is_prepared(self):
        """Given that the facade tries a connection before it is ours."""
        url = self.useFixture(mariadb.Database()).url
        db = api.Database(self.useFixture(storage.Storage(url)).conf)
        self.addCleanup(db.dispose)

        with db.writer() as first, db.writer() as second:
            for conn in (first, second):
                self.assertEqual('READ-COMMITTED', conn.execute(
                    sa.text('SELECT @@tx_isolation')).scalar())


class PostgreSQLConnectionsTest(base.TestCase):

    def test_every_connection_is_prepared(self):
        """Given that the database itself has another default."""
        database = self.useFixture(postgresql.Database())
        database.server.execute(
            'ALTER DATABASE %s SET default_transaction_isolation = '
            'serializable' % database.url.rpartition('/')[2])
        db = api.Database(self.useFixture(storage.Storage(database.url)).conf)
        self.addCleanup(db.dispose)

        with db.writer() as first, db.writer() as second, db.reader() as last:
            for conn in (first, second, last):
                self.assertEqual('read committed', conn.execute(
                    sa.text('SHOW transaction_isolation')).scalar())
