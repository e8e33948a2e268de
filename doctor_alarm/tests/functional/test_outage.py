# SPDX-License-Identifier: Apache-2.0
"""A receiver is away for long, and what it is told when it is back."""

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.tests.functional import scenario

#: Transitions of each server while the receiver is away.
TRANSITIONS = 200
#: Seconds for which a story goes on at most: three times as slow a machine.
LONG = 240


class TestOutage(scenario.Story):

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        self.alarms = {
            'everything': self.given_alarm('vm1'),
            'latest': self.given_alarm('vm2', delivery={'latest_only': True}),
            'young': self.given_alarm('vm3', delivery={'max_age': 1800})}

    def rows(self, name):
        with self.cloud.storage.db.reader() as conn:
            return conn.execute(sa.select(models.delivery).where(
                models.delivery.c.alarm_id == self.alarms[name]).order_by(
                    models.delivery.c.sequence)).all()

    def transitions(self, count):
        """Let all servers fail and recover in turn, until it is stored."""
        before = len(self.rows('everything'))
        for n in range(count):
            for vm in ('vm1', 'vm2', 'vm3'):
                self.when(vm, ('error', 'active')[n % 2])
        self.wait_until(lambda: all(
            len(self.rows(name)) == before + count for name in self.alarms),
            LONG)

    def let_hours_pass(self):
        with self.cloud.storage.db.writer() as conn:
            conn.execute(sa.update(models.delivery).values(
                created_at=models.delivery.c.created_at - 3600 * 10 ** 6))

    def told(self, name):
        return [body['sequence'] for body in self.receiver.of(
            self.alarms[name])]

    def by_status(self, name):
        found = {}
        for row in self.rows(name):
            found.setdefault(row.status, []).append(row.sequence)
        return found

    def test_what_is_told_when_the_receiver_is_back(self):
        half = TRANSITIONS // 2
        everything = list(range(1, TRANSITIONS + 1))
        self.receiver.stop()
        self.transitions(half)
        self.let_hours_pass()
        self.cloud.kill('notifier')
        self.transitions(half)
        self.cloud.start('notifier')
        self.wait_until(lambda: 'superseded' in self.by_status('latest'),
                        LONG)
        self.cloud.kill('notifier')
        self.cloud.start('notifier')

        self.receiver.start()
        self.wait_until(lambda: not any(
            'pending' in self.by_status(name) for name in self.alarms),
            LONG, lambda: [self.by_status(name) for name in self.alarms])

        # then: without a policy all of it, in order
        self.assertEqual(everything, self.told('everything'))
        # then: the latest only; nothing was on the wire
        self.assertEqual(everything[-1:], self.told('latest'))
        self.assertEqual({'superseded': everything[:-1],
                          'delivered': everything[-1:]},
                         self.by_status('latest'))
        # then: what is not too old
        self.assertEqual(everything[half:], self.told('young'))
        self.assertEqual({'expired': everything[:half],
                          'delivered': everything[half:]},
                         self.by_status('young'))
        self.expect_recorded()
        self.expect_sent_again()

    def expect_recorded(self):
        for status, name, count in (
                ('superseded', 'latest', TRANSITIONS - 1),
                ('expired', 'young', TRANSITIONS // 2)):
            found = self.cloud.api(
                'GET', '/v2/deliveries?q.field=all_projects&q.value=true'
                '&limit=1000&status=' + status)
            self.assertEqual(count, len(found))
            for item in found:
                self.assertEqual(self.alarms[name], item['alarm_id'])
                self.assertIsNotNone(item['timeline']['dropped_at'])
                self.assertIsNone(item['timeline']['received_at'])

    def expect_sent_again(self):
        """What was dropped is sent when somebody asks for it."""
        for name in ('latest', 'young'):
            third = self.rows(name)[2]
            self.cloud.api('POST', '/v2/deliveries/%s/retry' % third.id)

            self.wait_until(lambda row=third, n=name: row.id in [
                body['notification_id']
                for body in self.receiver.of(self.alarms[n])], LONG)

            body = self.receiver.of(self.alarms[name])[-1]
            self.assertEqual((3, True), (body['sequence'], body['replayed']))
            self.wait_until(
                lambda n=name: self.rows(n)[2].status == 'delivered')
