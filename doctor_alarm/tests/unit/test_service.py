# SPDX-License-Identifier: Apache-2.0

import gc

from doctor_alarm import service
from doctor_alarm.tests import base


class OpenedService(service.Service):

    def open(self):
        self.made = object.__new__(type('Made', (), {}))


class ServiceTest(base.TestCase):

    def test_the_collector_leaves_alone_what_is_there_at_the_start(self):
        self.addCleanup(gc.unfreeze)
        gc.unfreeze()
        given = OpenedService()

        given.start()
        self.wait_until(gc.get_freeze_count)

        self.assertFalse(any(
            found is given.made for found in gc.get_objects()))
        self.assertGreater(gc.get_freeze_count(), 10000)
        given.stop()
