# SPDX-License-Identifier: Apache-2.0
"""Where the actions of an alarm may lead."""

from doctor_alarm.tests.unit.api import base


class ReceiversTest(base.ApiTestCase):

    addresses = {'inside': {'192.0.2.7', '169.254.169.254'},
                 'outside': {'192.0.2.7'}, 'later': set()}

    def prepare(self):
        self.conf.set_override('allowed_networks', [], group='notifier')

    def test_blocked_ones_are_refused(self):
        for url in ('http://169.254.169.254/latest/meta-data',
                    'https://127.0.0.1:8042/', 'http://[::1]/',
                    'http://[::ffff:127.0.0.1]/', 'http://inside/'):
            for name in ('ok_actions', 'alarm_actions',
                         'insufficient_data_actions'):
                self.assertEqual(
                    'The address of action %s is not allowed' % url,
                    self.fault(400, 'post', '/v2/alarms', self.alarm(
                        **{name: ['http://outside/', url]})))

    def test_the_refusal_shows_no_credentials(self):
        self.assertEqual(
            'The address of action http://***@inside/?token=*** is not '
            'allowed', self.fault(400, 'post', '/v2/alarms', self.alarm(
                alarm_actions=['http://u:p@inside/?token=hush'])))

    def test_names_that_are_not_known_yet(self):
        created = self.create(alarm_actions=['http://later/'])

        self.assertEqual(['http://later/'], created['alarm_actions'])

    def test_actions_that_call_nobody(self):
        self.call('post', '/v2/alarms', self.alarm(
            alarm_actions=['log://']), base.ADMIN, 201)

    def test_an_alarm_with_one_that_was_blocked_later_can_be_changed(self):
        self.addresses = {**self.addresses, 'moved': {'192.0.2.8'}}
        created = self.create(alarm_actions=['http://moved/'])
        self.addresses['moved'] = {'127.0.0.1'}
        path = '/v2/alarms/' + created['alarm_id']

        changed = self.call('put', path, dict(created, name='new'))

        self.assertEqual('new', changed['name'])
        self.fault(400, 'put', path, dict(
            created, ok_actions=['http://inside/']))
