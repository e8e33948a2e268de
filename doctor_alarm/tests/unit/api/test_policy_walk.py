# SPDX-License-Identifier: Apache-2.0
"""Every route has a policy, and every policy has a route."""

from doctor_alarm import policies
from doctor_alarm.tests import routes
from doctor_alarm.tests.unit.api import base


class PolicyWalkTest(base.ApiTestCase):

    def documented(self):
        for rule in policies.list_rules():
            for operation in getattr(rule, 'operations', None) or ():
                yield rule.name, operation['method'], operation[
                    'path'].partition('?')[0]

    def test_every_route_but_the_public_ones_has_a_policy(self):
        documented = {(method, path) for _, method, path
                      in self.documented()}

        found = routes.everything()

        self.assertEqual(documented, {
            (route.method, route.path) for route in found
            if not route.public})
        self.assertEqual({'/', '/metrics', '/healthcheck'}, {
            route.path for route in found if route.public})

    def test_nobody_without_a_role_passes_any(self):
        for name, method, path in self.documented():
            answer = self.app.request(
                routes.PARAMETER.sub('x', path), method=method,
                headers=base.NO_ROLE, expect_errors=True,
                body=b'"ok"' if method in ('POST', 'PUT') else b'')
            self.assertIn(answer.status_int, (403, 404), name)
            if '{' not in path:
                self.assertEqual(403, answer.status_int, name)

    def test_the_service_takes_the_routes_that_are_found(self):
        for route in routes.everything():
            self.assertEqual(route, routes.of(route.method, route.path))
            answer = self.app.request(
                routes.PARAMETER.sub('x', route.path), method='PATCH',
                expect_errors=True)
            self.assertIn(route.method, answer.headers['Allow'], route)
