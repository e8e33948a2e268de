# SPDX-License-Identifier: Apache-2.0
"""What the packaged definitions make of real notifications."""

import json

from doctor_alarm.agent import endpoint
from doctor_alarm import event as event_mod
from doctor_alarm import fault
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
            'binary': 'nova-compute', 'hostname': 'fakehost1',
            'status': 'down',
            'service_id': 'ba21434a-fb7a-489d-bad6-10e49b427a95',
        }.items(), event.traits.items())
        self.assertNotIn('disabled_reason', event.traits)
        self.assertIn('fakehost1', event.identities)

    def test_what_the_inspector_asked_for(self):
        cause = event_mod.derived_id('x')
        for request, found in (
                (fault.request_id(cause), cause), (None, None),
                # those of OpenStack are random
                ('req-7d2cf7f5-3b1e-4b70-9a0c-6a1f0e3a5c11', None),
                ('req-' + cause + ' ', None)):
            for name in (notifications.FORCE_DOWN,
                         'captured-error-01-u-compute.instance.update',
                         'captured-error-02-v-instance.update'):
                message, ctxt = notifications.load(name)
                self.assertIn('global_request_id', ctxt)
                event, = endpoint.Transformer(configuration.prepare(
                    agent__nova_format='both')).events(
                        message, {**ctxt, 'global_request_id': request})
                self.assertEqual(found, event.traits.get(fault.ECHO_OF))

    def test_libvirt_is_lost(self):
        event = self.event('documented-libvirt-connect-error')
        self.assertEqual('compute', event.resource_id)
        self.assertLessEqual({
            'host': 'compute', 'ip': '10.0.2.15', 'exception': 'libvirtError',
            'hostname': 'compute', 'status': 'down',
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


class Defined:
    """Notifications that were not captured, in the form of their service."""

    def event(self, event_type, payload, **kwargs):
        transformer = endpoint.Transformer(
            configuration.prepare(agent__nova_format='both'))
        return transformer.events(notifications.message(
            event_type, payload, **kwargs),
            {'project_id': 'requester', 'tenant': 'requester'})[0]


class TestDefinitions(Defined, base.TestCase):

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

    def service(self, event_type='service.update', **values):
        return self.event(event_type, notifications.envelope(
            {'host': 'h1', 'binary': 'nova-compute', 'uuid': 'c1',
             'disabled': False, 'forced_down': False,
             'disabled_reason': None, **values},
            'ServiceStatusPayload', '1.1'))

    def test_whether_a_host_is_down(self):
        for status, values in [
                ('up', {}), ('down', {'forced_down': True}),
                ('down', {'disabled': True, 'disabled_reason':
                          'AUTO: Connection to libvirt lost: 1'}),
                ('up', {'disabled': True, 'disabled_reason': 'maintenance'}),
                ('up', {'disabled': True})]:
            self.assertEqual(
                ('h1', status), tuple(self.service(**values).traits[name]
                                      for name in ('hostname', 'status')))
        self.assertNotIn('status', self.service('service.delete').traits)

    def test_a_call_that_failed(self):
        event = self.event('compute.exception', notifications.envelope(
            {'module_name': 'nova.tests', 'function_name': 'attach',
             'exception': 'Boom', 'exception_message': 'no'},
            'ExceptionPayload', '1.1'), publisher_id='nova-compute:h1')
        self.assertLessEqual({
            'host': 'h1', 'hostname': 'h1', 'exception': 'Boom',
            'reason': 'no', 'function_name': 'attach'}.items(),
            event.traits.items())
        self.assertNotIn('status', event.traits)

    def test_a_disabled_service(self):
        event = self.service(
            disabled=True,
            disabled_reason='AUTO: Connection to libvirt lost: 1')
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


class TestServices(Defined, base.TestCase):
    """The other services: whose it is, and which resource."""

    def check(self, event_type, payload, resource_id, owner, **traits):
        event = self.event(event_type, payload)
        self.assertEqual((resource_id, owner),
                         (event.resource_id, event.project_id), event_type)
        self.assertLessEqual(traits.items(), event.traits.items(), event_type)
        return event

    def test_as_the_services_send_them(self):
        """Whole ones: what else is in a payload leads nobody astray."""
        paths = sorted((notifications.DATA.parent / 'services').iterdir())
        self.assertEqual(16, len(paths))
        for path in paths:
            case = json.loads(path.read_text())
            message = case['message']
            event = self.event(message['event_type'], message['payload'],
                               publisher_id=message['publisher_id'])
            self.assertEqual(
                (case['resource_id'], case['project_id']),
                (event.resource_id, event.project_id), path.name)
            self.assertLessEqual(case['traits'].items(),
                                 event.traits.items(), path.name)

    def test_neutron(self):
        owner = {'project_id': 'p', 'tenant_id': 'p'}
        for noun in ('network', 'subnet', 'router', 'security_group',
                     'security_group_rule', 'trunk', 'floatingip', 'port'):
            thing = {'id': 'x', 'name': 'n', **owner}
            self.check(noun + '.create.end', {noun: thing}, 'x', 'p')
            self.check(noun + '.delete.end', {noun + '_id': 'x'}, 'x', None)
            self.check(noun + '.update.start', {'id': 'x', noun: {}}, 'x',
                       None)
        event = self.check('subnet.create.end', {'subnet': {
            'id': 'x', 'network_id': 'n1', **owner}}, 'x', 'p',
            subnet_id='x', network_id='n1')
        self.assertIn('n1', event.identities)
        for action in ('create', 'delete'):
            self.check('router.interface.' + action, {'router_interface': {
                'id': 'r', 'port_id': 'q', 'subnet_id': 's', **owner}},
                'r', 'p', router_id='r', port_id='q', subnet_id='s')

    def test_cinder(self):
        self.check('snapshot.create.end', {
            'snapshot_id': 's', 'volume_id': 'v', 'tenant_id': 'p',
            'status': 'error', 'volume_size': 7}, 's', 'p',
            volume_id='v', status='error', size=7)
        self.check('backup.create.end', {
            'backup_id': 'b', 'volume_id': 'v', 'tenant_id': 'p',
            'status': 'error', 'fail_reason': 'full', 'host': 'c1'}, 'b', 'p',
            volume_id='v', status='error', reason='full', host='c1')
        self.check('volume.create.end', {
            'volume_id': 'v', 'tenant_id': 'p', 'glance_metadata': [
                {'key': 'name', 'value': 'n'},
                {'key': 'image_id', 'value': 'i'}]}, 'v', 'p', image_id='i')

    def test_octavia(self):
        self.check('octavia.loadbalancer.update.end', {
            'loadbalancer_id': 'l', 'project_id': 'p', 'name': 'n',
            'vip_address': '192.0.2.1', 'vip_port_id': 'q',
            'admin_state_up': True}, 'l', 'p', loadbalancer_id='l',
            port_id='q', admin_state_up='True')
        # It has no publisher.
        event = self.event('octavia.loadbalancer.delete.end', {
            'loadbalancer_id': 'l', 'project_id': 'p'}, publisher_id=None)
        self.assertEqual(('l', ''), (event.resource_id, event.publisher_id))

    def test_keystone(self):
        cadf = {'resource_info': 'x', 'outcome': 'success', 'initiator': {
            'id': 'u', 'project_id': 'requester'}, 'target': {'id': 'x'}}
        self.check('identity.user.updated', cadf, 'x', None,
                   initiator_id='u', outcome='success')
        self.check('identity.group.deleted', {'resource_info': 'x'}, 'x',
                   None)
        self.check('identity.project.disabled', cadf, 'x', 'x')
        self.check('identity.role_assignment.created', {
            'role': 'r', 'user': 'u', 'project': 'p'}, 'r', 'p',
            assigned_user_id='u')
        self.check('identity.authenticate', {
            'outcome': 'failure', 'initiator': {'id': 'u'},
            'reason': {'reasonType': 'wrong'}}, 'u', None,
            outcome='failure', reason='wrong')
        # What a trust is called is a secret.
        self.check('identity.OS-TRUST:trust.created', cadf, '', None)

    def test_heat(self):
        payload = {'tenant_id': 'p', 'stack_name': 'n',
                   'state': 'CREATE_FAILED', 'state_reason': 'no host',
                   'user_identity': 'u'}
        for identity in ('x', 'arn:openstack:heat::p:stacks/n/x'):
            self.check('orchestration.stack.create.error', {
                **payload, 'stack_identity': identity}, 'x', 'p',
                name='n', state='CREATE_FAILED', reason='no host',
                user_id='u')
        self.check('orchestration.autoscaling.error', {
            **payload, 'stack_identity': 'x', 'adjustment': 1,
            'capacity': 2, 'groupname': 'g', 'message': 'm'}, 'x', 'p',
            adjustment=1, capacity=2, group_name='g')

    def test_glance(self):
        self.check('image.update', {
            'id': 'i', 'owner': 'p', 'status': 'killed', 'size': 7}, 'i',
            'p', image_id='i', status='killed', size=7)
        self.check('image.send', {
            'image_id': 'i', 'owner_id': 'p',
            'receiver_tenant_id': 'requester'}, 'i', 'p')
        self.check('image.member.create', {
            'image_id': 'i', 'member_id': 'other', 'status': 'pending'},
            'i', None, member_id='other')
        self.check('task.failure', {
            'id': 't', 'owner': 'p', 'type': 'import', 'message': 'm'}, 't',
            'p', type='import', reason='m')


class TestMasakari(Defined, base.TestCase):

    def event(self, event_type, payload, **kwargs):
        wrapped = {'masakari_object.name': 'NotificationApiPayload',
                   'masakari_object.namespace': 'masakari',
                   'masakari_object.version': '1.0',
                   'masakari_object.data': payload}
        return super().event(
            event_type, wrapped, publisher_id='masakari-api:api1')

    def noticed(self, kind, **payload):
        return self.event('notification.create.start', {
            'notification_uuid': 'n', 'status': 'new', 'fault': None, 'id': 1,
            'source_host_uuid': 'm1', 'type': kind, 'payload': payload,
            'generated_time': '2026-11-20T09:00:00Z'})

    def test_a_host(self):
        for event_name, status in (('STOPPED', 'down'), ('STARTED', 'up')):
            event = self.noticed(
                'COMPUTE_HOST', event=event_name, host_status='UNKNOWN',
                cluster_status='OFFLINE')
            self.assertIsNone(event.project_id)
            self.assertEqual('m1', event.resource_id)
            self.assertLessEqual({
                'fault_type': 'COMPUTE_HOST', 'fault_event': event_name,
                'status': status, 'masakari_host_id': 'm1',
                'notification_id': 'n', 'notification_status': 'new',
                'host_status': 'UNKNOWN', 'cluster_status': 'OFFLINE',
            }.items(), event.traits.items())
            self.assertEqual(9, event.traits['generated_time'].hour)

    def test_a_server(self):
        event = self.noticed(
            'VM', event='LIFECYCLE', instance_uuid='vm1',
            vir_domain_event='STOPPED_FAILED')
        self.assertEqual('vm1', event.resource_id)
        self.assertLessEqual({
            'instance_id': 'vm1', 'domain_event': 'STOPPED_FAILED',
            'status': 'down'}.items(), event.traits.items())

    def test_a_process(self):
        self.assertLessEqual({
            'process_name': 'nova-compute', 'status': 'down'}.items(),
            self.noticed('PROCESS', event='stopped',
                         process_name='nova-compute').traits.items())

    def test_which_host_it_is(self):
        event = self.event('host.update.end', {
            'uuid': 'm1', 'name': 'compute-1', 'on_maintenance': True,
            'reserved': False, 'failover_segment_id': 's', 'fault': None})
        self.assertLessEqual({
            'masakari_host_id': 'm1', 'hostname': 'compute-1',
            'host': 'compute-1', 'on_maintenance': 'True'}.items(),
            event.traits.items())
        self.assertEqual('s', self.event(
            'segment.delete.end', {'uuid': 's', 'name': 'x'}).resource_id)
