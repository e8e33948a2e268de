# SPDX-License-Identifier: Apache-2.0
"""Each guarantee broken on purpose: nothing is lost, the order is kept.

These are the faults of ``table.SUBSET``; all that there are, and random
combinations, are run by ``benchmarks/faults.py``.
"""

import random

from testtools import content

from doctor_alarm.tests import base
from doctor_alarm.tests.functional.faults import expectations
from doctor_alarm.tests.functional.faults import scene
from doctor_alarm.tests.functional.faults import table
from doctor_alarm.tests.services import postgresql


class Survival(base.TestCase):
    """One scene for all faults of a class, until one breaks it."""

    DEFAULT_TIMEOUT = 300
    _scene = None

    def setUp(self):
        # The files of a scene outlive the test, so they are made before the
        # test gets a temporary folder of its own.
        self.stage = self.open()
        super().setUp()

    @classmethod
    def tearDownClass(cls):
        cls.close()
        super().tearDownClass()

    @classmethod
    def close(cls):
        if cls._scene is not None:
            cls._scene.cleanUp()
            cls._scene = None

    @classmethod
    def open(cls):
        if cls._scene is None:
            cls.seed = random.randrange(2 ** 32)
            made = cls.make(cls.seed)
            made.setUp()
            cls._scene = made
        return cls._scene

    def survive(self, name):
        self.addDetail('seed', content.text_content(str(self.seed)))
        result = None
        try:
            result = expectations.survive(self.stage, table.load()[name])
        finally:
            if result is None or result.complaints:
                self.addDetail('logs', content.text_content(
                    self.stage.logs()))
                # What a fault broke must not fail the others.
                self.close()
        self.assertEqual([], result.complaints, result)


class TestMariaDB(Survival):
    make = scene.Cloud


class TestPostgreSQL(Survival):

    @staticmethod
    def make(seed):
        return scene.Cloud(seed, postgresql.Database)


class TestStandalone(Survival):
    make = scene.Standalone


def _add_tests(case, names):
    for name in names:
        def test(self, name=name):
            self.survive(name)
        setattr(case, 'test_' + name, test)


_add_tests(TestMariaDB, table.SUBSET['mariadb'])
_add_tests(TestPostgreSQL, table.SUBSET['postgresql'])
_add_tests(TestStandalone, table.SUBSET['standalone'])
