# SPDX-License-Identifier: Apache-2.0

import json
import uuid

from doctor_alarm.api import alarm_import
from doctor_alarm import credential
from doctor_alarm import exception
from doctor_alarm.tests.unit.api import base

SCHEMES = frozenset(('http',))


class ImportTest(base.ApiTestCase):

    def load(self, *lines):
        return alarm_import.load(self.db, [
            line if isinstance(line, str) else json.dumps(line)
            for line in lines], SCHEMES, credential.make(self.conf))

    def stored(self):
        return self.call('get', '/v2/alarms', who={})

    def complaint(self, *lines):
        error = self.assertRaises(exception.Invalid, self.load, *lines)
        self.assertEqual([], self.stored())
        return str(error)

    def line(self, **values):
        return self.alarm(**{'project_id': 'p1', 'user_id': 'alice', **values})

    def test_what_the_api_returned_comes_back_as_it_was(self):
        created = self.create(alarm_actions=['http://a/'])
        self.call('put', '/v2/alarms/%s/state' % created['alarm_id'], 'alarm')
        seen = self.call('get', '/v2/alarms/' + created['alarm_id'])
        self.call('delete', '/v2/alarms/' + created['alarm_id'])

        self.assertEqual(1, self.load(seen))

        self.assertEqual(
            seen, self.call('get', '/v2/alarms/' + created['alarm_id']))

    def test_new_ones_get_an_id(self):
        self.assertEqual(2, self.load(self.line(), '', self.line()))

        self.assertEqual(2, len({a['alarm_id'] for a in self.stored()}))

    def test_bad_lines_are_told_with_their_numbers(self):
        complaint = self.complaint(
            self.line(), '{', '', self.alarm(), self.line(foo=1),
            self.line(alarm_actions=['smtp://a/']),
            self.line(alarm_id='not an id'), self.line(timestamp='today'),
            self.line(user_id=7), '[]')

        for number, words in [
                (2, 'not valid JSON'), (4, 'project_id'), (5, 'foo'),
                (6, 'Unsupported action'), (7, 'alarm_id'),
                (8, 'timestamp'), (9, 'user_id'), (10, 'an object')]:
            line, = [text for text in complaint.splitlines()
                     if text.startswith('line %d:' % number)]
            self.assertIn(words, line)
        self.assertNotIn('line 1:', complaint)

    def test_it_stops_after_many(self):
        complaint = self.complaint(*['x'] * 100)

        self.assertEqual(alarm_import.MAX_COMPLAINTS + 1,
                         len(complaint.splitlines()))

    def test_nothing_is_half_imported(self):
        many = [self.line(name=str(n)) for n in range(1200)]

        self.assertIn('line 1201:', self.complaint(*many, '{'))

    def test_an_id_that_there_is(self):
        twice = self.line(alarm_id=str(uuid.uuid4()))

        self.assertEqual(
            'line 702: Alarm %s exists already' % twice['alarm_id'],
            self.complaint(twice, *[self.line()] * 700, twice))
