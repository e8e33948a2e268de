# SPDX-License-Identifier: Apache-2.0
"""What the packaged policy makes of what OpenStack tells."""

from doctor_alarm.agent import endpoint
from doctor_alarm import fault
from doctor_alarm.inspector import derive
from doctor_alarm.inspector import failure_policy
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications
from doctor_alarm.tests.unit.inspector import base
from doctor_alarm.tests.unit.inspector import test_derive

INSPECTOR = fault.request_id(fault.id_of_fault('m0'))


class AnyHost(base.Map):
    """All servers are on whatever host is asked for."""

    def servers_of(self, host):
        return base.SERVERS[:3]


class PackagedTest(base.InspectorTestCase):

    def setUp(self):
        super().setUp()
        self.policy = failure_policy.read(test_derive.PACKAGED)

    def told(self, message, ctxt=None):
        """Return (root cause, status, states for owners) of a notification.

        None: it is no fault.
        """
        event, = endpoint.Transformer(configuration.prepare(
            agent__nova_format='both')).events(message, ctxt)
        # as the stage has it: the name of a host of Masakari is looked up
        if event.traits.get('masakari_host_id') == 'm1':
            event.traits['hostname'] = 'h1'
        found = derive.inspect(event, self.policy, AnyHost())
        if found is None:
            return None
        events = list(derive.events_of(found))
        return events[0].traits['root_cause'], events[0].traits['status'], {
            each.traits['instance_id']: each.traits['state']
            for each in events if each.project_id}


class NovaTest(PackagedTest):

    DOWN = dict.fromkeys(('vm1', 'vm2', 'vm3'), 'error')
    TRUE = {'vm1': 'active', 'vm2': 'stopped', 'vm3': 'active'}

    def service(self, request=None, **changed):
        message, ctxt = notifications.load(notifications.FORCE_DOWN)
        message['payload']['nova_object.data'].update(changed)
        return self.told(message, {**ctxt, 'global_request_id': request})

    def test_a_service_is_forced_down_and_back(self):
        self.assertEqual(('host failure: fakehost1', 'down', self.DOWN),
                         self.service())
        self.assertEqual(('host failure: fakehost1', 'up', self.TRUE),
                         self.service(forced_down=False))

    def test_the_inspector_forced_it_down(self):
        self.assertIsNone(self.service(INSPECTOR))
        self.assertIsNone(self.service(INSPECTOR, forced_down=False))
        # an operator's request through another service is news
        self.assertIsNotNone(self.service(
            'req-7d2cf7f5-3b1e-4b70-9a0c-6a1f0e3a5c11'))

    def test_a_service_that_is_disabled(self):
        self.assertIsNone(self.service(
            forced_down=False, disabled=True, disabled_reason='new memory'))
        self.assertEqual(
            ('hypervisor failure: fakehost1', 'down', {}), self.service(
                forced_down=False, disabled=True,
                disabled_reason='AUTO: Connection to libvirt lost: 1'))

    def test_another_service(self):
        self.assertIsNone(self.service(binary='nova-conductor'))

    def test_libvirt_is_lost(self):
        message, ctxt = notifications.load(
            'documented-libvirt-connect-error')
        self.assertEqual(('hypervisor failure: compute', 'down', {}),
                         self.told(message, ctxt))
        self.assertEqual(
            ('hypervisor failure: c1', 'down', {}), self.told(
                notifications.message(
                    'compute.libvirt.error', {'ip': '192.0.2.1',
                                              'reason': 'gone'},
                    publisher_id='compute.c1', priority='ERROR')))

    def test_a_call_that_failed_is_no_fault_of_its_host(self):
        self.assertIsNone(self.told(notifications.message(
            'compute.exception', notifications.envelope(
                {'exception': 'E', 'exception_message': 'm',
                 'function_name': 'f', 'module_name': 'n',
                 'traceback': ''}, 'ExceptionPayload', '1.1'),
            publisher_id='nova-compute:c1', priority='ERROR')))


class MasakariTest(PackagedTest):

    def noticed(self, kind, event_type='notification.create.end', **payload):
        return self.told(notifications.message(event_type, {
            'masakari_object.name': 'NotificationApiPayload',
            'masakari_object.namespace': 'masakari',
            'masakari_object.version': '1.0', 'masakari_object.data': {
                'notification_uuid': 'n', 'status': 'new', 'fault': None,
                'source_host_uuid': 'm1', 'type': kind, 'payload': payload,
                'id': 1, 'generated_time': '2026-11-20T09:00:00Z'}},
            publisher_id='masakari-api:api1'))

    def test_a_host(self):
        self.assertEqual(
            ('host failure: h1', 'down', NovaTest.DOWN), self.noticed(
                'COMPUTE_HOST', event='STOPPED', host_status='UNKNOWN',
                cluster_status='OFFLINE'))
        self.assertEqual(
            ('host failure: h1', 'up', NovaTest.TRUE), self.noticed(
                'COMPUTE_HOST', event='STARTED', host_status='NORMAL',
                cluster_status='ONLINE'))

    def test_it_is_told_once(self):
        for event_type in ('notification.create.start',
                           'notification.process.start',
                           'notification.process.end'):
            self.assertIsNone(self.noticed(
                'COMPUTE_HOST', event_type, event='STOPPED'))

    def test_a_server(self):
        self.assertEqual(
            ('server failure: vm2', 'down', {'vm2': 'error'}), self.noticed(
                'VM', event='LIFECYCLE', instance_uuid='vm2',
                vir_domain_event='STOPPED_FAILED'))

    def test_a_process(self):
        for event, status in (('STOPPED', 'down'), ('STARTED', 'up')):
            self.assertEqual(
                ('process failure: h1', status, {}), self.noticed(
                    'PROCESS', event=event, process_name='libvirtd'))
