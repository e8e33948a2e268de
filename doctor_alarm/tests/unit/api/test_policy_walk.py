# SPDX-License-Identifier: Apache-2.0
"""Every route has a policy, and every policy has a route."""

import re

from doctor_alarm.api.controllers import base as controllers
from doctor_alarm.api.controllers import root
from doctor_alarm.api.controllers.v2 import alarm
from doctor_alarm.api.controllers.v2 import deliveries
from doctor_alarm.api.controllers.v2 import quota
from doctor_alarm import credential
from doctor_alarm import policies
from doctor_alarm import guard
from doctor_alarm import policy
from doctor_alarm.tests.unit.api import base

#: Below which nodes any name goes.
PARAMETERS = {
    alarm.Alarms: '{alarm_id}', quota.Quotas: '{project_id}',
    deliveries.Deliveries: '{delivery_id}'}
#: Where there are no names to try, any goes.
PARAMETER = re.compile(r'{\w+}')


class PolicyWalkTest(base.ApiTestCase):

    def documented(self):
        for rule in policies.list_rules():
            for operation in getattr(rule, 'operations', None) or ():
                yield rule.name, operation['method'], operation[
                    'path'].partition('?')[0]

    def nodes(self, node, path=''):
        """Yield (path, node) of everything that is reachable."""
        yield path or '/', node
        names = ['state', 'history', 'deliveries', 'alarms', 'retry']
        if type(node) in PARAMETERS:
            names = [PARAMETERS[type(node)], *getattr(node, '_below', ())]
        elif hasattr(node, '_below'):
            names = list(node._below)
        for name in names:
            child = node.child(name)
            if child is not None:
                yield from self.nodes(child, '%s/%s' % (path, name))

    def routes(self):
        services = controllers.Services(
            conf=self.conf, db=self.db, events=self.events,
            enforcer=policy.make_enforcer(self.conf), actions=frozenset(),
            guard=guard.make(self.conf),
            vault=credential.make(self.conf))
        for path, node in self.nodes(root.Root(services)):
            for method in node._methods():
                if method != 'HEAD':
                    yield method, path, node

    def test_every_route_but_the_public_ones_has_a_policy(self):
        documented = {(method, path) for _, method, path
                      in self.documented()}

        found = list(self.routes())

        self.assertEqual(documented, {
            (method, path) for method, path, node in found
            if not node.public})
        self.assertEqual({'/', '/metrics', '/healthcheck'}, {
            path for _method, path, node in found if node.public})

    def test_nobody_without_a_role_passes_any(self):
        for name, method, path in self.documented():
            answer = self.app.request(
                PARAMETER.sub('x', path), method=method,
                headers=base.NO_ROLE, expect_errors=True,
                body=b'"ok"' if method in ('POST', 'PUT') else b'')
            self.assertIn(answer.status_int, (403, 404), name)
            if '{' not in path:
                self.assertEqual(403, answer.status_int, name)
