# SPDX-License-Identifier: Apache-2.0

import datetime

from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.inspector import changes
from doctor_alarm.inspector import resource_map
from doctor_alarm.inspector import sighting
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.agent import notifications

SERVER = '0e42a57d-bbbd-46da-b07b-93b35905cf69'
PROJECT = '9c780b72b12e44738e06c6e7b7dab8fb'
SAMPLE = '178b0921-8f85-4257-88b6-2e743b5a975c'
SAMPLE_PORT = 'ce531f90-199f-48c0-816c-13e38010b442'
NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.timezone.utc)
PROPERTY = 'doctor_alarm:monitored'


def read(message, received=NOW):
    return changes.Reader(PROPERTY).read(message, received)


class NovaTest(base.TestCase):

    def test_both_forms_tell_the_same(self):
        for names in notifications.PAIRS:
            left, right = (
                read(notifications.load(name)[0])[0] for name in names)
            self.assertEqual(left.server, right.server, names)
            self.assertEqual(left.deleted, right.deleted, names)
            self.assertEqual(SERVER, left.server.id)
            self.assertEqual(PROJECT, left.server.project_id)

    def test_a_server_in_error(self):
        told, = read(notifications.load(notifications.PAIRS[0][0])[0])

        # that of the server, not of the API that tells it
        self.assertEqual('fakehost1', told.server.host)
        self.assertEqual('error', told.server.state)
        self.assertEqual('a', told.server.name)
        self.assertEqual((True, None, True), told.monitored)

    def test_the_end_of_a_server(self):
        for names in notifications.PAIRS[2:]:
            for name in names:
                found = resource_map.ResourceMap()
                for change in read(notifications.load(name)[0]):
                    found.apply(change)
                gone = 'delete.end' in name or 'delete-09' in name or (
                    'delete-10' in name)
                self.assertEqual(
                    gone, found.server(SERVER) is None, name)

    def test_what_was_captured_in_any_order(self):
        messages = [notifications.load(name)[0]
                    for names in notifications.PAIRS for name in names]
        for order in (messages, messages[::-1], messages[5:] + messages):
            found = resource_map.ResourceMap()
            for message in order:
                for change in read(message):
                    found.apply(change)
            self.assertIsNone(found.server(SERVER))
            self.assertEqual(0, len(found))

    def test_the_destination_of_a_live_migration(self):
        message, _ = notifications.load(
            'documented-instance-live_migration_post_dest-end')
        found = resource_map.ResourceMap()
        for change in read(message):
            found.apply(change)
        # later, the source says that it is done
        for event_type in ('instance.live_migration_post.end',
                           'compute.instance.live_migration._post.end'):
            self.assertEqual([], read({**message, 'event_type': event_type}))

        self.assertEqual('host2', found.server(SAMPLE).host)
        self.assertEqual((SAMPLE_PORT,), found.server(SAMPLE).ports)
        self.assertEqual(SAMPLE, found.server_of_port(SAMPLE_PORT).id)

    def test_a_detached_port(self):
        message, _ = notifications.load(
            'documented-instance-live_migration_post_dest-end')
        message['event_type'] = 'instance.interface_detach.end'
        self.assertEqual(
            sighting.PortsOf(SAMPLE, (SAMPLE_PORT,), event.to_us(
                event.parse_time(message['timestamp'], ''))),
            read(message)[1])

    def test_a_server_without_a_host(self):
        told, = read(self.update(host=None))
        self.assertEqual('', told.server.host)

    def update(self, **changed):
        return notifications.message('compute.instance.update', {
            'instance_id': 's', 'tenant_id': 'p', 'display_name': 'n',
            'host': 'h', 'state': 'active', **changed})

    def test_not_monitored(self):
        for value in ('false', 'False', ' no ', '0', 'off', False, 0):
            for changed, expected in (
                    ({'metadata': {PROPERTY: value}}, (False, None, None)),
                    ({'image_meta': {PROPERTY: value}}, (None, None, False)),
                    ({'flavor': {'extra_specs': {PROPERTY: value}}},
                     (None, False, None))):
                told, = read(self.update(**changed))
                self.assertEqual(expected, told.monitored)
        for value in ('true', 'yes', '', None, 'whatever'):
            told, = read(self.update(metadata={PROPERTY: value}))
            self.assertEqual((True, None, None), told.monitored)
        told, = changes.Reader('').read(
            self.update(metadata={'': 'false', PROPERTY: 'false'}), NOW)
        self.assertEqual((True, None, None), told.monitored)

    def test_a_clock_that_is_ahead(self):
        ahead = self.update()
        ahead['timestamp'] = '2099-01-01 00:00:00'
        self.assertEqual(event.to_us(NOW), read(ahead)[0].stamp)

    def test_what_tells_nothing_of_servers(self):
        for event_type in ('service.update', 'compute_task.rebuild_server',
                           'port.update.start', 'scheduler.run', 'x', None):
            self.assertEqual([], read(notifications.message(
                event_type, {'instance_id': 's', 'tenant_id': 'p',
                             'host': 'h', 'port': {'id': 'p'}})))
        for missing in ('instance_id', 'tenant_id', 'host'):
            message = self.update()
            del message['payload'][missing]
            self.assertEqual([], read(message))

    def test_malformed(self):
        for changed in ({'payload': None}, {'payload': [1]},
                        {'timestamp': 'yesterday'}, {'timestamp': None}):
            self.assertRaises(exception.InvalidEvent, read,
                              {**self.update(), **changed})

    @fuzzing.settings
    @given(st.sampled_from((
        'compute.instance.update', 'instance.interface_detach.end',
        'port.update.end', 'port.delete.end', 'instance.delete.end')),
        fuzzing.docs(st.sampled_from((
            'instance_id', 'uuid', 'tenant_id', 'host', 'state', 'metadata',
            'state_update', 'nova_object.data', 'flavor', 'extra_specs',
            'ip_addresses', 'port_uuid', 'port', 'ports', 'id', 'port_id',
            'device_owner', 'device_id', 'display_name'))))
    def test_any_payload(self, event_type, payload):
        found = resource_map.ResourceMap()
        try:
            for change in read(notifications.message(event_type, payload)):
                found.apply(change)
        except exception.InvalidEvent:
            self.assertNotIsInstance(payload, dict)


class NeutronTest(base.TestCase):

    def told(self, event_type, **payload):
        return [(each.id, each.owner, each.deleted) for each in read(
            notifications.message(event_type, payload))]

    def port(self, **changed):
        return {'id': 'p', 'device_id': 's', 'device_owner': 'compute:nova',
                **changed}

    def test_ports(self):
        for event_type in ('port.create.end', 'port.update.end'):
            self.assertEqual([('p', 's', False)], self.told(
                event_type, port=self.port()))
            self.assertEqual([('p', '', False)], self.told(
                event_type, port=self.port(device_id='', device_owner='')))
            self.assertEqual([('p', '', False)], self.told(
                event_type, port=self.port(device_owner='network:dhcp')))
        self.assertEqual(
            [('p', 's', False), ('q', 's', False)],
            self.told('port.create.end', ports=[
                self.port(), self.port(id='q')]))

    def test_a_deleted_port(self):
        for payload in ({'port_id': 'p'}, {'port': {'id': 'p'}},
                        {'port_id': 'p', 'port': self.port()}):
            self.assertEqual([('p', '', True)], self.told(
                'port.delete.end', **payload))
