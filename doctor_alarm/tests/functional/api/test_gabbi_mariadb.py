# SPDX-License-Identifier: Apache-2.0
"""The requests of ``gabbits`` in this process, on MariaDB."""

from doctor_alarm.tests import gabbing
from doctor_alarm.tests.services import mariadb


class OnMariaDB(gabbing.InProcess):

    def database(self):
        return mariadb.Database()


load_tests = gabbing.loader(__name__, OnMariaDB)
