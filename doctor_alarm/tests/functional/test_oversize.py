# SPDX-License-Identifier: Apache-2.0
"""A statement that is larger than the database takes."""

import json

import kombu

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import services
from doctor_alarm.tests.services import mariadb

HOP = 'doctor_alarm.event.sample'


class OversizeTest(scenario.Story):
    """MariaDB cuts the connection at it, as if it went away."""

    parts = ('evaluator', 'notifier', 'api')
    extra = '[evaluator]\nretry_max = 0.2\n'

    def setUp(self):
        server = services.shared(mariadb.MariaDB)
        (_name, before), = server.execute(
            "SHOW GLOBAL VARIABLES LIKE 'max_allowed_packet'")
        self.addCleanup(
            server.execute, 'SET GLOBAL max_allowed_packet = %s' % before)
        server.execute('SET GLOBAL max_allowed_packet = 32768')
        super().setUp()
        self.transport = messaging.get_own_transport(self.cloud.storage.conf)

    def send(self, *events):
        envelope = {'oslo.version': '2.0', 'oslo.message': json.dumps(
            {'payload': events})}
        with kombu.Connection(dead_letter.kombu_url(self.transport)) as conn:
            kombu.Producer(conn.channel()).publish(
                json.dumps(envelope), routing_key=HOP, exchange='',
                content_type='application/json', content_encoding='utf-8')

    def event(self, vm, message_id, state='error', note=''):
        return {
            'message_id': message_id, 'generated': '2036-01-01T00:00:00',
            'event_type': 'compute.instance.update', 'traits': [
                ['instance_id', 1, vm], ['state', 1, state],
                ['note', 1, note], ['project_id', 1, 'p1']]}

    def test_its_event_is_put_aside_and_the_others_go_on(self):
        before, huge, after = map(self.given_alarm, ('vm1', 'vm2', 'vm3'))

        # when: in one message and in others
        self.send(self.event('vm1', 'm1'),
                  self.event('vm2', 'm2', note='x' * 60000),
                  self.event('vm3', 'm3'))
        self.send(self.event('vm1', 'm4', 'active'))

        # then: its neighbours fire, and what comes later
        self.expect(before, 'alarm', 'ok')
        self.expect(after, 'alarm')
        # then: it is kept and blamed, and alone
        letters = dead_letter.QueueDeadLetters(self.transport)
        letter, = self.wait_until(letters.list, 60)
        self.assertEqual('m2', letter.message_id)
        self.assertIn('x' * 60000, json.dumps(letter.body))
        self.assertEqual([], self.receiver.of(huge))
        # then: the server goes on as well
        self.send(self.event('vm2', 'm5'))
        self.expect(huge, 'alarm')
