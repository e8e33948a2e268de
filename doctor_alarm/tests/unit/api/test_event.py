# SPDX-License-Identifier: Apache-2.0

import datetime

from doctor_alarm.tests.unit.api import base


class EventTest(base.ApiTestCase):

    def post(self, details=None, who=base.ALICE, status=None, **values):
        """Post one event; return it as it was accepted."""
        event = {'time': '2026-11-20T10:00:00', 'type': 'host.down',
                 **values}
        if details is not None:
            event['details'] = details
        self.call('post', '/v1/events', {'event': event}, who, status)
        return self.events.accepted[-1]

    def test_one(self):
        event = self.post({'hostname': 'compute-1', 'severity': 'critical',
                           'count': 3, 'load': 1.5, 'fatal': True,
                           'cause': None, 'related_to': ['vm1', 'vm2']})

        self.assertEqual(202, self.answer.status_int)
        self.assertEqual([event.message_id],
                         self.answer.json['message_ids'])
        self.assertEqual('host.down', event.event_type)
        self.assertEqual(
            datetime.datetime(2026, 11, 20, 10, tzinfo=datetime.UTC),
            event.generated)
        self.assertEqual({
            'hostname': 'compute-1', 'host': 'compute-1',
            'severity': 'critical', 'count': 3, 'load': 1.5, 'fatal': 'True',
            'related_to': '["vm1", "vm2"]', 'project_id': 'p1'},
            dict(event.traits))
        self.assertEqual('p1', event.project_id)
        self.assertIn('compute-1', event.identities)

    def test_only_time_and_type_are_mandatory(self):
        self.assertEqual({'project_id': 'p1'}, dict(self.post().traits))

    def test_identity_is_text(self):
        event = self.post({'resource_id': 7, 'instance_id': 'vm1'})

        self.assertEqual('7', event.resource_id)
        self.assertEqual({'7', 'vm1'}, event.identities)

    def test_times(self):
        for text in ('2026-11-20T10:00:00.0', '2026-11-20T10:00:00Z',
                     '2026-11-20 10:00:00', '2026-11-20T12:00:00+02:00'):
            self.assertEqual(
                datetime.datetime(2026, 11, 20, 10, tzinfo=datetime.UTC),
                self.post(time=text).generated)

    def test_the_future_is_clamped(self):
        event = self.post(time='2099-01-01T00:00:00')

        self.assertLess(event.generated.year, 2099)
        self.assertEqual('2099-01-01T00:00:00',
                         event.traits['generated_original'])

    def test_the_clock_of_the_source_is_its_own(self):
        self.assertEqual('zabbix', self.post(
            {'source': 'zabbix'}).publisher_id)
        self.assertEqual('api', self.post().publisher_id)

    def test_owner(self):
        for who in (base.ADMIN, base.MONITOR):
            for name in ('project_id', 'tenant_id'):
                self.assertEqual(
                    'p2', self.post({name: 'p2'}, who).project_id)
            self.assertIsNone(self.post({'project_id': ''}, who).project_id)
            self.assertIsNone(self.post({'tenant_id': None}, who).project_id)
            self.assertEqual(who['X-Project-Id'],
                             self.post({}, who).project_id)
        self.assertEqual('p1', self.post({'project_id': 'p1'}).project_id)

    def test_what_a_tenant_says_concerns_the_tenant(self):
        for who in (base.ADMIN, base.MONITOR):
            self.assertTrue(self.post({'hostname': 'h1'}, who).trusted)
        for details in (None, {'project_id': 'p1'}, {'trusted': True}):
            self.assertFalse(self.post(details).trusted)

    def test_nobody_else_names_another_owner(self):
        for details in ({'project_id': 'p2'}, {'tenant_id': 'p2'},
                        {'project_id': ''}):
            event = {'time': '2026-11-20', 'type': 'a', 'details': details}
            self.fault(403, 'post', '/v1/events', {'event': event})
        self.assertEqual([], self.events.accepted)

    def test_roles(self):
        event = {'event': {'time': '2026-11-20', 'type': 'a'}}
        for who in (base.READER, base.NO_ROLE):
            self.assertEqual('RBAC Authorization Failed', self.fault(
                403, 'post', '/v1/events', event, who))
        for who in (base.ALICE, base.ADMIN, base.MONITOR, {}):
            self.call('post', '/v1/events', event, who)
        self.assertEqual(4, len(self.events.accepted))

    def test_bulk(self):
        self.call('post', '/v1/events', {'events': [
            {'event': {'time': '2026-11-20', 'type': 'a'}},
            {'event': {'time': '2026-11-20', 'type': 'b'}}]})

        self.assertEqual(['a', 'b'],
                         [e.event_type for e in self.events.accepted])
        self.assertEqual([e.message_id for e in self.events.accepted],
                         self.answer.json['message_ids'])

    def test_a_bulk_is_refused_whole_with_every_error(self):
        good = {'event': {'time': '2026-11-20', 'type': 'a'}}

        sentence = self.fault(400, 'post', '/v1/events', {'events': [
            good, {'event': {'type': 'a'}},
            {'event': {'time': 'today', 'type': 7}},
            good, {'event': {'time': 'today', 'type': 'a', 'details': {
                'project_id': 'a', 'tenant_id': 'b'}}}, 7]})

        for words in ('events[1].event.time', 'events[2].event.type',
                      'events[4].event.time',
                      'events[4].event.details.tenant_id', 'events[5]'):
            self.assertIn(words, sentence)
        self.assertNotIn('events[0]', sentence)
        self.assertEqual([], self.events.accepted)

    def test_what_is_wrong_has_a_sentence(self):
        good = {'time': '2026-11-20', 'type': 'a'}
        for doc, words in [
                ({}, 'event'), ([], 'empty'), ({'events': []}, 'empty'),
                ({'events': {}}, 'a list'), ({'event': good, 'x': 1}, 'x'),
                ({'event': dict(good, x=1)}, 'event.x'),
                ({'event': dict(good, type='')}, 'event.type'),
                ({'event': dict(good, type='a' * 256)}, '255'),
                ({'event': dict(good, time='0001-01-01T00:00:00+14:00')},
                 'event.time'),
                ({'event': dict(good, details=[])}, 'event.details'),
                ({'event': dict(good, details={'': 1})}, 'event.details'),
                ({'event': dict(good, details={'hostname': 1})},
                 'event.details.hostname')]:
            self.assertIn(words, self.fault(400, 'post', '/v1/events', doc))
        self.assertEqual([], self.events.accepted)

    def test_a_broker_that_is_away(self):
        self.events.broken = True

        self.assertIn('publish', self.fault(503, 'post', '/v1/events', {
            'event': {'time': '2026-11-20', 'type': 'a'}}))
        self.assertEqual('5', self.answer.headers['Retry-After'])
