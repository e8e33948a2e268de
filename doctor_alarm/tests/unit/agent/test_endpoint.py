# SPDX-License-Identifier: Apache-2.0

import datetime
import json
import pathlib

import fixtures
import hypothesis
from hypothesis import strategies as st
import prometheus_client

from doctor_alarm.agent import endpoint
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications
from doctor_alarm.tests.unit.agent import test_normalise

NOW = datetime.datetime(2026, 11, 20, 9, 14, 41, tzinfo=datetime.timezone.utc)


def dropped(reason):
    return prometheus_client.REGISTRY.get_sample_value(
        'doctor_alarm_notifications_dropped_total', {'reason': reason}) or 0


class TestTransformer(base.TestCase):

    def transformer(self, **overrides):
        return endpoint.Transformer(configuration.prepare(**overrides))

    def test_a_notification_without_a_definition(self):
        event, = self.transformer().events(
            notifications.message('never.heard.of', {
                'tenant_id': 'owner', 'user_id': 'u1', 'other': 1}),
            {'request_id': 'req-1', 'project_id': 'requester'}, NOW)
        self.assertEqual('never.heard.of', event.event_type)
        self.assertEqual('owner', event.project_id)
        self.assertEqual('thing.host1', event.publisher_id)
        self.assertEqual(
            {'service': 'thing.host1', 'request_id': 'req-1', 'user_id': 'u1',
             'project_id': 'owner', 'tenant_id': 'owner'}, event.traits)
        self.assertEqual(
            datetime.datetime(2026, 11, 20, 9, 14, 40, 63703,
                              tzinfo=datetime.timezone.utc), event.generated)
        self.assertGreater(event.transformed_at, 0)

    def test_nobody_owns_what_tells_no_owner(self):
        event, = self.transformer().events(
            notifications.message(),
            {'project_id': 'requester', 'tenant': 'requester'}, NOW)
        self.assertIsNone(event.project_id)

    def test_the_owner_where_the_definition_asks_the_context(self):
        # given what Ceilometer's definitions say of neutron
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'd'
        path.write_text('- event_type: "port.*"\n'
                        '  traits: {project_id: {fields: ctxt.tenant_id}}\n')
        transformer = self.transformer(event__definitions_cfg_file=str(path))
        # when an administrator changes a port of another project
        event, = transformer.events(
            notifications.message('port.update.end', {
                'port': {'id': 'p1', 'project_id': 'owner'}}),
            {'tenant_id': 'admin', 'project_id': 'admin'}, NOW)
        # then it is the owner's
        self.assertEqual('owner', event.project_id)

    def test_own_notifications_are_dropped(self):
        before = dropped('own')
        for publisher_id in ('doctor_alarm.agent', 'doctor_alarm',
                             'doctor_alarm.evaluator'):
            self.assertEqual([], self.transformer().events(
                # Even where it is no form that others send.
                notifications.message(publisher_id=publisher_id,
                                      payload=[{}])))
        self.assertEqual(before + 3, dropped('own'))

    def test_a_time_in_the_future_is_clamped(self):
        event, = self.transformer().events(
            notifications.message(timestamp='2099-01-01T00:00:00'),
            received=NOW)
        self.assertEqual(NOW, event.generated)
        self.assertEqual('2099-01-01T00:00:00',
                         event.traits['generated_original'])

    def test_raw(self):
        transformer = self.transformer(event__store_raw=['ERROR'])
        payload = {'admin_pass': 'pw', 'a': 1}
        event, = transformer.events(
            notifications.message(payload=payload), {'user_id': 'u'}, NOW)
        self.assertIsNone(event.raw)
        event, = transformer.events(
            notifications.message(payload=payload, priority='ERROR'),
            {'user_id': 'u'}, NOW)
        self.assertEqual({'admin_pass': '***', 'a': 1}, event.raw['payload'])
        self.assertNotIn('ctxt', event.raw)
        json.dumps(event.to_wire())

    def test_unmatched_notifications_may_be_dropped(self):
        transformer = self.transformer(
            event__drop_unmatched_notifications=True)
        self.assertEqual([], transformer.events(notifications.message()))
        self.assertEqual(1, len(transformer.events(
            *notifications.load(notifications.FORCE_DOWN))))

    def test_unknown_objects_are_counted(self):
        def count(name):
            return prometheus_client.REGISTRY.get_sample_value(
                'doctor_alarm_unknown_objects_total', {'object': name}) or 0
        before = count('ServiceStatusPayload'), count('other')
        for name in ('ServiceStatusPayload', 'Made-Up-7-Payload'):
            self.transformer().events(notifications.message(
                'service.update',
                notifications.envelope({'host': 'h'}, name, '9.0')))
        self.assertEqual(
            (before[0] + 1, before[1] + 1),
            (count('ServiceStatusPayload'), count('other')))

    def test_malformed(self):
        for field, value, reason in (
                ('message_id', None, 'message_id'),
                ('message_id', 7, 'message_id'),
                ('event_type', None, 'event_type'),
                ('event_type', ['a'], 'event_type'),
                ('event_type', 'x' * 256, 'event_type'),
                ('timestamp', None, 'generated'),
                ('timestamp', 'yesterday', 'generated'),
                ('timestamp', 7, 'generated')):
            error = self.assertRaises(
                exception.InvalidEvent, self.transformer().events,
                notifications.message(**{field: value}))
            self.assertIn(reason, str(error))

    @fuzzing.settings
    @hypothesis.given(st.fixed_dictionaries({}, optional={
        'message_id': st.just('id') | test_normalise.JSON,
        'event_type': st.sampled_from([
            'instance.update', 'service.update', 'port.x', 'volume.usage',
            'build', 'compute_task.x', 'libvirt.x']) | test_normalise.JSON,
        'publisher_id': st.just('compute.h') | test_normalise.JSON,
        'priority': test_normalise.JSON,
        'timestamp': st.just('2026-11-20 09:14:40') | test_normalise.JSON,
        'payload': test_normalise.JSON | st.dictionaries(
            st.sampled_from([
                'uuid', 'instance_id', 'host', 'state', 'tenant_id', 'port',
                'nova_object.data', 'nova_object.name', 'nova_object.version',
                'flavor', 'request_spec', 'reason', 'volume_attachment']),
            test_normalise.JSON, max_size=6)}))
    def test_anything_becomes_an_event_or_is_malformed(self, message):
        try:
            events = self._any.events(message, {})
        except exception.InvalidEvent:
            return
        for event in events:
            json.dumps(event.to_wire()).encode('utf-8')

    def setUp(self):
        super().setUp()
        self._any = self.transformer()
