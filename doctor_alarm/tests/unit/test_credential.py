# SPDX-License-Identifier: Apache-2.0
"""Credentials are encrypted with keys of a file that changes under us."""

import os
import re

import fixtures
from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm import action
from doctor_alarm import credential
from doctor_alarm import exception
from doctor_alarm.objects import outbox
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing

URL = 'http://bob:hush@receiver/hook?token=hush2&topic=alarms'
SHOWN = 'http://***@receiver/hook?token=***&topic=alarms'
KEYS = [credential.new_key() for _ in range(3)]


class VaultTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'keys')
        self.write(KEYS[0])
        self.vault = credential.Vault(self.path)

    def write(self, *lines, mode=0o600):
        # As an operator does who wants no service to see half of it.
        with open(self.path + '.new', 'w') as file:
            os.fchmod(file.fileno(), mode)
            file.write('\n'.join(lines))
        os.rename(self.path + '.new', self.path)


class VaultTest(VaultTestCase):

    def test_round_trip(self):
        stored = self.vault.seal(URL)

        self.assertEqual(URL, self.vault.open(stored))
        self.assertEqual(SHOWN, action.masked(stored))
        self.assertNotIn('hush', stored)
        self.assertEqual(stored, self.vault.seal(stored))
        # then: whoever has the same keys
        self.assertEqual(URL, credential.Vault(self.path).open(stored))

    def test_without_credentials_it_stays_plain(self):
        for url in ('http://receiver/', 'log://', 'http://r/x?y=1#z',
                    'HTTP://Receiver/?x=1', 'http://r/@me', 'http://r/?'):
            self.assertEqual(url, self.vault.seal(url))
            self.assertEqual(url, self.vault.open(url))
            self.assertEqual(url, credential.Vault(None).seal(url))

    def test_with_credentials_it_never_does(self):
        for url in (URL, 'http://u:***@receiver/', 'http://***@r/?sig=x',
                    'http://tok@receiver', 'http://[bad?token=hush'):
            stored = self.vault.seal(url)
            self.assertTrue(action.is_sealed(stored), url)
            self.assertEqual(url, self.vault.open(stored))

    @fuzzing.settings
    @given(st.text(st.characters(codec='utf-8'), max_size=60))
    def test_any_text(self, text):
        url = 'http://%s:x@receiver/' % text.replace(action.SEPARATOR, '')

        self.assertEqual(url, self.vault.open(self.vault.seal(url)))

    def test_what_is_known(self):
        stored = self.vault.seal(URL)
        other = self.vault.seal(URL.replace('hush2', 'hush3'))

        self.assertEqual(
            {URL: stored, URL.replace('hush2', 'hush3'): other},
            self.vault.opened([other, 'http://plain/', stored, URL]))
        self.assertEqual({}, credential.Vault(None).opened([stored]))
        self.write(KEYS[1])
        self.assertEqual({}, self.vault.opened([stored]))
        self.write(KEYS[1], KEYS[0])
        self.assertEqual({URL: stored}, self.vault.opened([stored]))

    def test_the_id_is_not_made_of_the_credentials(self):
        # Who guesses a password must not be able to check it.
        self.assertNotEqual(outbox.lane_id('a', self.vault.seal(URL)),
                            outbox.lane_id('a', self.vault.seal(URL)))

    def test_without_keys(self):
        stored = self.vault.seal(URL)
        vault = credential.Vault(None)

        error = self.assertRaises(exception.NoKey, vault.seal, URL)
        self.assertIn('[credential] key_file', str(error))
        self.assertIn(SHOWN, str(error))
        self.assertRaises(exception.Sealed, vault.open, stored)
        self.assertRaises(exception.NoKey, vault.renewed, URL)
        self.assertEqual(stored, vault.renewed(stored))

    def test_damaged(self):
        stored = self.vault.seal(URL)
        head, token = action.identity(stored), stored[-60:]

        for broken in (stored[:-8], stored[:-20] + 'A' * 20, stored + '\xe9',
                       head + action.SEPARATOR, stored.replace('gAA', 'gAB'),
                       head + action.SEPARATOR + token):
            error = self.assertRaises(
                exception.Sealed, self.vault.open, broken)
            self.assertNotIn(token, str(error))
            self.assertRaises(
                exception.Sealed, self.vault.renewed, broken)


class RotationTest(VaultTestCase):

    def test_in_the_safe_order(self):
        stored = self.vault.seal(URL)
        self.write(KEYS[0], KEYS[1])    # known everywhere, used nowhere
        self.assertEqual(stored, self.vault.renewed(stored))
        self.write(KEYS[1], KEYS[0])    # used
        renewed = self.vault.renewed(stored)
        self.assertNotEqual(stored, renewed)
        self.assertEqual(renewed, self.vault.renewed(renewed))
        self.write(KEYS[1])             # the old one is gone

        self.assertEqual(URL, self.vault.open(renewed))
        self.assertRaises(exception.Sealed, self.vault.open, stored)
        self.assertEqual(outbox.lane_id('a', stored),
                         outbox.lane_id('a', renewed))
        self.assertEqual(outbox.notification_id('a', stored, 'm'),
                         outbox.notification_id('a', renewed, 'm'))

    def test_what_was_never_encrypted(self):
        self.assertEqual(URL, self.vault.open(self.vault.renewed(URL)))
        self.assertEqual('http://r/', self.vault.renewed('http://r/'))

    def test_a_file_that_is_broken_meanwhile(self):
        stored = self.vault.seal(URL)
        self.write(KEYS[1][:-4])
        self.assertEqual(URL, self.vault.open(stored))
        self.assertEqual(URL, self.vault.open(stored))
        os.unlink(self.path)
        self.assertEqual(URL, self.vault.open(stored))

        # then: it was said once, without the key
        self.assertEqual(1, self.log.output.count('is not a key'))
        self.assertEqual(URL, self.vault.open(stored))
        self.assertEqual(1, self.log.output.count('No such file'))
        self.assertNotIn(KEYS[1][:8], self.log.output)
        # then: it counts when it is good again
        self.write(KEYS[2])
        self.assertRaises(exception.Sealed, self.vault.open, stored)
        self.assertIn('were read again', self.log.output)


class FileTest(VaultTestCase):

    def complaint(self, *lines, mode=0o600):
        self.write(*lines, mode=mode)
        error = self.assertRaises(
            exception.ConfigurationError, credential.Vault, self.path)
        self.assertIn('[credential] key_file', str(error))
        self.assertIn(self.path, str(error))
        return str(error)

    def test_comments_and_blank_lines(self):
        self.write('# of November', '', KEYS[1] + '  # new', KEYS[0], '')

        self.assertEqual(2, len(credential.read(self.path)))

    def test_what_is_wrong(self):
        self.assertIn('has no key', self.complaint())
        self.assertIn('has no key', self.complaint('# later'))
        wrong = self.complaint('# two', KEYS[0], KEYS[1][:-3])
        self.assertIn('line 3 is not a key', wrong)
        self.assertNotIn(KEYS[1][:8], wrong)
        self.assertIn('not a file of keys', self.complaint('\xe9'))
        self.assertIn('chmod', self.complaint(KEYS[0], mode=0o644))

    def test_a_group_may_read_it(self):
        self.write(KEYS[0], mode=0o640)

        self.assertEqual(1, len(credential.read(self.path)))

    def test_there_is_none(self):
        os.unlink(self.path)
        error = self.assertRaises(
            exception.ConfigurationError, credential.Vault, self.path)
        self.assertIn('No such file', str(error))
        os.mkdir(self.path)
        self.assertRaises(
            exception.ConfigurationError, credential.Vault, self.path)

    def test_a_new_one(self):
        self.assertRaises(FileExistsError, credential.create, self.path)
        path = self.path + '2'
        credential.create(path)

        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        self.assertEqual(1, len(credential.read(path)))
        with open(path) as file:
            self.assertTrue(re.fullmatch(r'[\w=-]{44}\n', file.read()))
