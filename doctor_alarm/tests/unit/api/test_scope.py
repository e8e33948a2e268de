# SPDX-License-Identifier: Apache-2.0
"""Alarms on the events of others, and on one resource."""

from doctor_alarm.tests.unit.api import base

CLOUD = {**base.RULE, 'scope': 'cloud'}


class ScopeTest(base.ApiTestCase):

    def test_the_cloud_is_for_admins(self):
        doc = self.alarm(event_rule=CLOUD)
        self.fault(403, 'post', '/v2/alarms', doc)
        created = self.call('post', '/v2/alarms', doc, base.ADMIN, 201)
        self.assertEqual('cloud', created['event_rule']['scope'])

    def test_nobody_else_makes_one_by_a_change(self):
        created = self.create()
        path = '/v2/alarms/' + created['alarm_id']
        self.fault(403, 'put', path, dict(created, event_rule=CLOUD))
        self.call('put', path, dict(created, event_rule=CLOUD), base.ADMIN)
        # Not even as it is: they would decide what is told of others.
        self.fault(403, 'put', path, dict(created, event_rule=CLOUD))
        self.call('put', path, created)

    def test_the_scope_of_the_project_is_the_default(self):
        created = self.create(event_rule={**base.RULE, 'scope': 'project'})
        self.assertNotIn('scope', created['event_rule'])

    def test_what_is_no_scope(self):
        self.assertIn('event_rule.scope', self.fault(
            400, 'post', '/v2/alarms',
            self.alarm(event_rule={**base.RULE, 'scope': 'galaxy'})))


class ResourceTest(base.ApiTestCase):

    def test_it_is_shown_and_kept(self):
        created = self.create(resource_id='vm1')
        path = '/v2/alarms/' + created['alarm_id']

        self.assertEqual('vm1', created['resource_id'])
        self.assertNotIn('resource_id', created['event_rule'])
        self.assertEqual(
            'vm1', self.call('put', path, created)['resource_id'])
        created['resource_id'] = None
        self.assertIsNone(self.call('put', path, created)['resource_id'])

    def test_none_by_default(self):
        self.assertIsNone(self.create()['resource_id'])

    def test_what_is_none(self):
        for value in (7, 'x' * 256):
            self.assertIn('resource_id', self.fault(
                400, 'post', '/v2/alarms', self.alarm(resource_id=value)))
