# SPDX-License-Identifier: Apache-2.0

import fixtures

from doctor_alarm.objects import alarm_list
from doctor_alarm.tests.unit.api import base


class ListTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.create(name='a', severity='critical')
        self.create(name='b', state='ok', enabled=False)
        self.create(base.BOB, name='c')

    def names(self, query='', who=base.ALICE):
        return ''.join(alarm['name'] for alarm in self.call(
            'get', '/v2/alarms' + query, who=who))

    @staticmethod
    def filter(*pairs):
        return '?' + '&'.join(
            'q.field=%s&q.op=eq&q.value=%s' % pair for pair in pairs)

    def test_newest_first_of_the_project(self):
        self.assertEqual('ba', self.names())
        self.assertEqual('c', self.names(who=base.BOB))
        self.assertEqual('', self.names(who=base.ADMIN))

    def test_filters(self):
        for pair, expected in [
                (('name', 'a'), 'a'), (('severity', 'critical'), 'a'),
                (('state', 'ok'), 'b'), (('enabled', 'False'), 'b'),
                (('type', 'event'), 'ba'), (('user_id', 'alice'), 'ba'),
                (('repeat_actions', 'true'), ''),
                (('project_id', 'p1'), 'ba'),
                (('timestamp', '2000-01-01'), '')]:
            self.assertEqual(expected, self.names(self.filter(pair)), pair)
        self.assertEqual('b', self.names(self.filter(
            ('type', 'event'), ('state', 'ok'))))

    def test_pages_in_the_order_of_every_field(self):
        for field in alarm_list.FIELDS:
            for way in ('asc', 'desc'):
                whole = self.names('?sort=%s:%s' % (field, way))
                self.assertEqual(2, len(whole))
                first, = self.call('get', '/v2/alarms?limit=1&sort=%s:%s' % (
                    field, way))
                self.assertEqual(whole, first['name'] + self.names(
                    '?sort=%s:%s&marker=%s' % (
                        field, way, first['alarm_id'])), field)

    def test_all_projects_are_for_admins(self):
        everything = self.filter(('all_projects', 'true'))

        self.assertEqual('cba', self.names(everything, base.ADMIN))
        self.assertEqual('RBAC Authorization Failed', self.fault(
            403, 'get', '/v2/alarms' + everything))
        self.assertEqual('ba', self.names(
            self.filter(('all_projects', 'false'))))

    def test_another_project_is_for_admins(self):
        other = self.filter(('project_id', 'p2'))

        self.assertEqual('c', self.names(other, base.ADMIN))
        self.assertEqual('Not Authorized to access project p2', self.fault(
            401, 'get', '/v2/alarms' + other))

    def test_who_says_nothing_of_himself_sees_everything(self):
        self.assertEqual('cba', self.names(who={}))
        self.assertEqual('c', self.names(
            self.filter(('project_id', 'p2')), {}))

    def test_sort_and_pages(self):
        self.assertEqual('ab', self.names('?sort=name%3Aasc'))
        self.assertEqual('ab', self.names('?sort=severity:desc&sort=name'))

        self.assertEqual('a', self.names('?sort=name:asc&limit=1'))
        self.assertIn('sort=name%3Aasc', self.answer.headers['Link'])
        marker = self.answer.json[0]['alarm_id']
        self.assertIn('marker=' + marker, self.answer.headers['Link'])
        self.assertEqual('b', self.names(
            '?sort=name:asc&marker=%s' % marker))
        self.assertNotIn('Link', self.answer.headers)

    def test_a_page_that_would_be_huge_is_short(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.page.MAX_SIZE', 1))
        self.assertEqual('a', self.names('?sort=name'))
        self.assertIn('rel="next"', self.answer.headers['Link'])
        marker = self.answer.json[0]['alarm_id']
        self.assertEqual('b', self.names('?sort=name&marker=' + marker))

    def test_a_list_has_a_bound(self):
        self.conf.set_override('max_limit', 1, group='api')

        self.assertEqual('b', self.names('?limit=50'))
        self.assertEqual('b', self.names())

    def test_what_is_wrong_has_a_sentence(self):
        for query, words in [
                ('?limit=0', 'limit'), ('?limit=x', 'limit'),
                ('?limit=-1', 'limit'), ('?sort=nope', 'nope'),
                ('?' + '&'.join(['sort=name'] * 21), 'at most 20 times'),
                ('?sort=name:up', 'asc or desc'), ('?marker=x', 'Marker x'),
                ('?foo=1', 'Unknown argument: "foo"'),
                ('?q.field=name', 'q.value'),
                ('?q.field=name&q.op=lt&q.value=a', 'q.op'),
                (self.filter(('description', 'a')), 'q.field'),
                (self.filter(('enabled', 'maybe')), 'enabled'),
                (self.filter(('all_projects', 'maybe')), 'all_projects'),
                (self.filter(('name', '%00')), 'NUL')]:
            self.assertIn(words, self.fault(
                400, 'get', '/v2/alarms' + query), query)

    def test_a_marker_of_another_project_is_unknown(self):
        other = self.call('get', '/v2/alarms', who=base.BOB)[0]['alarm_id']

        self.assertIn('not found', self.fault(
            400, 'get', '/v2/alarms?marker=' + other))
