# SPDX-License-Identifier: Apache-2.0

import fixtures

from doctor_alarm import exception
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import query
from doctor_alarm.tests import base
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.objects import test_alarm

NEWEST_FIRST = alarm_list.NEWEST_FIRST


class ListedAlarms:
    """Filters, order and pages, on every database."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.url())).db
        alarm_bulk.import_all(self.db, [
            test_alarm.an_alarm(name='a', severity='low', timestamp=1,
                                project_id='p1'),
            test_alarm.an_alarm(name='b', severity='critical', timestamp=2,
                                enabled=False),
            test_alarm.an_alarm(name='c', severity='moderate', timestamp=2,
                                project_id='p2', state='ok'),
            test_alarm.an_alarm(name='d', severity='low', timestamp=3_000000,
                                project_id='p2'),
        ])

    def url(self):
        return None

    def find(self, expression=None, **page):
        condition = None
        if expression is not None:
            condition = query.condition(alarm_list.FIELDS, expression)
        with self.db.reader() as conn:
            return alarm_list.find(conn, condition, query.Page(**page))

    def names(self, *args, **kwargs):
        return ''.join(a.name for a in self.find(*args, **kwargs))

    def test_filters(self):
        for expression, expected in [
                ({'=': {'name': 'b'}}, 'b'),
                ({'=': {'enabled': 'false'}}, 'b'),
                ({'=': {'enabled': True}}, 'acd'),
                ({'!=': {'severity': 'low'}}, 'bc'),
                ({'>': {'severity': 'low'}}, 'bc'),
                ({'in': {'name': ['a', 'd', 'x']}}, 'ad'),
                ({'and': [{'=': {'project_id': 'p2'}},
                          {'=': {'state': 'ok'}}]}, 'c'),
                ({'or': [{'=': {'name': 'a'}},
                         {'not': {'=': {'project_id': 'p1'}}}]}, 'acd'),
                ({'>=': {'timestamp': '1970-01-01T00:00:03'}}, 'd')]:
            self.assertEqual(
                expected, self.names(expression, sort=[('name', 'asc')]),
                expression)

    def test_sort_by_several_keys(self):
        self.assertEqual('bcda', self.names(
            sort=[('severity', 'desc'), ('name', 'desc')]))

    def test_pages_meet_whatever_the_order(self):
        for sort in ([('timestamp', 'desc')], [('severity', 'asc')],
                     [('project_id', 'desc'), ('timestamp', 'asc')], []):
            whole = [a.id for a in self.find(sort=sort)]
            paged, marker = [], None
            while page := self.find(sort=sort, limit=1, marker=marker):
                paged.append(page[0].id)
                marker = page[0].id
            self.assertEqual(whole, paged, sort)
            self.assertEqual(4, len(set(whole)))

    def test_a_page_that_fits_is_read_at_once(self):
        found = self.find(sort=NEWEST_FIRST, limit=2)
        self.assertEqual((2, True), (len(found), found.is_cut))
        for limit in (None, 5, 1000):
            found = self.find(sort=NEWEST_FIRST, limit=limit)
            self.assertEqual((4, False), (len(found), found.is_cut))

    def test_huge_alarms_make_short_pages(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.page.MAX_SIZE', 5_000_000))
        alarm_bulk.import_all(self.db, [
            test_alarm.an_alarm(name='big', description=2_000_000 * 'x')
            for _ in range(12)])
        for limit in (None, 10_000, 16, 5):
            seen, pages, marker = [], 0, None
            while page := self.find(
                    sort=NEWEST_FIRST, limit=limit, marker=marker):
                seen += [a.id for a in page]
                marker, pages = seen[-1], pages + 1
                self.assertLessEqual(len(page), 4)
                if not page.is_cut:
                    break
            self.assertEqual((16, 16), (len(seen), len(set(seen))))
            self.assertGreater(pages, 3)
        # then: the connection of a page that was cut hurts nobody
        self.assertEqual('abcd', self.names(
            {'!=': {'name': 'big'}}, sort=[('name', 'asc')]))

    def test_what_is_wrong_has_a_sentence(self):
        for expression, words in [
                ([], 'must be an object'), ({}, 'must be an object'),
                ({'=': 'x'}, 'takes an object of one field'),
                ({'~': {'name': 'x'}}, 'Operator "~"'),
                ({'=': {'nope': 'x'}}, 'Field "nope"'),
                ({'=': {'name': 1}}, 'must be a text'),
                ({'=': {'name': 'a\0'}}, 'NUL'),
                ({'=': {'name': '\ud800'}}, 'valid Unicode'),
                ({'=': {'type': 'é'}}, 'ASCII'),
                ({'=': {'severity': 'bad'}}, 'one of low'),
                ({'=': {'enabled': 'maybe'}}, 'true or false'),
                ({'=': {'timestamp': 'today'}}, 'ISO 8601'),
                ({'in': {'name': []}}, 'list of 1'),
                ({'and': {}}, 'takes a list')]:
            error = self.assertRaises(exception.Invalid, self.find,
                                      expression)
            self.assertIn(words, str(error))
        deep = {'=': {'name': 'x'}}
        for _ in range(query.MAX_DEPTH + 1):
            deep = {'not': deep}
        error = self.assertRaises(exception.Invalid, self.find, deep)
        self.assertIn('too deeply', str(error))

    def test_wrong_pages(self):
        for page in ({'marker': 'nope'}, {'marker': 'é'},
                     {'sort': [('nope', 'asc')]},
                     {'sort': [('name', 'up')]}):
            self.assertRaises(exception.Invalid, self.find, **page)

    def test_a_marker_of_another_list_is_unknown(self):
        other = self.find({'=': {'project_id': 'p2'}})[0].id

        self.assertRaises(exception.Invalid, self.find,
                          {'=': {'project_id': 'p1'}}, marker=other)


class SqliteAlarmListTest(ListedAlarms, base.TestCase):
    pass
