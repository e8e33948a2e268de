# SPDX-License-Identifier: Apache-2.0
"""Only the call of the receiver has the credentials."""

import os

import fixtures

from doctor_alarm import credential
from doctor_alarm.notifier import receivers
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching

URL = 'test://bob:hush@r1/x?token=hush2'


class CredentialsTest(dispatching.DispatcherTests, base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.vault = credential.make(self.conf)
        self.called = []
        self.plugin.answers['r1'].extend([self.call] * 10)

    def call(self, delivery):
        self.called.append(delivery.action.geturl())

    def sealed_lane(self, url=URL, **kwargs):
        return self.outbox.lane(self.vault.seal(url), **kwargs)

    def lose_keys(self):
        path = self.conf.credential.key_file
        os.rename(path, path + '.old')
        credential.create(path)

    def find_keys(self):
        path = self.conf.credential.key_file
        os.rename(path + '.old', path)

    def test_they_are_called_whole(self):
        self.a_dispatcher().wake(self.outbox.fire(
            self.sealed_lane(), self.lane(), times=2))
        self.wait_idle()

        self.assertEqual([URL] * 2 + ['test://r1/x'] * 2, sorted(self.called))
        self.assertEqual(['delivered'] * 4, self.outbox.statuses())
        self.assertNotIn('hush', self.log.output)

    def test_a_receiver_is_one_with_and_without(self):
        self.assertEqual(
            receivers.target_of('p1', 'test://r1/x')[0],
            receivers.target_of('p1', self.vault.seal(URL))[0])
        # Where nothing is between the host and what is sealed
        self.assertEqual('h', receivers.target_of(
            'p1', self.vault.seal('http://u:p@h'))[1].hostname)

    def test_without_the_key_they_wait(self):
        lane = self.sealed_lane()
        hint = self.outbox.fire(lane, times=2)
        self.lose_keys()
        others = self.outbox.fire(self.lane())
        made = self.a_dispatcher()
        made.wake(hint)

        first = self.wait_until(lambda: next((
            row for row in self.outbox.deliveries() if row.attempts >= 3),
            None))
        self.assertEqual('pending', first.status)
        self.assertEqual(1, first.sequence)
        self.assertIn('[credential] key_file', first.last_error)
        self.assertIsNone(first.received_at)
        # then: nobody else waits for it, on the same receiver neither
        made.wake(others)
        self.wait_until(lambda: 'test://r1/x' in self.called)
        # then: it is told once
        self.assertEqual(1, self.log.output.count('can not be decrypted'))
        self.assertIn('delivery %s of alarm %s' % (first.id, lane.alarm_id),
                      self.log.output)
        for secret in ('hush', 'r1', 'gAAAA'):
            self.assertNotIn(secret, self.log.output)

        # when: the key is there again, nothing was lost, nor its order
        self.find_keys()
        self.wait_idle()
        self.assertEqual([URL] * 2, self.called[1:])
        self.assertEqual([1, 2], self.plugin.of(lane))

    def test_no_traceback_shows_them(self):
        url = 'test://bob:hu%2Fsh@r2/x?token=hush2&x=hush3'
        self.plugin.answers['r2'].append(ValueError(
            'bob:hu%2Fsh, hu/sh and token=hush2&x=hush3 but hush3'))
        self.a_dispatcher().wake(self.outbox.fire(self.sealed_lane(url)))
        self.wait_idle()

        self.assertIn('Traceback', self.log.output)
        self.assertIn('***, *** and *** but ***', self.log.output)

    def test_what_is_damaged_hurts_only_itself(self):
        stored = self.vault.seal(URL)
        damaged = self.outbox.lane(stored[:-20] + 'A' * 20)
        good = self.sealed_lane()
        self.a_dispatcher().wake(self.outbox.fire(damaged, good))

        self.wait_until(lambda: {
            row.lane_id: row.status for row in self.outbox.deliveries()
            if row.attempts} == {
                damaged.id: 'pending', good.id: 'delivered'})
        self.assertEqual([URL], self.called)
