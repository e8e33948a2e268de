# SPDX-License-Identifier: Apache-2.0
"""Complex queries of alarms and of their history."""

import json

from doctor_alarm.objects import alarm_list
from doctor_alarm.tests.unit.api import base


def query(expression, **more):
    return {'filter': json.dumps(expression), **more}


class QueryTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.create(name='a')
        self.create(name='b', severity='critical')
        self.create(base.BOB, name='c')

    def names(self, doc, who=base.ALICE):
        return ''.join(alarm['name'] for alarm in self.call(
            'post', '/v2/query/alarms', doc, who))

    def test_by_name(self):
        self.assertEqual('a', self.names(query({'=': {'name': 'a'}})))
        self.assertEqual('', self.names(query({'=': {'name': 'c'}})))
        self.assertEqual('c', self.names(
            query({'=': {'name': 'c'}}), base.ADMIN))

    def test_operators(self):
        for expression, expected in [
                ({'!=': {'name': 'a'}}, 'b'),
                ({'<': {'name': 'b'}}, 'a'), ({'>': {'name': 'a'}}, 'b'),
                ({'<=': {'name': 'b'}}, 'ab'), ({'=<': {'name': 'a'}}, 'a'),
                ({'>=': {'name': 'b'}}, 'b'), ({'=>': {'name': 'a'}}, 'ab'),
                ({'=~': {'name': '^.$'}}, 'ab'),
                ({'IN': {'name': ['a', 'c']}}, 'a'),
                ({'AND': [{'=': {'user': 'alice'}},
                          {'=': {'project': 'p1'}}]}, 'ab'),
                ({'Or': [{'=': {'name': 'a'}},
                         {'=': {'severity': 'critical'}}]}, 'ab'),
                ({'NOT': {'=': {'name': 'a'}}}, 'b'),
                ({'>': {'timestamp': '2000-01-01T00:00:00'}}, 'ab'),
                ({'=': {'enabled': 'true'}}, 'ab')]:
            self.assertEqual(expected, self.names(query(
                expression, orderby='[{"name": "asc"}]')), expression)

    def test_patterns(self):
        for name in ('vm_1 down', 'vm21 down', 'VM-1 up', '100% full', 'x|y',
                     'a!b'):
            self.create(base.BOB, name=name)
        for pattern, expected in [
                ('vm.1', ['vm21 down', 'vm_1 down']),
                ('vm_1', ['vm_1 down']), ('^VM', ['VM-1 up']),
                ('^1 ', []), ('full$', ['100% full']), ('100%', ['100% full']),
                ('up|full', ['100% full', 'VM-1 up']), ('^.$', ['c']),
                ('m.*d.+n$', ['vm21 down', 'vm_1 down']), ('!', ['a!b']),
                (r'x\|y', ['x|y']), (r'\^', []), ('^$', []),
                (r'100\%', ['100% full'])]:
            found = self.call('post', '/v2/query/alarms', query(
                {'=~': {'name': pattern}}, orderby='[{"name": "asc"}]'),
                base.BOB)
            self.assertEqual(
                expected, [alarm['name'] for alarm in found], pattern)

    def test_the_longest_filters(self):
        for longest in ({'or': [{'=~': {'name': 'a|b|c'}}] * 300},
                        {'and': [{'not': {'=~': {'name': 'x'}}}] * 900},
                        {'in': {'name': ['a'] * 900}}):
            for _level in range(17):
                longest = {'not': longest}
            self.call('post', '/v2/query/alarms', query(longest))

    def test_confined_to_the_project_whatever_is_asked(self):
        for expression in [
                {'!=': {'name': 'a'}}, {'not': {'=': {'name': 'a'}}},
                {'or': [{'=': {'name': 'b'}}, {'=': {'name': 'c'}}]}]:
            self.assertEqual('b', self.names(query(expression)), expression)
        self.assertEqual('ba', self.names({'filter': None}))
        self.assertEqual('ba', self.names(query(
            {'=': {'project_id': 'p1'}})))
        self.assertEqual('cba', self.names({}, base.ADMIN))

    def test_who_names_another_project_is_told(self):
        for expression in [
                {'=': {'project_id': 'p2'}}, {'!=': {'project': 'p2'}},
                {'in': {'project_id': ['p1', 'p2']}},
                {'or': [{'not': {'=': {'project_id': 'p2'}}},
                        {'=': {'name': 'c'}}]}]:
            self.assertEqual('Not Authorized to access project p2', self.fault(
                401, 'post', '/v2/query/alarms', query(expression)))
        self.assertEqual('c', self.names(
            query({'=': {'project_id': 'p2'}}), base.ADMIN))

    def test_order_and_limit(self):
        self.assertEqual('ab', self.names(
            {'orderby': '[{"name": "ASC"}]', 'filter': ''}))
        self.assertEqual('ba', self.names(
            {'orderby': '[{"severity": "DESC"}, {"name": "asc"}]'}))
        self.assertEqual('b', self.names({'limit': 1}))

    def test_what_is_wrong_has_a_sentence(self):
        for doc, words in [
                (query({'<': {'enabled': True}}), 'true and false'),
                ([], 'object'), ({'foo': 1}, 'foo'), ({'limit': 0}, 'limit'),
                ({'limit': 'x'}, 'limit'),
                ({'filter': {}}, 'filter'), ({'filter': '{'}, 'filter'),
                ({'filter': '[]'}, 'Filter'), ({'filter': '{}'}, 'Filter'),
                (query({'~': {'name': 'a'}}), '"~"'),
                (query({'=~': {'name': '('}}), 'pattern'),
                (query({'=~': {'name': 'a{9}'}}), 'pattern'),
                (query({'=~': {'name': 'a$b'}}), 'pattern'),
                (query({'=~': {'name': '.*' * 9}}), '8 times'),
                (query({'=~': {'name': '|' * 20}}), '20 alternatives'),
                (query({'or': [{'=~': {'name': 'a|b'}}] * 451}), '900 parts'),
                (query({'=~': {'enabled': 'a'}}), 'for texts'),
                (query({'=': {'alarm_actions': 'a'}}), 'alarm_actions'),
                (query({'=': {'timestamp': 'x'}}), 'ISO 8601'),
                *((query({'=': {name: []}}), 'Value of field "%s"' % name)
                  for name in alarm_list.FIELDS),
                (query({'in': {'severity': [{}]}}), 'low, moderate'),
                ({'orderby': '{"name": "asc"}'}, 'orderby'),
                ({'orderby': '[7]'}, 'orderby'),
                ({'orderby': '[{"name": "up"}]'}, 'asc or desc'),
                ({'orderby': '[{"nope": "asc"}]'}, 'nope'),
                ({'orderby': json.dumps([{'name': 'asc'}] * 21)}, '20 items'),
                ({'orderby': '7'}, 'orderby')]:
            self.assertIn(words, self.fault(
                400, 'post', '/v2/query/alarms', doc), doc)


class HistoryTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.alarm_id = self.create(name='a')['alarm_id']
        self.call('put', '/v2/alarms/%s/state' % self.alarm_id, 'alarm')
        self.call('delete', '/v2/alarms/' + self.alarm_id, who=base.ADMIN)
        self.create(base.BOB, name='c')

    def types(self, doc, who=base.ALICE):
        return [record['type'] for record in self.call(
            'post', '/v2/query/alarms/history', doc, who)]

    def test_newest_first_of_the_project(self):
        self.assertEqual(['deletion', 'state transition', 'creation'],
                         self.types({}))
        self.assertEqual(['creation'], self.types({}, base.BOB))
        self.assertEqual(4, len(self.types({}, base.ADMIN)))

    def test_filters(self):
        for expression, expected in [
                ({'=': {'type': 'creation'}}, ['creation']),
                ({'=': {'alarm_id': self.alarm_id}},
                 ['deletion', 'state transition', 'creation']),
                ({'=': {'user_id': 'root'}}, ['deletion']),
                ({'=~': {'detail': '"state": "alarm"'}},
                 ['deletion', 'state transition']),
                ({'<': {'timestamp': '2000-01-01'}}, []),
                ({'=': {'on_behalf_of': 'p1'}},
                 ['deletion', 'state transition', 'creation'])]:
            self.assertEqual(expected, self.types(query(expression)),
                             expression)

    def test_order_and_limit(self):
        self.assertEqual(['creation', 'state transition'], self.types(
            {'orderby': '[{"timestamp": "asc"}]', 'limit': 2}))

    def test_who_names_another_project_is_told(self):
        self.assertEqual('Not Authorized to access project p2', self.fault(
            401, 'post', '/v2/query/alarms/history',
            query({'=': {'on_behalf_of': 'p2'}})))
        # NOTE: project_id is that of who made the change.
        self.assertEqual(['deletion'], self.types(
            query({'=': {'project_id': 'admin'}})))

    def test_what_is_wrong_has_a_sentence(self):
        for doc, words in [
                (query({'=': {'name': 'a'}}), '"name"'), ([], 'object'),
                ({'orderby': '[{"name": "asc"}]'}, '"name"')]:
            self.assertIn(words, self.fault(
                400, 'post', '/v2/query/alarms/history', doc), doc)

    def test_the_simple_list_has_filters(self):
        path = '/v2/alarms/%s/history?' % self.alarm_id
        for filters, expected in [
                ('q.field=type&q.op=eq&q.value=creation', ['creation']),
                ('q.field=type&q.op=ne&q.value=creation',
                 ['deletion', 'state transition']),
                ('q.field=user_id&q.value=root', ['deletion']),
                ('q.field=timestamp&q.op=lt&q.value=2000-01-01', []),
                ('q.field=timestamp&q.op=gt&q.value=2000-01-01'
                 '&q.field=type&q.op=eq&q.value=deletion', ['deletion'])]:
            self.assertEqual(
                expected, [r['type'] for r in self.call(
                    'get', path + filters)], filters)
        for filters, words in [
                ('q.field=name&q.value=a', '"name"'),
                ('q.field=type', 'q.value'),
                ('q.field=type&q.op=like&q.value=a', 'q.op'),
                ('q.field=timestamp&q.value=a', 'ISO 8601'),
                ('marker=x', 'Marker x'), ('sort=type:up', 'asc or desc')]:
            self.assertIn(words, self.fault(400, 'get', path + filters))
