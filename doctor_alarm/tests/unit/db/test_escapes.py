# SPDX-License-Identifier: Apache-2.0

import pymysql
from pymysql.constants import SERVER_STATUS

from doctor_alarm.db import api
from doctor_alarm.tests import base


class Server:
    """Notes what it is asked; may tell the driver of the mode, or not."""

    def __init__(self, tells):
        self.asked = []
        self._tells = tells
        self._driver = pymysql.Connection(defer_connect=True)
        self._driver.server_status = 0

    def cursor(self):
        return self

    def execute(self, text):
        self.asked.append(text)
        if self._tells and 'NO_BACKSLASH_ESCAPES' in text:
            self._driver.server_status = (
                SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES)

    def fetchone(self):
        return None

    def close(self):
        pass

    def mogrify(self, text, parameters):
        return self._driver.cursor().mogrify(text, parameters)


class TestEscapes(base.TestCase):
    """Driver and server must agree on what ends a text."""

    def modes_set(self, tells):
        server = Server(tells)
        api._prepare_mysql(server, None)
        return [text for text in server.asked if 'sql_mode =' in text]

    def test_they_agree(self):
        mode, = self.modes_set(tells=True)
        self.assertIn('CONCAT', mode)

    def test_a_proxy_that_does_not_tell_the_driver(self):
        _, mode = self.modes_set(tells=False)
        self.assertIn("REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')", mode)
