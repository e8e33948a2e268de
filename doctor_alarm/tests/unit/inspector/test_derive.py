# SPDX-License-Identifier: Apache-2.0

import dataclasses
import pathlib
import textwrap

import fixtures

import doctor_alarm
from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import derive
from doctor_alarm.inspector import failure_policy
from doctor_alarm import match
from doctor_alarm.tests.unit.inspector import base

PACKAGED = failure_policy.__file__.replace(
    'failure_policy.py', 'data/failure_policy.yaml')


class DeriveTest(base.InspectorTestCase):

    def derive(self, root, policy=None):
        path = PACKAGED
        if policy:
            path = self.useFixture(fixtures.TempDir()).join('policy.yaml')
            with open(path, 'w') as file:
                file.write(textwrap.dedent(policy))
        found = derive.inspect(root, failure_policy.read(path), self.map)
        return [] if found is None else list(derive.events_of(found))

    def owners(self, events):
        """{server: event of its owner}"""
        return {event.traits['instance_id']: event for event in events
                if event.project_id}

    def full(self, events):
        """{server: event for administrators}"""
        return {event.traits['instance_id']: event for event in events
                if not event.project_id and 'instance_id' in event.traits}


class HostTest(DeriveTest):

    def test_each_owner_hears_of_its_servers_and_not_of_the_host(self):
        found = self.owners(self.derive(base.event()))

        self.assertEqual({'vm1': 'p1', 'vm2': 'p2', 'vm3': 'p2'}, {
            server: event.project_id for server, event in found.items()})
        self.assertEqual({
            'instance_id': 'vm1', 'resource_id': 'vm1', 'state': 'error',
            'display_name': 'one', 'severity': 'critical',
            'is_root_cause': 'False', 'correlation_id': 'm1',
            'root_cause': 'host failure', 'project_id': 'p1',
            'tenant_id': 'p1'}, found['vm1'].traits)
        self.assertEqual(
            {'compute.instance.update'},
            {event.event_type for event in found.values()})
        self.assertEqual({base.NOW},
                         {event.generated for event in found.values()})

    def test_an_alarm_of_the_owner_fires(self):
        rule = match.compile_rule({
            'event_type': 'compute.instance.update', 'query': [
                {'field': 'traits.instance_id', 'op': 'eq', 'value': 'vm1'},
                {'field': 'traits.state', 'op': 'eq', 'value': 'error'}]})
        event = self.owners(self.derive(base.event()))['vm1']

        self.assertEqual(match.RAISE, rule.verdict(event))
        self.assertTrue(rule.concerns('p1', event))
        self.assertFalse(rule.concerns('p2', event))

    def test_administrators_hear_of_everything_once(self):
        events = self.derive(base.event())
        rule = match.compile_rule({'event_type': '*', 'scope': 'cloud'})
        seen = [event for event in events if rule.concerns('admin', event)]

        self.assertEqual(
            ['h1', 'vm1', 'vm2', 'vm3'],
            [event.resource_id for event in seen])
        self.assertEqual({
            'instance_id': 'vm1', 'resource_id': 'vm1', 'state': 'error',
            'display_name': 'one', 'severity': 'critical', 'host': 'h1',
            'hostname': 'h1', 'owner_id': 'p1', 'is_root_cause': 'False',
            'correlation_id': 'm1', 'root_cause': 'host failure: h1',
            'cause': 'h1 is dead', 'monitor_id': 'ping@h9',
            'source': 'ping', 'status': 'down', 'actions': 'reset_state',
            }, seen[1].traits)

    def test_of_the_fault_itself(self):
        first = self.derive(base.event())[0]

        self.assertEqual('doctor_alarm.fault', first.event_type)
        self.assertIsNone(first.project_id)
        self.assertEqual({
            'resource_id': 'h1', 'host': 'h1', 'hostname': 'h1',
            'status': 'down', 'is_root_cause': 'True', 'affected': 3,
            'unmonitored': 1, 'fault_type': 'compute.host.down',
            'correlation_id': 'm1', 'root_cause': 'host failure: h1',
            'severity': 'critical', 'cause': 'h1 is dead',
            'monitor_id': 'ping@h9', 'source': 'ping',
            'actions': 'force_down'}, first.traits)

    def test_up_says_the_true_state(self):
        events = self.derive(base.event(fault.HOST_UP))

        self.assertEqual('up', events[0].traits['status'])
        self.assertEqual(
            {'vm1': 'active', 'vm2': 'stopped', 'vm3': 'active'},
            {server: event.traits['state']
             for server, event in self.owners(events).items()})

    def test_again_it_has_the_same_ids_and_no_two_are_equal(self):
        first = [event.message_id for event in self.derive(base.event())]
        again = [event.message_id for event in self.derive(base.event())]
        other = [event.message_id for event in self.derive(
            dataclasses.replace(base.event(), message_id='m2'))]

        self.assertEqual(first, again)
        self.assertEqual(len(first), len(set(first)))
        self.assertEqual(set(), set(first) & set(other))

    def test_over_the_wire_it_stays_what_it_is(self):
        for event in self.derive(base.event()):
            self.assertEqual(event, event_mod.Event.from_wire(
                event.to_wire(), received=base.NOW, clean=True))

    def test_unknown_host(self):
        only, = self.derive(base.event(hostname='h9'))

        self.assertEqual(0, only.traits['affected'])
        self.assertEqual('h9', only.resource_id)

    def test_nothing_without_a_name(self):
        self.assertEqual([], self.derive(base.event(hostname='')))
        self.assertEqual([], self.derive(base.event(severity='low')))

    def test_nothing_from_what_is_no_fault(self):
        self.assertEqual([], self.derive(base.event('compute.host.bored')))

    def test_nothing_from_what_follows(self):
        for event in self.derive(base.event()):
            self.assertEqual([], self.derive(event))


class ActionsTest(DeriveTest):

    POLICY = '''
        - event_type: compute.host.*
          root_cause: host failure
          affected: {servers_of: hostname}
          state: %s
          actions: [force_down, reset_state, data_plane_status]
          fencing: true
        '''

    def derived(self, state='error', **traits):
        found = self.derive(
            base.event(hostname='h1', **traits), self.POLICY % state)
        return found[0].traits, self.full(found)['vm1'].traits, (
            self.owners(found)['vm1'].traits)

    def test_what_is_to_be_done_is_in_the_events_for_administrators(self):
        of_host, of_server, of_owner = self.derived(fenced=True)

        self.assertEqual('force_down', of_host['actions'])
        self.assertEqual('reset_state,data_plane_status',
                         of_server['actions'])
        self.assertNotIn('fencing', of_server)
        self.assertEqual(set(), {'actions', 'fencing'} & of_owner.keys())

    def test_without_fencing(self):
        for traits in ({}, {'fenced': False}, {'fenced': 'no'}):
            of_host, of_server, _of_owner = self.derived(**traits)
            self.assertNotIn('fencing', of_host)
            self.assertEqual('missing', of_server['fencing'])

    def test_active_means_that_it_is_over(self):
        of_host, of_server, _of_owner = self.derived('active')

        self.assertEqual(('up', 'up', 'active'), (
            of_host['status'], of_server['status'], of_server['state']))


class NovaTest(DeriveTest):

    def states(self, **traits):
        return {server: event.traits['state'] for server, event
                in self.owners(self.derive(base.event(
                    'service.update', hostname='h1',
                    **traits))).items()}

    def test_forced_down(self):
        self.assertEqual(
            {'vm1': 'error', 'vm2': 'error', 'vm3': 'error'}, self.states(
                binary='nova-compute', forced_down=True, disabled=False))

    def test_and_back(self):
        self.assertEqual(
            {'vm1': 'active', 'vm2': 'stopped', 'vm3': 'active'}, self.states(
                binary='nova-compute', forced_down=False, disabled=False))

    def test_disabled_is_no_fault(self):
        self.assertEqual({}, self.states(
            binary='nova-compute', forced_down=False, disabled=True))

    def test_what_the_inspector_asked_for_is_no_other_fault(self):
        for forced_down in (True, False):
            self.assertEqual({}, self.states(
                binary='nova-compute', forced_down=forced_down,
                disabled=False, echo_of='m0'))

    def test_another_service_is_none(self):
        self.assertEqual({}, self.states(
            binary='nova-conductor', forced_down=True, disabled=False))


class ServerTest(DeriveTest):

    def test_server(self):
        for kind in (fault.VM_DOWN, fault.VM_WATCHDOG, fault.VM_IO_ERROR):
            events = self.derive(base.event(
                kind, hostname='h1', instance_id='vm5'))
            self.assertEqual(['vm5'], list(self.owners(events)))
            self.assertEqual('server failure: vm5',
                             self.full(events)['vm5'].traits['root_cause'])
            self.assertNotIn('hostname', events[0].traits)

    def test_unknown_server(self):
        only, = self.derive(base.event(fault.VM_DOWN, instance_id='vm9'))

        self.assertEqual(0, only.traits['affected'])

    def test_port(self):
        events = self.derive(
            base.event('port.down', port_id='port1'), '''
            - event_type: port.*
              root_cause: port failure
              affected: {server_of_port: port_id}
              state: error
            ''')

        self.assertEqual(
            'port1', self.owners(events)['vm1'].traits['port_id'])

    def test_custom_query(self):
        events = self.derive(base.event('storage.down', hostname='h1'), '''
            - event_type: storage.down
              root_cause: storage failure
              affected:
                servers_of: hostname
                where:
                  - {field: project_id, op: eq, value: p2}
                  - {field: state, op: ne, value: stopped}
              state: error
              unmonitored: include
            ''')

        self.assertEqual(['vm3', 'vm4'], list(self.owners(events)))

    def test_the_policy_may_show_the_host(self):
        events = self.derive(base.event(), '''
            - event_type: compute.host.down
              root_cause: host failure
              affected: {servers_of: hostname}
              state: error
              show_host: true
            ''')

        traits = self.owners(events)['vm1'].traits
        self.assertEqual(('h1', 'h1', 'host failure: h1'), (
            traits['host'], traits['hostname'], traits['root_cause']))
        self.assertNotIn('cause', traits)


class ManualTest(DeriveTest):
    """The examples of the manual."""

    def setUp(self):
        super().setUp()
        text = pathlib.Path(doctor_alarm.__file__).parents[1].joinpath(
            'doc', 'source', 'inspector.rst').read_text()
        text = text[text.index('    - event_type: network.port.down'):]
        self.policy = text[:text.index('\nWhere ')].replace(
            'b1f54f94ccd845bace16f12c846f19f0', 'p2')

    def hit(self, *args, **traits):
        events = self.derive(base.event(*args, **traits), self.policy)
        return [(server, event.traits['root_cause']) for server, event
                in self.owners(events).items()]

    def test_port(self):
        self.assertEqual([('vm1', 'port failure')],
                         self.hit('network.port.down', port_id='port1'))
        self.assertEqual([], self.hit('network.port.down', port_id='port9'))

    def test_process(self):
        self.assertEqual(
            [(vm, 'network failure') for vm in ('vm1', 'vm2', 'vm3')],
            self.hit('process.failed', hostname='h1',
                     process_name='neutron-openvswitch-agent'))
        self.assertEqual([], self.hit(
            'process.failed', hostname='h1', process_name='crond'))

    def test_storage(self):
        self.assertEqual(
            [('vm2', 'storage failure: h1'), ('vm3', 'storage failure: h1')],
            self.hit('storage.network.down', hostname='h1'))
        self.assertEqual([('vm5', 'storage failure')],
                         self.hit('volume.lost', instance_id='vm5'))


class TenantTest(DeriveTest):
    """What a member of a project posts."""

    def test_no_hosts(self):
        self.assertEqual([], self.derive(
            base.event(trusted=False, project_id='p1')))

    def test_own_servers_only(self):
        def told(server):
            return [(event.project_id, event.trusted) for event in self.derive(
                base.event(fault.VM_DOWN, trusted=False, project_id='p1',
                           instance_id=server))]

        self.assertEqual([('p1', False)], told('vm1'))
        self.assertEqual([], told('vm2'))
