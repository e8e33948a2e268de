# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.tests.unit.api import base


class RefuseFiltersTest(base.ApiTestCase):

    def test_a_list_without_filters_has_none(self):
        path = '/v2/alarms/%s/deliveries' % self.create()['alarm_id']

        for text in ('q.field=status&q.op=eq&q.value=dead', 'q.value=a',
                     'q.field=status', 'q.op=eq', 'q.type=string'):
            self.assertIn('q.field', self.fault(
                400, 'get', '%s?%s' % (path, text)))
        self.assertEqual([], self.call('get', path + '?limit=1'))
