# SPDX-License-Identifier: Apache-2.0
"""Credentials in action URLs go in and never come out."""

from doctor_alarm.objects import alarm
from doctor_alarm.tests.unit.api import base

URL = 'http://bob:hush@receiver/hook?token=hush2&topic=alarms'
SHOWN = 'http://***@receiver/hook?token=***&topic=alarms'


class TestCredentials(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.shown = self.call('post', '/v2/alarms', {
            'name': 'a', 'type': 'event', 'event_rule': base.RULE,
            'alarm_actions': [URL, 'http://plain/?x=1']}, status=201)
        self.path = '/v2/alarms/' + self.shown['alarm_id']

    def stored(self):
        with self.db.reader() as conn:
            return list(alarm.get(conn, self.shown['alarm_id']).alarm_actions)

    def test_no_answer_shows_them(self):
        for path in (self.path, '/v2/alarms', self.path + '/history'):
            self.call('get', path)
            self.assertNotIn('hush', self.answer.text)
        self.assertEqual([SHOWN, 'http://plain/?x=1'],
                         self.shown['alarm_actions'])
        self.assertEqual([URL, 'http://plain/?x=1'], self.stored())

    def test_sent_back_whole_they_stay(self):
        changed = self.call('put', self.path, {
            **self.shown, 'description': 'new', 'ok_actions': [SHOWN]})
        self.assertEqual([SHOWN], changed['ok_actions'])
        self.assertEqual([URL, 'http://plain/?x=1'], self.stored())

    def test_new_ones_replace_them(self):
        new = 'http://eve:other@receiver/hook'
        self.call('put', self.path, {**self.shown, 'alarm_actions': [new]})
        self.assertEqual([new], self.stored())

    def test_masked_ones_of_another_alarm_are_refused(self):
        for method, path in (('post', '/v2/alarms'), ('put', self.path)):
            answer = self.call(method, path, {
                **self.shown, 'alarm_actions': ['http://***@other/']},
                status=400)
            self.assertIn('alarm_actions',
                          answer['error_message']['faultstring'])

    def test_those_that_look_the_same_keep_their_order(self):
        urls = ['http://alice:1@h/x', 'http://bob:2@h/x', 'http://plain/']
        shown = self.call('put', self.path, {
            **self.shown, 'alarm_actions': urls})
        self.assertEqual(['http://***@h/x'] * 2 + ['http://plain/'],
                         shown['alarm_actions'])
        self.call('put', self.path, {**shown, 'name': 'renamed'})
        self.assertEqual(urls, self.stored())
        # one of two is gone: which one was meant?
        self.call('put', self.path, {
            **shown, 'alarm_actions': ['http://***@h/x']}, status=400)
        self.assertEqual(urls, self.stored())
