# SPDX-License-Identifier: Apache-2.0
"""The words in which end-to-end tests tell their story."""

from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests import receiver
from doctor_alarm.tests.services import mariadb

#: Seconds that a story waits for what must happen; figures of how quick it
#: is come from benchmarks.
PATIENCE = 60


def rule(vm=None):
    """An alarm on a server in error, which ends when it is active."""
    pinned = [{'field': 'traits.instance_id', 'op': 'eq', 'value': vm}]
    return {
        'event_type': 'compute.instance.update',
        'query': (pinned if vm else []) + [
            {'field': 'traits.state', 'op': 'eq', 'value': 'error'}],
        'clear': {'event_type': 'compute.instance.update', 'query': [
            {'field': 'traits.state', 'op': 'eq', 'value': 'active'}]}}


def update_of(vm, state, project_id='p1'):
    """The payload of nova's compute.instance.update, what matters of it."""
    return {
        'tenant_id': project_id, 'user_id': 'u1', 'instance_id': vm,
        'display_name': vm, 'host': 'h1', 'node': 'h1', 'state': state,
        'old_state': 'active' if state == 'error' else 'error',
        'old_task_state': None, 'new_task_state': None,
        'state_description': '', 'availability_zone': 'nova'}


class Story(base.TestCase):
    """Given alarms, when servers fail, then the receiver is told."""

    DEFAULT_TIMEOUT = 900
    parts = ('agent', 'evaluator', 'notifier', 'api')
    extra = ''
    query = ''
    database = mariadb.Database

    def setUp(self):
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        self.cloud = self.useFixture(deployment.Deployment(
            self.parts, self.extra, database=self.database))
        self.nova = self.cloud.notifier(query=self.query)

    def given_alarm(self, vm=None, **alarm):
        return self.cloud.create_alarm(**{
            'event_rule': rule(vm), 'alarm_actions': [self.receiver.url],
            'ok_actions': [self.receiver.url], **alarm})

    def when(self, vm, state, **kwargs):
        self.nova.info({}, 'compute.instance.update',
                       update_of(vm, state, **kwargs))

    def expect(self, alarm_id, *states, within=PATIENCE):
        """Wait until these states, and no others, were told in this order."""
        def told():
            return [body['current'] for body in self.receiver.of(alarm_id)]

        self.wait_until(lambda: len(told()) >= len(states), within,
                        lambda: '%s: told %s' % (alarm_id, told()))
        self.assertEqual(list(states), told())
        bodies = self.receiver.of(alarm_id)
        self.assertEqual(list(range(1, len(bodies) + 1)),
                         [body['sequence'] for body in bodies])
        return bodies
