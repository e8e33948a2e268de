# SPDX-License-Identifier: Apache-2.0
"""What the packaged definitions make of real notifications."""

from doctor_alarm.agent import endpoint
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications

SERVER = '0e42a57d-bbbd-46da-b07b-93b35905cf69'
PROJECT = '9c780b72b12e44738e06c6e7b7dab8fb'
USER = 'd7d08c78c3464160ad7ce3a1eace784e'

# Names that only one form has, or that name the publisher.
ONLY_UNVERSIONED = {'disk_gb', 'instance_type_id', 'service'}
ONLY_VERSIONED = {'power_state', 'service'}


class TestCaptured(base.TestCase):

    def event(self, name, nova_format='both'):
        transformer = endpoint.Transformer(
            configuration.prepare(agent__nova_format=nova_format))
        events = transformer.events(*notifications.load(name))
        return events[0] if events else None

    def test_every_notification_becomes_one_event(self):
        for name in notifications.names():
            message, _ctxt = notifications.load(name)
            event = self.event(name)
            self.assertEqual(message['message_id'], event.message_id)
            self.assertEqual(message['event_type'], event.event_type)
            self.assertTrue(event.resource_id)
            self.assertIn('host', event.traits)
            self.assertIsNone(event.raw)

    def test_both_forms_of_a_change_have_the_same_traits(self):
        for names in notifications.PAIRS:
            left, right = (self.event(name) for name in names)
            self.assertEqual(left.project_id, right.project_id)
            self.assertEqual(self.common(left, ONLY_UNVERSIONED),
                             self.common(right, ONLY_VERSIONED))

    def common(self, event, others):
        # The versioned form has no fractions of seconds.
        return {name: value.replace(microsecond=0)
                if hasattr(value, 'microsecond') else value
                for name, value in event.traits.items() if name not in others}

    def test_a_server_in_error(self):
        for name in ('captured-error-01-u-compute.instance.update',
                     'captured-error-02-v-instance.update'):
            event = self.event(name)
            self.assertEqual(PROJECT, event.project_id)
            self.assertEqual(SERVER, event.resource_id)
            self.assertLessEqual({
                'resource_id': SERVER, 'instance_id': SERVER,
                'state': 'error', 'old_state': 'active',
                # that of the server: the API on "controller" told it
                'host': 'fakehost1', 'display_name': 'a',
                'project_id': PROJECT, 'tenant_id': PROJECT, 'user_id': USER,
                'memory_mb': 64, 'vcpus': 1, 'instance_type': 'fake1',
            }.items(), event.traits.items())
            self.assertNotIn('task_state', event.traits)

    def test_a_server_being_deleted(self):
        for name in ('captured-delete-03-u-compute.instance.delete.start',
                     'captured-delete-04-v-instance.delete.start'):
            event = self.event(name)
            self.assertEqual('active', event.traits['state'])
            self.assertEqual('deleting', event.traits['task_state'])

    def test_a_host_forced_down(self):
        event = self.event(notifications.FORCE_DOWN, 'unversioned')
        self.assertEqual('service.update', event.event_type)
        # nobody's: the requester is not the owner
        self.assertIsNone(event.project_id)
        self.assertNotIn('project_id', event.traits)
        self.assertLessEqual({
            'host': 'fakehost1', 'forced_down': 'True', 'disabled': 'False',
            'binary': 'nova-compute',
            'service_id': 'ba21434a-fb7a-489d-bad6-10e49b427a95',
        }.items(), event.traits.items())
        self.assertNotIn('disabled_reason', event.traits)
        self.assertIn('fakehost1', event.identities)

    def test_libvirt_is_lost(self):
        event = self.event('documented-libvirt-connect-error')
        self.assertEqual('compute', event.resource_id)
        self.assertLessEqual({
            'host': 'compute', 'ip': '10.0.2.15', 'exception': 'libvirtError',
        }.items(), event.traits.items())

    def test_one_change_is_one_event_by_default(self):
        transformer = endpoint.Transformer(configuration.prepare())
        types = []
        for name in notifications.names():
            if name.startswith('captured'):
                types += [event.event_type for event in transformer.events(
                    *notifications.load(name))]
        self.assertEqual(len(notifications.PAIRS) + 1, len(types))
        self.assertEqual(
            ['service.update'],
            [name for name in types if not name.startswith('compute.')])

    def test_no_context_and_no_envelope_is_left(self):
        for name in notifications.names():
            text = repr(self.event(name).to_wire())
            self.assertNotIn('nova_object', text)
            self.assertNotIn('catalog', text)


class TestDefinitions(base.TestCase):
    """Notifications that were not captured, in the form of their service."""

    def event(self, event_type, payload, **kwargs):
        transformer = endpoint.Transformer(
            configuration.prepare(agent__nova_format='both'))
        return transformer.events(notifications.message(
            event_type, payload, **kwargs),
            {'project_id': 'requester', 'tenant': 'requester'})[0]

    def test_compute_task_versioned(self):
        event = self.event('compute_task.rebuild_server.error', (
            notifications.envelope({
                'instance_uuid': 's1', 'state': 'error',
                'request_spec': notifications.envelope(
                    {'project_id': 'owner', 'user_id': 'u1'},
                    'RequestSpecPayload', '1.1'),
                'reason': notifications.envelope(
                    {'exception_message': 'No valid host'},
                    'ExceptionPayload', '1.1')},
                'ComputeTaskPayload', '1.0')), publisher_id='compute_task:c')
        self.assertEqual('owner', event.project_id)
        self.assertLessEqual(
            {'instance_id': 's1', 'resource_id': 's1', 'state': 'error',
             'reason': 'No valid host', 'user_id': 'u1'}.items(),
            event.traits.items())

    def test_compute_task_unversioned(self):
        event = self.event('compute_task.rebuild_server', {
            'request_spec': {'instance_properties': {
                'project_id': 'owner', 'uuid': 's1'}},
            'instance_properties': {'project_id': 'owner'},
            'instance_id': 's1', 'state': 'error', 'method': 'rebuild_server',
            'reason': 'No valid host'})
        self.assertEqual('owner', event.project_id)
        self.assertLessEqual(
            {'instance_id': 's1', 'state': 'error',
             'reason': 'No valid host'}.items(), event.traits.items())

    def test_a_disabled_service(self):
        event = self.event('service.update', notifications.envelope(
            {'host': 'h1', 'binary': 'nova-compute', 'uuid': 'c1',
             'disabled': True, 'forced_down': False,
             'disabled_reason': 'AUTO: Connection to libvirt lost: 1'},
            'ServiceStatusPayload', '1.1'))
        self.assertLessEqual(
            {'disabled': 'True', 'forced_down': 'False', 'host': 'h1',
             'disabled_reason': 'AUTO: Connection to libvirt lost: 1',
             }.items(), event.traits.items())

    def test_libvirt_unversioned(self):
        event = self.event('compute.libvirt.error', {
            'ip': '10.0.0.1', 'reason': 'Cannot recv data', 'method': 'x'},
            publisher_id='compute.node.example')
        self.assertEqual('node.example', event.traits['host'])

    def test_ports(self):
        port = {'id': 'p1', 'project_id': 'owner', 'status': 'DOWN',
                'data_plane_status': 'DOWN', 'device_id': 's1',
                'admin_state_up': True, 'binding:host_id': 'h1'}
        event = self.event('port.update.end', {'port': port})
        self.assertEqual('owner', event.project_id)
        self.assertEqual('p1', event.resource_id)
        self.assertLessEqual(
            {'port_id': 'p1', 'host': 'h1', 'data_plane_status': 'DOWN',
             'admin_state_up': 'True'}.items(), event.traits.items())
        event = self.event('port.delete.end', {'port_id': 'p1', 'port': port})
        self.assertEqual('p1', event.resource_id)
        event = self.event('port.update.start', {
            'id': 'p1', 'port': {'name': 'new'}})
        self.assertEqual('p1', event.resource_id)
        self.assertIsNone(event.project_id)

    def test_volumes(self):
        event = self.event('volume.update.end', {
            'volume_id': 'v1', 'tenant_id': 'owner', 'status': 'error',
            'host': 'c1@lvm#pool', 'size': 7,
            'volume_attachment': [{'server_id': 's1'}]})
        self.assertEqual('owner', event.project_id)
        self.assertEqual({'v1', 's1', 'c1@lvm#pool'}, set(event.identities))
