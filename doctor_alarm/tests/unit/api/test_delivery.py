# SPDX-License-Identifier: Apache-2.0
"""Deliveries over the API."""

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.tests import outbox
from doctor_alarm.tests.unit.api import base

SUPPORT = {'X-User-Id': 's', 'X-Project-Id': 'p2', 'X-Roles': 'admin'}


class DeliveryTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.outbox = outbox.Outbox(self.db)
        lane = self.outbox.lane('http://bob:hush-hush@h.example/x?token=hush')
        self.outbox.fire(lane, times=3)
        self.dead, self.delivered, self.pending = (
            row.id for row in self.outbox.deliveries())
        self.set(self.dead, 'dead', attempts=7, last_error='HTTP 404')
        self.set(self.delivered, 'delivered')
        # As a notifier left it that waits for its next attempt.
        with self.db.writer() as conn:
            conn.execute(sa.update(models.lane).values(
                head=3, token=None, attempts=4,
                due=self.db.now() + 10 ** 10))

    def set(self, id_, status, **values):
        with self.db.writer() as conn:
            conn.execute(sa.update(models.delivery).where(
                models.delivery.c.id == id_).values(status=status, **values))

    def ids(self, path='', who=base.ALICE):
        return [item['id'] for item in self.call(
            'get', '/v2/deliveries' + path, who=who)]

    def test_the_newest_first(self):
        self.assertEqual(
            [self.pending, self.delivered, self.dead], self.ids())

    def test_by_status(self):
        for status in ('dead', 'delivered', 'pending'):
            self.assertEqual([getattr(self, status)],
                             self.ids('?status=' + status))

        self.assertIn(
            'dead, expired, superseded, pending, delivered', self.fault(
                400, 'get', '/v2/deliveries?status=lost'))
        self.fault(400, 'get', '/v2/deliveries?state=dead')
        self.fault(400, 'get', '/v2/deliveries?q.field=status&q.value=dead')

    def test_pages(self):
        first = self.ids('?limit=2')
        self.assertIn('marker=' + first[-1], self.answer.headers['Link'])

        self.assertEqual([self.dead], self.ids('?limit=2&marker=' + first[-1]))
        self.fault(400, 'get', '/v2/deliveries?marker=nope')
        self.fault(400, 'get', '/v2/deliveries?limit=0')
        # The marker is one of the list.
        self.fault(400, 'get', '/v2/deliveries?status=dead&marker='
                   + self.pending)

    def test_the_projects(self):
        everything = '?q.field=all_projects&q.value=true'

        self.assertEqual([], self.ids(who=base.BOB))
        self.assertEqual([], self.ids(who=SUPPORT))
        self.assertEqual(3, len(self.ids(everything, who=SUPPORT)))
        self.assertEqual(3, len(self.ids(
            '?q.field=project_id&q.value=p1', who=SUPPORT)))
        self.fault(403, 'get', '/v2/deliveries' + everything)
        self.fault(
            401, 'get', '/v2/deliveries?q.field=project_id&q.value=p2')

    def test_one(self):
        found = self.call('get', '/v2/deliveries/' + self.dead)

        self.assertEqual((self.dead, 'dead', 7, 'HTTP 404', None), (
            found['id'], found['status'], found['attempts'],
            found['last_error'], found['replayed_at']))
        self.assertEqual({
            'notified_at', 'transformed_at', 'evaluated_at', 'committed_at',
            'fired_at', 'received_at', 'dropped_at'}, set(found['timeline']))
        self.assertNotIn('hush', self.answer.text)

    def test_another_projects_is_not_found(self):
        for method, path in (('get', self.dead), ('post', self.dead
                                                  + '/retry')):
            for who in (base.BOB, base.BOB | {'X-Roles': 'reader'}):
                self.fault(404, method, '/v2/deliveries/' + path, who=who)
        for id_ in ('nope', '%C3%A4', '%00'):
            self.fault(404, 'get', '/v2/deliveries/' + id_)
        self.call('get', '/v2/deliveries/' + self.dead, who=SUPPORT)

    def test_a_retry(self):
        found = self.call(
            'post', '/v2/deliveries/%s/retry' % self.dead, status=202)

        self.assertEqual(('pending', 0), (found['status'], found['attempts']))
        self.assertIsNotNone(found['replayed_at'])
        lane, = self.outbox.lanes()
        self.assertEqual((1, None, 0), (lane.head, lane.token, lane.attempts))
        self.assertLessEqual(lane.due, self.db.now())

    def test_a_retry_of_what_is_not_dead(self):
        path = '/v2/deliveries/%s/retry'
        self.call('post', path % self.dead)

        for id_, status in ((self.dead, 'pending'), (self.pending, 'pending'),
                            (self.delivered, 'delivered')):
            self.assertEqual(
                'Delivery %s is %s: only dead, expired and superseded ones '
                'can be sent again' % (id_, status),
                self.fault(409, 'post', path % id_))

    def test_readers_do_not_retry(self):
        self.fault(403, 'post', '/v2/deliveries/%s/retry' % self.dead,
                   who=base.READER)

        self.call('get', '/v2/deliveries/' + self.dead, who=base.READER)
