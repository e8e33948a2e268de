# SPDX-License-Identifier: Apache-2.0
"""The requests of ``gabbits`` in this process, on PostgreSQL."""

from doctor_alarm.tests import gabbing
from doctor_alarm.tests.services import postgresql


class OnPostgreSQL(gabbing.InProcess):

    def database(self):
        return postgresql.Database()


load_tests = gabbing.loader(__name__, OnPostgreSQL)
