# SPDX-License-Identifier: Apache-2.0
"""What is malformed is put aside and hurts only itself."""

import json
import subprocess
import sys

import kombu

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.tests.functional import scenario

HOP = 'doctor_alarm.event.sample'


class TestBadInput(scenario.Story):

    def setUp(self):
        super().setUp()
        self.transport = messaging.get_own_transport(
            self.cloud.storage.conf)
        self.letters = dead_letter.QueueDeadLetters(self.transport)

    def raw(self, body, queue):
        with kombu.Connection(dead_letter.kombu_url(self.transport)) as conn:
            kombu.Producer(conn.channel()).publish(
                body, routing_key=queue, exchange='',
                content_type='application/json', content_encoding='utf-8')

    def enveloped(self, message, queue):
        self.raw(json.dumps({'oslo.version': '2.0',
                             'oslo.message': json.dumps(message)}), queue)

    def manage(self, *arguments):
        done = subprocess.run(
            [sys.executable, '-m', 'doctor_alarm.cmd.manage',
             '--config-file', self.cloud.config, *arguments],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def expect_alive(self):
        alarm = self.given_alarm('alive')
        self.when('alive', 'error')
        self.expect(alarm, 'alarm')

    def test_on_our_hop(self):
        alarm = self.given_alarm('vm1')
        good = {'message_id': 'good', 'generated': '2036-01-01T00:00:00',
                'event_type': 'compute.instance.update', 'traits': [
                    ['instance_id', 1, 'vm1'], ['state', 1, 'error'],
                    ['project_id', 1, 'p1']]}

        self.raw(b'{not json', HOP)
        self.raw(b'\x80\x81', HOP)
        self.raw('[' * 100000, HOP)
        self.enveloped({'payload': None}, HOP)
        self.enveloped({'payload': [
            {'message_id': 'bad', 'event_type': 'x'},
            {**good, 'message_id': 'wrong', 'traits': [['a', 9, 'x']]},
            {**good, 'message_id': 'nul', 'traits': 'x' * 10000000},
            good]}, HOP)

        # then: the good one beside the bad ones fires
        self.expect(alarm, 'alarm')
        # then: each bad one is kept
        self.wait_until(lambda: len(self.letters.list()) == 7, 30,
                        lambda: self.letters.list())
        self.assertLessEqual(
            {'bad', 'wrong', 'nul'},
            {letter.message_id for letter in self.letters.list()})
        self.expect_alive()

    def test_texts_that_no_encoder_takes(self):
        """Each of these once stopped all that came behind it."""
        alarm = self.given_alarm('vm1')
        good = {'message_id': 'good', 'generated': '2036-01-01T00:00:00',
                'event_type': 'compute.instance.update', 'traits': [
                    ['instance_id', 1, 'vm1'], ['state', 1, 'error'],
                    ['project_id', 1, 'p1']]}
        odd = 'a\ud800\0'
        self.enveloped({'payload': [{**good, 'message_id': odd,
                                     'traits': [['x', 1, odd]]}]}, HOP)
        self.enveloped({'payload': [{**good, 'message_id': 'type',
                                     'event_type': odd}]}, HOP)
        self.enveloped({'message_id': odd, 'payload': [3]}, HOP)
        self.enveloped({'payload': [good]}, HOP)
        self.enveloped({'message_id': odd, 'event_type': 'x',
                        'payload': 'text'}, 'notifications.info')
        self.expect(alarm, 'alarm')
        self.wait_until(lambda: len(self.letters.list()) == 2)

    def test_what_the_evaluator_put_aside_is_replayed(self):
        alarm = self.given_alarm('vm1')
        old = {'message_id': 'old', 'generated': '2020-01-01T00:00:00',
               'event_type': 'compute.instance.update', 'traits': [
                   ['instance_id', 1, 'vm1'], ['state', 1, 'error'],
                   ['project_id', 1, 'p1']]}
        self.enveloped({'payload': [old]}, HOP)
        letter = self.wait_until(self.letters.list)[0]
        self.assertIn('max_event_age', letter.reason)
        self.assertEqual(HOP, letter.source)

        # when: somebody allows older ones, and replays it
        self.cloud.stop('evaluator')
        with open(self.cloud.config, 'a') as config:
            config.write('[evaluator]\nmax_event_age = 999999999\n')
        self.cloud.start('evaluator')
        self.manage('dead-letter', 'replay', letter.id)

        self.expect(alarm, 'alarm')
        self.assertEqual([], self.letters.list())

    def test_on_the_bus_of_nova(self):
        self.enveloped({'message_id': 'm1', 'event_type': 3,
                        'payload': {}, 'priority': 'INFO'},
                       'notifications.info')
        self.enveloped({'message_id': 'm2', 'event_type': 'x',
                        'payload': 'text', 'timestamp': 'soon'},
                       'notifications.info')
        self.wait_until(lambda: len(self.letters.list()) == 2)
        self.assertEqual({'m1', 'm2'}, {
            letter.message_id for letter in self.letters.list()})
        self.expect_alive()

    def test_the_future_freezes_nothing(self):
        alarm = self.given_alarm('vm1')
        for n, (state, year) in enumerate((('error', 2099),
                                           ('active', 2098))):
            self.enveloped({'payload': [{
                'message_id': str(n), 'event_type': 'compute.instance.update',
                'generated': '%d-01-01T00:00:00' % year, 'traits': [
                    ['instance_id', 1, 'vm1'], ['state', 1, state],
                    ['project_id', 1, 'p1']]}]}, HOP)
        self.expect(alarm, 'alarm', 'ok')

    def test_a_dead_letter_is_listed_shown_and_replayed(self):
        self.enveloped({
            'message_id': 'm9', 'event_type': 'compute.instance.update',
            'publisher_id': 'compute.h1', 'priority': 'INFO',
            'timestamp': 'soon', 'payload': dict(
                scenario.update_of('vm1', 'error'),
                auth_token='hush-hush')}, 'notifications.info')
        letter = self.wait_until(self.letters.list)[0]

        listed = self.manage('dead-letter', 'list')
        self.assertIn(letter.id, listed)
        self.assertIn('m9', listed)
        shown = self.manage('dead-letter', 'show', letter.id)
        self.assertIn('vm1', shown)
        self.assertNotIn('hush-hush', shown)

        self.manage('dead-letter', 'replay', letter.id)
        # it is as malformed as before: put aside again, as another letter
        self.wait_until(lambda: [x for x in self.letters.list()
                                 if x.id != letter.id])
