# SPDX-License-Identifier: Apache-2.0
"""Changes of alarms are told on the bus, and nobody waits for that."""

import threading
from unittest import mock

from doctor_alarm.agent import endpoint
from doctor_alarm import exception
from doctor_alarm.messaging import announcer
from doctor_alarm.messaging import publish
from doctor_alarm.messaging import transport as transports
from doctor_alarm import metrics
from doctor_alarm.tests.unit.api import base


class Bus:
    """Takes what is published, once it is ``open``."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.sent = []
        self.broken = False

    def publisher(self, transport, topic, publisher_id, priority, exchange):
        def publish(event_type, payload):
            self.open.wait(60)
            if self.broken:
                raise exception.PublishFailed(topic=topic, reason='away')
            self.sent.append((exchange, topic, priority, {
                'event_type': event_type, 'payload': payload,
                'publisher_id': publisher_id, 'message_id': 'm'}))

        return mock.Mock(publish=publish)

    @property
    def messages(self):
        return [message for _x, _t, _p, message in self.sent]

    @property
    def types(self):
        return [message['event_type'] for message in self.messages]


class AnnouncementTest(base.ApiTestCase):

    def prepare(self):
        self.conf.set_override(
            'topics', ['notifications'], group='announcement')
        self.bus = Bus()
        self.addCleanup(self.bus.open.set)
        for module, name, fake in (
                (publish, 'Publisher', self.bus.publisher),
                (transports, 'get_transport', mock.Mock())):
            patched = mock.patch.object(module, name, fake)
            patched.start()
            self.addCleanup(patched.stop)

    def count(self, outcome):
        return metrics.ANNOUNCEMENTS.labels(outcome)._value.get()

    def live(self):
        """Change an alarm in every way; return its path."""
        path = '/v2/alarms/' + self.create(
            severity='critical', alarm_actions=['http://u:secret@h/'],
        )['alarm_id']
        self.call('put', path, self.alarm(name='renamed'))
        self.call('put', path, self.alarm(name='renamed'))
        self.call('put', path + '/state', 'ok')
        self.call('delete', path)
        return path

    def test_every_change_in_the_form_of_aodh(self):
        path = self.live()

        self.wait_until(lambda: len(self.bus.sent) == 4)
        self.assertEqual(
            ['alarm.creation', 'alarm.rule_change', 'alarm.state_transition',
             'alarm.deletion'], self.bus.types)
        self.assertEqual({('aodh', 'notifications', 'info')}, {
            (exchange, topic, priority)
            for exchange, topic, priority, _message in self.bus.sent})
        history = self.call('get', path + '/history')[::-1]
        for message, record in zip(self.bus.messages, history, strict=True):
            payload = message['payload']
            self.assertEqual(
                {**record, 'detail': payload['detail'],
                 'severity': payload['severity']}, payload)
            self.assertIsInstance(payload['detail'], dict)
        self.assertEqual(
            ['critical', 'low', 'low', 'low'],
            [message['payload']['severity'] for message in self.bus.messages])
        self.assertEqual('renamed', self.bus.messages[1]['payload'][
            'detail']['name'])
        self.assertNotIn('secret', str(self.bus.messages))

    def test_the_agent_drops_them(self):
        self.live()
        self.wait_until(lambda: len(self.bus.sent) == 4)
        transformer = endpoint.Transformer(self.conf)

        for message in self.bus.messages:
            self.assertEqual([], transformer.events(message))

    def test_what_is_not_committed_is_not_told(self):
        path = '/v2/alarms/' + self.create()['alarm_id']
        self.fault(412, 'put', path, self.alarm(), dict(
            base.ALICE, **{'If-Match': '"no"'}))
        self.fault(400, 'put', path + '/state', 'bad')
        self.call('delete', path)

        self.wait_until(lambda: 'alarm.deletion' in self.bus.types)
        self.assertEqual(['alarm.creation', 'alarm.deletion'],
                         self.bus.types)

    def test_nobody_waits_for_the_bus(self):
        """Given a broker that hangs and a backlog that is full."""
        self.bus.open.clear()
        dropped = self.count('dropped')
        with mock.patch.object(announcer, 'BACKLOG', 3):
            told = announcer.Announcer(self.conf, 'doctor_alarm.api')
            for n in range(10):
                told.submit('alarm.creation', {'n': n})

        # One may be in the hands of the thread.
        self.assertIn(self.count('dropped') - dropped, (6, 7))
        self.create()
        self.assertEqual([], self.bus.sent)
        self.bus.open.set()
        self.wait_until(lambda: len(self.bus.sent) >= 4)

    def test_a_failure_stops_nothing(self):
        failed = self.count('failed')
        self.bus.broken = True
        self.create()
        self.wait_until(lambda: self.count('failed') == failed + 1)

        self.bus.broken = False
        self.create()

        self.wait_until(lambda: len(self.bus.sent) == 1)


class NobodyTest(base.ApiTestCase):

    def prepare(self):
        patched = mock.patch.object(announcer, 'Announcer')
        self.made = patched.start()
        self.addCleanup(patched.stop)

    def test_without_a_topic_nobody_is_told(self):
        self.create()

        self.made.assert_not_called()
