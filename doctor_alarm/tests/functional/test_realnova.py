# SPDX-License-Identifier: Apache-2.0
"""On a real nova: servers with a fault, and what is heard of it."""

import amqp
import kombu

from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.realnova import base
from doctor_alarm.tests.realnova import notifications
from doctor_alarm.tests import receiver

UNVERSIONED = 'compute.instance.update'
VERSIONED = 'instance.update'


class Alarms:
    """The service beside nova, on nova's broker."""

    def given_the_service(self, extra=''):
        self.receiver = self.useFixture(receiver.Receiver())
        self.cloud = self.useFixture(deployment.Deployment(
            bus_url=self.nova.transport_url, extra=extra))

    def given_alarm(self, **alarm):
        return self.cloud.create_alarm(**{
            'project_id': self.nova.project_id,
            'alarm_actions': [self.receiver.url],
            'ok_actions': [self.receiver.url], **alarm})

    def told(self, alarm_id):
        return [body['current'] for body in self.receiver.of(alarm_id)]

    def expect(self, alarm_id, *states):
        self.wait_until(
            lambda: self.told(alarm_id) == list(states), 60,
            lambda: 'told: %s' % self.told(alarm_id))

    def play_error_and_recovery(self):
        server_id = self.boot('faulty', self.nova.hosts[0])
        alarm = self.given_alarm(event_rule=scenario.rule(server_id))
        everything = self.given_alarm(repeat_actions=True, event_rule={
            'event_type': '*', 'query': [
                {'field': 'traits.instance_id', 'op': 'eq',
                 'value': server_id}]})

        self.nova.reset_state(server_id, 'error')
        self.expect(alarm, 'alarm')
        self.nova.reset_state(server_id, 'active')
        self.expect(alarm, 'alarm', 'ok')

        # one change is one event, though nova says it twice
        self.expect(everything, 'alarm', 'alarm')
        body = self.receiver.of(alarm)[0]
        traits = {name: value for name, _type, value
                  in body['reason_data']['event']['traits']}
        self.assertEqual(self.nova.hosts[0], traits['host'])
        self.assertEqual(self.nova.project_id, body['project_id'])


class FaultTest(Alarms, base.TestCase):
    """Servers and hosts fail and come back."""

    def setUp(self):
        super().setUp()
        self.host = self.nova.hosts[0]
        self.notifications = self.useFixture(
            notifications.Notifications(self.nova.amqp_url))

    def test_both_formats_are_heard(self):
        server_id = self.boot('faulty', self.host)

        self.nova.reset_state(server_id, 'error')
        self.nova.reset_state(server_id, 'active')

        for find in (self._unversioned, self._versioned):
            self.wait_until(lambda find=find: find(server_id)[-2:] == [
                ('active', 'error'), ('error', 'active')])

    def test_an_alarm_is_raised_and_cleared(self):
        self.given_the_service()
        self.play_error_and_recovery()

    def test_versioned_notifications_raise_and_clear_as_well(self):
        self.given_the_service('[agent]\nnova_format = versioned')
        server_id = self.boot('faulty', self.nova.hosts[0])
        alarm = self.given_alarm(event_rule={
            **scenario.rule(server_id), 'event_type': 'instance.update',
            'clear': {'event_type': 'instance.update', 'query': [
                {'field': 'traits.state', 'op': 'eq', 'value': 'active'}]}})
        self.nova.reset_state(server_id, 'error')
        self.nova.reset_state(server_id, 'active')
        self.expect(alarm, 'alarm', 'ok')

    def test_the_server_is_on_the_host_and_of_the_project(self):
        server_id = self.boot('placed', self.nova.hosts[1])

        server = self.nova.show(server_id)

        self.assertEqual(self.nova.hosts[1],
                         server['OS-EXT-SRV-ATTR:host'])
        self.assertEqual(self.nova.project_id, server['tenant_id'])

    def test_a_host_fails_and_returns(self):
        other = self.nova.hosts[1]
        server_id = self.boot('evacuated', self.host)

        self.force_down(self.host)

        self.wait_until(lambda: [
            service for service in self.notifications.heard('service.update')
            if service['host'] == self.host and service['forced_down']])

        self.assertEqual('SHUTOFF', self.nova.evacuate(server_id, other))

        self.nova.repair(self.host)

        self.assertEqual('up', self.nova.service(self.host)['state'])

    def test_an_operator_hears_of_a_host(self):
        self.given_the_service()
        alarm = self.given_alarm(event_rule={
            'scope': 'cloud', 'event_type': 'service.update', 'query': [
                {'field': 'traits.host', 'op': 'eq', 'value': self.host},
                {'field': 'traits.forced_down', 'op': 'eq', 'value': 'true',
                 'type': 'boolean'}],
            'clear': {'event_type': 'service.update', 'query': [
                {'field': 'traits.forced_down', 'op': 'eq',
                 'value': 'false', 'type': 'boolean'}]}})

        self.force_down(self.host)
        self.expect(alarm, 'alarm')
        self.nova.repair(self.host)
        self.expect(alarm, 'alarm', 'ok')

    def _unversioned(self, server_id):
        """The changes of state that the unversioned updates tell."""
        return [
            (update['old_state'], update['state'])
            for update in self.notifications.heard(UNVERSIONED)
            if update['instance_id'] == server_id
            and update['old_state'] != update['state']]

    def _versioned(self, server_id):
        """The changes of state that the versioned updates tell."""
        return [
            (change['old_state'], change['state'])
            for update in self.notifications.heard(VERSIONED)
            if update['uuid'] == server_id
            and (change := update['state_update'])
            and change['old_state'] != change['state']]


class QuorumTest(Alarms, base.TestCase):
    """A nova that was told to use quorum queues."""

    quorum = True

    def test_it_notifies_through_quorum_queues(self):
        self.boot('any', self.nova.hosts[0])

        self.declare('notifications.info', 'quorum')

        # the broker compares what is declared with what exists
        self.assertRaises(amqp.PreconditionFailed, self.declare,
                          'notifications.info', 'classic')

    def test_an_alarm_is_raised_and_cleared(self):
        self.given_the_service(
            '[agent]\nmessaging_urls = %(bus)s?rabbit_quorum_queue=true')
        self.play_error_and_recovery()

    def declare(self, name, kind):
        with kombu.Connection(self.nova.amqp_url) as connection:
            kombu.Queue(
                name, channel=connection, durable=True,
                queue_arguments={'x-queue-type': kind}).queue_declare()
