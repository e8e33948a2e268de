# SPDX-License-Identifier: Apache-2.0
"""Dead deliveries sent again, with real receivers."""

import os
import subprocess
import sys

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.objects import replay
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.notifier import processes
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql


class ReplayTests(processes.NotifierTests):
    """What holds on every database."""

    def of(self, status):
        return [row for row in self.outbox.deliveries()
                if row.status == status]

    def test_a_receiver_that_was_repaired(self):
        hook = self.a_receiver(status=503)
        lane, = self.lanes_to(hook, 1)
        given = self.http()
        given.wake(self.outbox.fire(lane))
        self.wait_until(lambda: self.outbox.lanes()[0].attempts > 1)
        self.pass_time()
        self.wait_idle()
        dead, = self.of('dead')
        self.assertIn('given up after', dead.last_error)
        self.assertGreater(dead.attempts, 1)
        hook.status = 200
        given.wake(self.outbox.fire(lane))
        self.wait_idle()

        self.retry(dead.id)
        self.wait_idle()

        later, again = hook.bodies
        self.assertEqual(
            (2, None), (later['sequence'], later.get('replayed')))
        self.assertEqual(
            (dead.id, 1, True), (again['notification_id'],
                                 again['sequence'], again['replayed']))
        self.assertEqual({'message_id': dead.message_id}, {
            'message_id': again['reason_data']['event']['message_id']})
        self.assertEqual(1, self.outbox.deliveries()[0].attempts)

    def pass_time(self):
        """Let deliveries be older than they may be."""
        with self.db.writer() as conn:
            conn.execute(sa.update(models.delivery).values(
                created_at=models.delivery.c.created_at
                - 2 * self.conf.notifier.max_age * 10 ** 6))

    def retry(self, id_):
        """As somebody does who looks for it first."""
        self.assertIn('%s  ' % id_, self.manage('list', '--status', 'dead'))
        self.assertNotIn(id_, self.manage('list', '--status', 'delivered'))
        self.assertIn(id_, self.manage('retry', id_))

    def manage(self, *arguments, status=0):
        config = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'doctor-alarm.conf')
        with open(config, 'w') as file:
            file.write('[database]\nconnection = %s\n' % self.storage.url)
        done = subprocess.run(
            [sys.executable, '-m', 'doctor_alarm.cmd.manage', '--config-file',
             config, 'delivery', *arguments],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(status, done.returncode, done.stderr)
        return done.stderr if status else done.stdout

    def test_what_can_not_be_sent_again(self):
        hook = self.a_receiver()
        lane = self.outbox.lane(
            hook.url.replace('//', '//bob:hush-hush@'))
        self.http().wake(self.outbox.fire(lane))
        self.wait_idle()
        row, = self.of('delivered')

        said = self.manage('retry', row.id, status=1)

        self.assertEqual('ERROR: Delivery %s is delivered: only dead, expired '
                         'and superseded ones can be sent again\n' % row.id,
                         said)
        self.assertEqual('ERROR: Delivery x not found\n',
                         self.manage('retry', 'x', status=1))
        listed = self.manage('list', '--alarm', lane.alarm_id, '--limit', '5')
        self.assertIn(row.id, listed)
        self.assertNotIn('hush-hush', listed)
        self.assertEqual('', self.manage('list', '--alarm', 'other'))

    def test_two_notifiers_and_an_evaluator_meanwhile(self):
        hook = self.a_receiver(status=404)
        lanes = self.lanes_to(hook, 30)
        first, second = self.http(), self.http()
        first.wake(self.outbox.fire(*lanes, times=4))
        self.wait_idle()
        dead = [row.id for row in self.of('dead')]
        self.assertEqual(120, len(dead))
        hook.status = 200

        for start in range(0, 120, 10):
            replay.replay(self.db, dead[start:start + 10])
            first.wake(self.outbox.fire(*lanes[:15]))
            second.wake(self.outbox.fire(*lanes[15:]))
        self.wait_idle()

        self.assertEqual([], self.of('pending') + self.of('dead'))
        self.assertEqual(120 + 12 * 30, len(hook.bodies))
        self.assertEqual(set(dead), {
            body['notification_id'] for body in hook.bodies
            if body.get('replayed')})

    def test_kill_between_retry_and_delivery(self):
        hook = self.a_receiver(status=404)
        lanes = self.lanes_to(hook, 50)
        self.outbox.fire(*lanes, times=4)
        self.outbox.expire()
        child = self.a_process()
        self.wait_idle()
        dead = {row.id for row in self.of('dead')}
        self.assertEqual(200, len(dead))
        hook.status = 200
        hook.hang()

        replay.replay(self.db, dead)
        # Calls are under way, and none has ended well.
        self.wait_until(lambda: any(
            row.token for row in self.outbox.lanes()))
        child.kill()
        child.wait()
        self.assertEqual([], hook.bodies)
        self.assertEqual(200, len(self.of('pending')))
        hook.release()
        self.a_process()
        self.wait_idle()

        self.assertEqual(dead, hook.ids())
        self.assertEqual(200, len(self.of('delivered')))
        for lane in lanes:
            self.assertEqual([1, 2, 3, 4], [
                body['sequence'] for body in hook.of(lane.alarm_id)])


class MariaDBTest(ReplayTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class PostgreSQLTest(ReplayTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
