# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.tests.unit.api import base


class QuotaTest(base.ApiTestCase):

    def show(self, who=base.ALICE, query=''):
        found = self.call('get', '/v2/quotas' + query, who=who)
        self.assertEqual({'project_id', 'quotas'}, set(found))
        return found['project_id'], {
            item['resource']: item['limit'] for item in found['quotas']}

    def limit(self, limit, project_id='p1'):
        return self.call('post', '/v2/quotas', {
            'project_id': project_id,
            'quotas': [{'resource': 'alarms', 'limit': limit}]}, base.ADMIN)

    def test_defaults(self):
        self.assertEqual(('p1', {'alarms': -1}), self.show())

        self.conf.set_override('project_alarm_quota', 7, group='api')

        self.assertEqual(('p1', {'alarms': 7}), self.show())
        self.assertEqual(('p2', {'alarms': 7}), self.show(
            base.ADMIN, '?project_id=p2'))
        self.assertEqual(('p2', {'alarms': 7}), self.show(
            base.ADMIN, '/p2'))

    def test_an_admin_sets_them(self):
        set_to = self.limit(3)

        self.assertEqual(201, self.answer.status_int)
        self.assertEqual({'project_id': 'p1', 'quotas': [
            {'resource': 'alarms', 'limit': 3}]}, set_to)
        self.assertEqual(('p1', {'alarms': 3}), self.show())
        self.limit(4)
        self.assertEqual(('p1', {'alarms': 4}), self.show(base.READER))
        self.assertEqual(('p2', {'alarms': -1}), self.show(base.BOB))

        self.call('delete', '/v2/quotas/p1', who=base.ADMIN)

        self.assertEqual(204, self.answer.status_int)
        self.assertEqual(('p1', {'alarms': -1}), self.show())

    def test_nothing_to_set(self):
        self.limit(3)
        for doc in ({'project_id': 'p1'}, {'project_id': 'p1', 'quotas': []}):
            self.assertEqual(3, self.call(
                'post', '/v2/quotas', doc, base.ADMIN)['quotas'][0]['limit'])

    def test_who_may(self):
        doc = {'project_id': 'p1', 'quotas': []}
        for who in (base.ALICE, base.READER, base.NO_ROLE):
            self.fault(403, 'post', '/v2/quotas', doc, who)
            self.fault(403, 'delete', '/v2/quotas/p1', who=who)
        self.fault(403, 'get', '/v2/quotas', who=base.NO_ROLE)
        for path in ('/v2/quotas?project_id=p2', '/v2/quotas/p2'):
            self.assertEqual('Not Authorized to access project p2',
                             self.fault(401, 'get', path))

    def test_what_is_wrong_has_a_sentence(self):
        good = {'resource': 'alarms', 'limit': 1}
        for doc, words in [
                ([], 'object'), ({}, 'project_id'),
                ({'project_id': ''}, 'project_id'),
                ({'project_id': 7}, 'project_id'),
                ({'project_id': 'p1', 'foo': 1}, 'foo'),
                ({'project_id': 'p1', 'quotas': 1}, 'quotas'),
                ({'project_id': 'p1', 'quotas': [{}]}, 'quotas[0].resource'),
                ({'project_id': 'p1', 'quotas': [dict(good, limit=-2)]},
                 'quotas[0].limit'),
                ({'project_id': 'p1', 'quotas': [dict(good, limit=2 ** 40)]},
                 'quotas[0].limit'),
                ({'project_id': 'p1', 'quotas': [dict(good, resource='x')]},
                 'one of: alarms')]:
            self.assertIn(words, self.fault(
                400, 'post', '/v2/quotas', doc, base.ADMIN), doc)
        self.assertIn('foo', self.fault(400, 'get', '/v2/quotas?foo=1'))
        self.assertIn('NUL', self.fault(
            400, 'get', '/v2/quotas?project_id=%00', who=base.ADMIN))
        self.assertIn('project_id', self.fault(
            400, 'get', '/v2/quotas', who={'X-Roles': 'admin'}))

    def test_a_project_gets_no_more(self):
        self.limit(2)
        first = self.create()
        self.create()

        self.assertEqual(
            'Alarm quota exceeded for user alice on project p1',
            self.fault(403, 'post', '/v2/alarms', self.alarm()))
        self.assertIn('quota', self.fault(
            403, 'post', '/v2/alarms', self.alarm(project_id='p1'),
            base.ADMIN))
        self.create(base.BOB)

        self.call('delete', '/v2/alarms/' + first['alarm_id'])
        self.create()
        self.limit(-1)
        self.create()

    def test_none_at_all(self):
        self.conf.set_override('project_alarm_quota', 0, group='api')

        self.fault(403, 'post', '/v2/alarms', self.alarm())

    def test_a_user_gets_no_more_in_all_projects(self):
        self.conf.set_override('user_alarm_quota', 2, group='api')
        elsewhere = dict(base.ALICE, **{'X-Project-Id': 'p2'})
        self.create()
        self.create(elsewhere)

        for who in (base.ALICE, elsewhere):
            self.fault(403, 'post', '/v2/alarms', self.alarm(), who)
        self.create(base.BOB)

    def test_a_put_needs_no_room(self):
        path = '/v2/alarms/' + self.create()['alarm_id']
        self.limit(0)

        self.call('put', path, self.alarm(name='renamed'))
