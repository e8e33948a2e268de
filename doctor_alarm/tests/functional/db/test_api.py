# SPDX-License-Identifier: Apache-2.0

import sqlalchemy as sa

from doctor_alarm.db import api
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
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
