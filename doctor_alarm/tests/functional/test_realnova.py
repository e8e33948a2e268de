# SPDX-License-Identifier: Apache-2.0
"""On a real nova: servers with a fault, and what is heard of it."""

import amqp
import kombu

from doctor_alarm.tests.realnova import base
from doctor_alarm.tests.realnova import notifications

UNVERSIONED = 'compute.instance.update'
VERSIONED = 'instance.update'


class FaultTest(base.TestCase):
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


class QuorumTest(base.TestCase):
    """A nova that was told to use quorum queues."""

    quorum = True

    def test_it_notifies_through_quorum_queues(self):
        self.boot('any', self.nova.hosts[0])

        self.declare('notifications.info', 'quorum')

        # the broker compares what is declared with what exists
        self.assertRaises(amqp.PreconditionFailed, self.declare,
                          'notifications.info', 'classic')

    def declare(self, name, kind):
        with kombu.Connection(self.nova.amqp_url) as connection:
            kombu.Queue(
                name, channel=connection, durable=True,
                queue_arguments={'x-queue-type': kind}).queue_declare()
