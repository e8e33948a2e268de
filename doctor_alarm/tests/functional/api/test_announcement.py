# SPDX-License-Identifier: Apache-2.0
"""Changes of alarms arrive on a real bus, as Aodh's do."""

import oslo_messaging

from doctor_alarm import messaging
from doctor_alarm.objects import announcement
from doctor_alarm.tests.functional import test_messaging

CHANGE = {'event_id': 'e1', 'alarm_id': 'a1', 'type': 'state transition',
          'detail': '{"state": "ok"}', 'user_id': 'u', 'project_id': 'p',
          'on_behalf_of': 'p', 'timestamp': 1_000_000}


class AnnouncementTest(test_messaging.BusTests):

    def test_whoever_listens_to_aodh_hears_it(self):
        """Given a listener of Ceilometer's kind on two topics."""
        self.conf.set_override(
            'topics', ['notifications', 'other'], group='announcement')
        transport = self.ended(messaging.get_transport(self.conf))
        server = messaging.BatchServer(
            transport, [oslo_messaging.Target(topic=topic, exchange='aodh')
                        for topic in ('notifications', 'other')],
            self.got.put, priorities=['info'])
        server.start()
        self.addCleanup(self.end, server)

        announcement.teller(self.conf, 'doctor_alarm.api')(CHANGE, 'low')

        for _ in range(2):
            message = self.got.get(timeout=60).message
            self.assertEqual(
                ('alarm.state_transition', 'INFO', 'doctor_alarm.api'),
                (message['event_type'], message['priority'],
                 message['publisher_id']))
            self.assertEqual({
                'event_id': 'e1', 'alarm_id': 'a1',
                'type': 'state transition', 'detail': {'state': 'ok'},
                'user_id': 'u', 'project_id': 'p', 'on_behalf_of': 'p',
                'severity': 'low', 'timestamp': '1970-01-01T00:00:01'},
                message['payload'])
