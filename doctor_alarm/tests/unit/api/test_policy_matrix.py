# SPDX-License-Identifier: Apache-2.0
"""The table of the documents: who gets which status on which route."""

import os

from doctor_alarm.tests import matrix
from doctor_alarm.tests.unit.api import base


class PolicyMatrixTest(base.KeystoneTestCase):

    DEFAULT_TIMEOUT = 600

    def setUp(self):
        super().setUp()
        self.headers = {
            caller: self.token_of({
                'X-User-Id': caller, 'X-Project-Id': found[0],
                'X-Roles': ','.join(matrix.IMPLIED[found[1]])})
            if found else {} for caller, found in matrix.CALLERS.items()}

        matrix.fault(self.db)

    def ask(self, caller, method, path, doc):
        send = getattr(self.app, method.lower() + (
            '' if doc is None else '_json'))
        return send(path, headers=self.headers[caller], expect_errors=True,
                    **({} if doc is None else {'params': doc})).status_int

    def given(self):
        alarm_id = self.call('post', '/v2/alarms', {
            **matrix.ALARM, 'project_id': matrix.OWN},
            self.headers['admin'])['alarm_id']
        return alarm_id, matrix.dead_delivery(
            self.db, alarm_id, matrix.OWN)

    def test_the_table_is_what_the_service_does(self):
        found = matrix.walk(self.ask, self.given, matrix.OWN)

        if os.environ.get('DOCTOR_ALARM_WRITE_TABLES'):
            matrix.write(found)
        self.assertEqual(
            matrix.read(), found,
            'policy-matrix.csv is stale, see tools/policy-matrix.sh')

    def test_every_policy_is_in_it(self):
        self.assertEqual(set(), matrix.missing(matrix.OWN))
