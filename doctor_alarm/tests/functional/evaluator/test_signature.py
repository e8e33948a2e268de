# SPDX-License-Identifier: Apache-2.0
"""Events of a Ceilometer that signs, and of somebody who pretends to."""

import uuid

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm import signature
from doctor_alarm.tests.functional import scenario

SECRET = 'the secret of Ceilometer'


class TestSignature(scenario.Story):

    parts = ('evaluator', 'notifier', 'api')
    extra = '[publisher]\ntelemetry_secret = ' + SECRET

    def publish(self, secret, state):
        doc = {
            'message_id': str(uuid.uuid4()),
            'event_type': 'compute.instance.update', 'raw': {},
            'generated': '2036-11-20T12:00:00.000001', 'traits': [
                ['instance_id', 1, 'vm1'], ['state', 1, state],
                ['tenant_id', 1, 'p1']]}
        doc['message_signature'] = signature.of(doc, secret)
        self.cloud.notifier('ceilometer', 'alarm.all', 'telemetry').sample(
            {}, 'event', [doc])
        return doc['message_id']

    def test_only_what_is_signed_counts(self):
        alarm = self.given_alarm('vm1')
        letters = dead_letter.QueueDeadLetters(
            messaging.get_own_transport(self.cloud.storage.conf))

        forged = {self.publish('a guess', 'error'), self.publish('', 'error')}
        self.wait_until(lambda: forged == {
            letter.message_id for letter in letters.list()})
        self.publish(SECRET, 'active')
        self.expect(alarm, 'ok')
        self.publish(SECRET, 'error')
        self.expect(alarm, 'ok', 'alarm')

        log = self.cloud.log('evaluator')
        self.assertEqual(1, len([line for line in log.splitlines()
                                 if 'WARNING' in line and 'put aside' in line
                                 ]), log)
        self.assertNotIn(SECRET, log)
