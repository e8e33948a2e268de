# SPDX-License-Identifier: Apache-2.0

import time

import hypothesis
from hypothesis import strategies as st

from doctor_alarm import redact
from doctor_alarm.tests import base

TOKEN = 'gAAAAABnPa5q' + 'Zm9vYmFy' * 20
JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXBhcnQ'


class TestKeys(base.TestCase):

    def test_names_of_secrets(self):
        for key in ('auth_token', 'password', 'adminPass', 'admin_pass',
                    'new_pass', 'rescue_pass', 'X-Auth-Token', 'authToken',
                    'user_data', 'userdata', 'userData', 'injected_files',
                    'injected_file_content', 'personality', 'trust_id',
                    'secret', 'client_secret', 'secretKey', 'api_key',
                    'credentials', 'credential_blob', 'private_key',
                    'encryption_key_id', 'X-Subject-Token', 'accessKey',
                    'db_password_hash', 'Authorization', 'auth_passwd'):
            self.assertTrue(redact.is_secret_key(key), key)

    def test_names_of_others(self):
        for key in ('display_name', 'key_name', 'host', 'state', 'passthrough',
                    'compass', 'user_id', 'public_key', 'trustor_user_id',
                    'metadata', 'tokenizer', 'flavor', 'task_state',
                    'monkey', 'bypass_count'):
            self.assertFalse(redact.is_secret_key(key), key)

    def test_a_long_name(self):
        self.assertTrue(redact.is_secret_key('x' * 1000 + '_password'))
        self.assertFalse(redact.is_secret_key('x' * 1000))


class TestTexts(base.TestCase):

    def test_secrets_in_texts(self):
        cases = {
            'amqp://nova:s3cr3t@rabbit:5672/': 's3cr3t',
            'see https://user:hunter22@host/path, then': 'hunter22',
            'https://s3/b?X-Amz-Signature=abcdef0123&x=1': 'abcdef0123',
            'http://swift/v1/o?temp_url_sig=0123abcd': '0123abcd',
            'token %s is expired' % TOKEN: TOKEN,
            TOKEN: TOKEN,
            'got %s' % JWT: JWT,
            "{'auth_password': 'chap-secret-1', 'a': 1}": 'chap-secret-1',
            '{"password": "p4ss-w0rd"}': 'p4ss-w0rd',
            'login failed: password=p4ssw0rd': 'p4ssw0rd',
            'X-Auth-Token: 0123456789abcdef': '0123456789abcdef',
            'Authorization: Basic dXNlcjpwYXNz': 'dXNlcjpwYXNz',
            'sent with Bearer abcdefghijklmnop': 'abcdefghijklmnop',
            '-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n'
            '-----END RSA PRIVATE KEY-----': 'MIIEow',
            'cut off -----BEGIN PRIVATE KEY-----\nMIIEow': 'MIIEow',
        }
        for value, secret in cases.items():
            self.assertNotIn(secret, redact.text(value))

    def test_what_stands_around_a_secret_stays(self):
        self.assertEqual(
            'see https://***@host/path, then',
            redact.text('see https://user:hunter22@host/path, then'))

    def test_harmless_texts_stay(self):
        for value in ('', 'active', '0e42a57d-bbbd-46da-b07b-93b35905cf69',
                      '2026-11-20T09:14:29.000000', 'Größe: 7',
                      'http://127.0.0.1:19292/images/1111?limit=5',
                      'No valid host was found. There are not enough hosts.',
                      'bypass the compass', 'a' * 5000):
            self.assertEqual(value, redact.text(value))

    def test_what_no_database_takes(self):
        self.assertEqual('a\ufffdb', redact.text('a\0b'))
        redact.text('a\ud800b').encode('utf-8')

    def test_a_long_text_that_looks_suspicious_is_left_out(self):
        value = 'password=x ' * 10000
        self.assertEqual('(left out: 110000 characters)', redact.text(value))

    @hypothesis.given(st.text())
    def test_any_text_can_be_stored(self, value):
        redact.text(value).encode('utf-8')
        self.assertNotIn('\0', redact.text(value))

    @hypothesis.given(
        st.text(alphabet='abcdefgh0123', min_size=8, max_size=40),
        st.sampled_from(['password=%s', 'http://u:%s@h/', 'secret: "%s"',
                         'http://h/?sig=%s', 'bearer %s00000000']),
        st.text(alphabet='xyz \n', max_size=80))
    def test_a_secret_anywhere(self, secret, form, around):
        value = '%s %s %s' % (around, form % secret, around)
        self.assertNotIn(secret, redact.text(value))

    def test_no_text_takes_long(self):
        for unit in ('?sig', 'eyJ-', '://a', 'password', 'token=', '-----BEGIN'
                     ' PRIVATE KEY-----', 'gAAAA-', 'bearer ', '&key'):
            value = (unit * redact.MAX_MASKED)[:redact.MAX_MASKED]
            started = time.process_time()
            redact.text(value)
            self.assertLess(time.process_time() - started, 2.0, unit)


class TreeTest(base.TestCase):

    def test_objects_lists_and_traits(self):
        self.assertEqual(
            {'auth_token': '***', 'a': [{'password': '***'}, 'x'], 'n': 1,
             'traits': [['adminPass', 1, '***'], ['state', 1, 'error']]},
            redact.tree({
                'auth_token': 'gAAAA', 'a': [{'password': 'p'}, 'x'], 'n': 1,
                'traits': [['adminPass', 1, 'p'], ['state', 1, 'error']]}))
