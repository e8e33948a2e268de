# SPDX-License-Identifier: Apache-2.0
"""Credentials in action URLs go in and never come out."""

import json
import os

from doctor_alarm import action
from doctor_alarm import credential
from doctor_alarm.objects import alarm
from doctor_alarm.tests.unit.api import base

URL = 'http://bob:hush@receiver/hook?token=hush2&topic=alarms'
SHOWN = 'http://***@receiver/hook?token=***&topic=alarms'
PLAIN = 'http://plain/?x=1'


class CredentialsTestCase(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.vault = credential.make(self.conf)

    def stored(self, name='alarm_actions'):
        """The actions as the database has them."""
        with self.db.reader() as conn:
            return list(getattr(
                alarm.get(conn, self.shown['alarm_id']), name))

    def urls(self, name='alarm_actions'):
        stored = self.stored(name)
        self.assertNotIn('hush', json.dumps(stored))
        return list(map(self.vault.open, stored))


class TestCredentials(CredentialsTestCase):

    def setUp(self):
        super().setUp()
        self.shown = self.create(alarm_actions=[URL, PLAIN])
        self.path = '/v2/alarms/' + self.shown['alarm_id']

    def test_no_answer_shows_them(self):
        for path in (self.path, '/v2/alarms', self.path + '/history'):
            self.call('get', path)
            self.assertNotIn('hush', self.answer.text)
            self.assertNotIn('gAAAA', self.answer.text)
        self.assertEqual([SHOWN, PLAIN], self.shown['alarm_actions'])
        self.assertEqual([URL, PLAIN], self.urls())

    def test_no_refusal_shows_them(self):
        for url in (URL.replace('http:', 'smtp:'), URL + '\n', URL + ' x',
                    'bob:hush@receiver', 'http:bob:hush@receiver/hook',
                    'http://bob:hush@receiver:port/hook',
                    'http://bob:hush/2@receiver/', 'http://bob:hush?2@r/',
                    'http://bob:hush#2@r/', 'bob:hush://2@receiver/',
                    URL + action.SEPARATOR + 'a' + action.SEPARATOR + 'b',
                    'log://bob:hush@receiver'):
            for method, path in (('post', '/v2/alarms'), ('put', self.path)):
                sentence = self.fault(
                    401 if url.startswith('log:') else 400, method, path,
                    self.alarm(alarm_actions=[url]))
                self.assertIn('ction', sentence)
                self.assertNotIn('hush', self.answer.text)

    def test_the_form_of_the_database_is_no_url(self):
        # Or somebody could use what he has read there.
        self.fault(400, 'put', self.path, self.alarm(
            alarm_actions=self.stored()))

    def test_sent_back_whole_they_stay(self):
        before = self.stored()
        changed = self.call('put', self.path, {
            **self.shown, 'description': 'new', 'ok_actions': [SHOWN]})
        self.assertEqual([SHOWN], changed['ok_actions'])
        self.assertEqual(before, self.stored())
        self.assertEqual(before[:1], self.stored('ok_actions'))

    def test_sent_again_they_stay(self):
        before = self.stored()
        self.call('put', self.path, {
            **self.shown, 'alarm_actions': [PLAIN, URL],
            'insufficient_data_actions': [URL, SHOWN]})
        self.assertEqual(before[::-1], self.stored())
        # then: in all lists it is the same, and once in each
        self.assertEqual(before[:1], self.stored('insufficient_data_actions'))

    def test_no_change_is_no_history(self):
        path = self.path + '/history'
        before = self.call('get', path)
        self.call('put', self.path, {
            **self.shown, 'alarm_actions': [URL, PLAIN]})
        self.assertEqual(before, self.call('get', path))

    def test_new_ones_replace_them(self):
        before = self.stored()
        new = 'http://eve:other@receiver/hook'
        self.call('put', self.path, {**self.shown, 'alarm_actions': [new]})
        self.assertEqual([new], self.urls())
        changed = URL.replace('hush2', 'hush3')
        self.call('put', self.path, {
            **self.shown, 'alarm_actions': [changed]})
        self.assertEqual([changed], self.urls())
        # then: it is a way of its own, though it looks the same
        self.assertNotEqual(action.identity(before[0]),
                            action.identity(self.stored()[0]))
        self.assertEqual(action.masked(before[0]),
                         action.masked(self.stored()[0]))

    def test_the_same_in_all_lists_of_a_new_one(self):
        self.shown = self.create(
            ok_actions=[URL, URL], alarm_actions=[PLAIN, URL])
        self.assertEqual(self.stored('ok_actions'), self.stored()[1:])
        self.assertEqual([URL], self.urls('ok_actions'))

    def test_masked_ones_of_another_alarm_are_refused(self):
        for method, path in (('post', '/v2/alarms'), ('put', self.path)):
            answer = self.call(method, path, {
                **self.shown, 'alarm_actions': ['http://***@other/']},
                status=400)
            self.assertIn('alarm_actions',
                          answer['error_message']['faultstring'])

    def test_a_mask_is_not_stored_as_if_it_were_the_secret(self):
        for url in ('http://bob:***@receiver/hook?topic=alarms',
                    'http://bob:hush4@receiver/hook?token=***&topic=alarms',
                    'http://receiver/hook?***', '***'):
            self.fault(400, 'put', self.path, {
                **self.shown, 'alarm_actions': [url]})
        self.assertEqual([URL, PLAIN], self.urls())
        # In a path it hides nothing.
        self.call('put', self.path, {
            **self.shown, 'alarm_actions': ['http://receiver/***']})
        self.assertEqual(['http://receiver/***'], self.urls())

    def test_those_that_look_the_same_keep_their_order(self):
        urls = ['http://alice:1@h/x', 'http://bob:2@h/x', 'http://plain/']
        shown = self.call('put', self.path, {
            **self.shown, 'alarm_actions': urls})
        self.assertEqual(['http://***@h/x'] * 2 + ['http://plain/'],
                         shown['alarm_actions'])
        self.call('put', self.path, {**shown, 'name': 'renamed'})
        self.assertEqual(urls, self.urls())
        # one of two is gone: which one was meant?
        self.call('put', self.path, {
            **shown, 'alarm_actions': ['http://***@h/x']}, status=400)
        self.assertEqual(urls, self.urls())

    def test_with_other_keys_the_old_ones_stay(self):
        """Given the keys are lost: only what is sent whole is new."""
        before = self.stored()
        with open(self.conf.credential.key_file, 'w') as file:
            file.write(credential.new_key())
        self.call('put', self.path, {**self.shown, 'name': 'renamed'})
        self.assertEqual(before, self.stored())
        self.call('put', self.path, {
            **self.shown, 'alarm_actions': [SHOWN, PLAIN],
            'ok_actions': [URL]})
        self.assertEqual(before, self.stored())
        self.assertEqual([URL], self.urls('ok_actions'))


class TestWithoutKey(CredentialsTestCase):

    def prepare(self):
        self.with_key = self.conf.credential.key_file
        self.conf.clear_override('key_file', group='credential')

    def test_credentials_are_refused(self):
        for method, path in (
                ('post', '/v2/alarms'),
                ('put', '/v2/alarms/' + self.create()['alarm_id'])):
            sentence = self.fault(400, method, path,
                                  self.alarm(alarm_actions=[URL]))
            self.assertIn('[credential] key_file', sentence)
            self.assertIn(SHOWN, sentence)
            self.assertNotIn('hush', self.answer.text)

    def test_the_rest_works(self):
        self.shown = self.create(alarm_actions=[PLAIN])
        self.assertEqual([PLAIN], self.stored())

    def test_what_was_stored_with_one_stays(self):
        sealed = credential.Vault(self.with_key).seal(URL)
        created = alarm.create(self.db, alarm.Alarm(
            name='a', type='event', project_id='p1', user_id='alice',
            rule=base.RULE, alarm_actions=[sealed]))
        self.shown = self.call('get', '/v2/alarms/' + created.id)
        self.assertEqual([SHOWN], self.shown['alarm_actions'])
        self.call('put', '/v2/alarms/' + created.id, {
            **self.shown, 'name': 'renamed'})
        self.assertEqual([sealed], self.stored())


class TestStart(base.ApiTestCase):

    def test_a_bad_file_is_told(self):
        self.assertEqual(0o600, os.stat(
            self.conf.credential.key_file).st_mode & 0o777)
        os.chmod(self.conf.credential.key_file, 0o644)
        error = self.assertRaises(
            base.exception.ConfigurationError, base.app.build_app,
            self.conf, self.db, self.events)
        self.assertIn('[credential] key_file', str(error))
