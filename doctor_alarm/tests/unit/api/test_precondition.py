# SPDX-License-Identifier: Apache-2.0
"""Concurrent edits of an alarm."""

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.tests.unit.api import base


class PreconditionTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.path = '/v2/alarms/' + self.create()['alarm_id']
        self.etag = self.answer.headers['ETag']

    def who(self, etag):
        return dict(base.ALICE, **{'If-Match': etag})

    def changes(self):
        return [('put', self.path, self.alarm(name='mine')),
                ('put', self.path + '/state', 'ok'),
                ('delete', self.path, self.NOTHING)]

    def transit(self):
        """A transition as the evaluator stores it."""
        with self.db.writer() as conn:
            conn.execute(sa.update(models.alarm).values(
                state='alarm', state_reason='Event',
                state_timestamp=self.db.now(),
                evaluate_timestamp=self.db.now()))

    def test_every_answer_has_one(self):
        self.call('get', self.path)
        self.assertEqual(self.etag, self.answer.headers['ETag'])
        self.assertRegex(self.etag, '^"[0-9-]+"$')

        self.call('put', self.path, self.alarm(name='new'))

        changed = self.answer.headers['ETag']
        self.assertNotEqual(self.etag, changed)
        self.call('get', self.path)
        self.assertEqual(changed, self.answer.headers['ETag'])

    def test_what_was_read_last_is_changed(self):
        for method, path, doc in self.changes():
            self.call('get', self.path)
            self.call(method, path, doc,
                      self.who('"other", ' + self.answer.headers['ETag']))
        self.fault(404, 'get', self.path)

    def test_the_second_editor_is_told(self):
        self.call('put', self.path, self.alarm(name='theirs'))

        for method, path, doc in self.changes():
            self.assertIn('If-Match', self.fault(
                412, method, path, doc, self.who(self.etag)))
        self.assertEqual('theirs', self.call('get', self.path)['name'])

    def test_a_transition_counts(self):
        self.transit()

        for method, path, doc in self.changes():
            self.fault(412, method, path, doc, self.who(self.etag))
        self.assertEqual('alarm', self.call('get', self.path)['state'])

    def test_any(self):
        self.transit()

        self.call('put', self.path, self.alarm(name='new'), self.who('*'))

    def test_a_weak_one_is_none(self):
        self.fault(412, 'put', self.path, self.alarm(),
                   self.who('W/' + self.etag))

    def test_who_does_not_ask_never_sets_a_state_back(self):
        """Given an edit that was begun before a transition.

        Whether it sends the old state or none: the newer one stays.
        """
        seen = self.call('get', self.path)
        self.transit()

        for doc in (seen, self.alarm(),
                    {name: value for name, value in seen.items()
                     if name != 'state'}):
            changed = self.call('put', self.path, dict(doc, name='new'))
            self.assertEqual(('alarm', 'Event', 'new'), (
                changed['state'], changed['state_reason'], changed['name']))
