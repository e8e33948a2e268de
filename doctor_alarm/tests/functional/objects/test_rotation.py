# SPDX-License-Identifier: Apache-2.0

import os
import threading

from doctor_alarm import credential
from doctor_alarm.evaluator import engine
from doctor_alarm.objects import alarm
from doctor_alarm.objects import rotation
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching
from doctor_alarm.tests import outbox
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests.unit.objects import test_rotation


class MariaDBRotationTest(test_rotation.RotationTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLRotationTest(test_rotation.RotationTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url


class UnderWorkTest(dispatching.DispatcherTests, base.TestCase):
    """Given evaluators and notifiers at work, nobody notices a rotation."""

    ALARMS = 20
    EVENTS = 40

    def database_url(self):
        return self.useFixture(mariadb.Database()).url

    def test_nothing_is_lost_or_comes_twice(self):
        vault = credential.make(self.conf)
        keys = [credential.new_key()]
        self.write(keys)
        for n in range(self.ALARMS):
            alarm.create(self.db, alarm.Alarm(
                name='a', type='event', project_id='p1', user_id='u',
                rule={'event_type': '*', 'query': []}, repeat_actions=True,
                alarm_actions=[vault.seal('test://u:p@r%d/' % (n % 3))]))
        made = self.a_dispatcher()
        evaluator = engine.Engine(self.db, made.wake, lease=200)
        firing = threading.Thread(target=self.fire, args=(evaluator,))
        firing.start()
        self.addCleanup(firing.join)

        rotations = 0
        while firing.is_alive() or rotations < 3:
            keys.insert(0, credential.new_key())
            self.write(keys)
            done = rotation.rotate(self.db, vault)
            self.assertEqual(set(), done.sealed)
            self.assertEqual(self.ALARMS, done.alarms)
            # the old ones are used nowhere any more
            del keys[1:]
            self.write(keys)
            rotations += 1
        firing.join()

        self.wait_idle()
        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        lanes = self.outbox.lanes()
        self.assertEqual(self.ALARMS, len(lanes))
        for lane in lanes:
            self.assertEqual(
                list(range(1, self.EVENTS + 1)), self.plugin.of(lane))

    def fire(self, evaluator):
        for n in range(self.EVENTS):
            evaluator.process([outbox.an_event('vm%d' % n)])

    def write(self, keys):
        path = self.storage.key_file
        with open(path + '.new', 'w') as file:
            os.fchmod(file.fileno(), 0o600)
            file.write('\n'.join(keys))
        os.rename(path + '.new', path)
