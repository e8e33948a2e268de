# SPDX-License-Identifier: Apache-2.0

import json
from unittest import mock
import uuid

import fixtures
from oslo_db import exception as db_exc
import sqlalchemy as sa

from doctor_alarm.api import alarm_export
from doctor_alarm.api import alarm_import
from doctor_alarm import credential
from doctor_alarm.db import models
from doctor_alarm import exception
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.tests.unit.api import base

SCHEMES = frozenset(('http',))


class ImportTestCase(base.ApiTestCase):

    def prepare(self):
        self.key_file = self.conf.credential.key_file

    def load(self, *lines, **terms):
        self.loaded = alarm_import.load(self.db, [
            line if isinstance(line, str) else json.dumps(line)
            for line in lines], self.terms(**terms))
        return self.loaded.count

    def terms(self, **terms):
        return alarm_import.Terms(
            schemes=SCHEMES, vault=credential.make(self.conf), **terms)

    def stored(self):
        return self.call('get', '/v2/alarms', who={})

    def line(self, **values):
        return self.alarm(**{'project_id': 'p1', 'user_id': 'alice', **values})


class ImportTest(ImportTestCase):

    def complaint(self, *lines):
        error = self.assertRaises(exception.Invalid, self.load, *lines)
        self.assertEqual([], self.stored())
        return str(error)

    def test_what_the_api_returned_comes_back_as_it_was(self):
        created = self.create(alarm_actions=['http://a/'])
        self.call('put', '/v2/alarms/%s/state' % created['alarm_id'], 'alarm')
        seen = self.call('get', '/v2/alarms/' + created['alarm_id'])
        self.call('delete', '/v2/alarms/' + created['alarm_id'])

        self.assertEqual(1, self.load(seen))

        self.assertEqual(
            seen, self.call('get', '/v2/alarms/' + created['alarm_id']))

    def test_how_deliveries_age(self):
        self.load(self.line(delivery={'max_age': 60}))

        self.assertEqual({'max_age': 60}, self.stored()[0]['delivery'])

    def test_new_ones_get_an_id(self):
        self.assertEqual(2, self.load(self.line(), '', self.line()))

        self.assertEqual(2, len({a['alarm_id'] for a in self.stored()}))

    def test_bad_lines_are_told_with_their_numbers(self):
        complaint = self.complaint(
            self.line(), '{', '', self.alarm(), self.line(foo=1),
            self.line(alarm_actions=['smtp://a/']),
            self.line(alarm_id='not an id'), self.line(timestamp='today'),
            self.line(user_id=7), '[]', self.line(alarm_id='A' * 36),
            self.line(alarm_id=str(uuid.uuid4()).upper()))

        for number, words in [
                (2, 'not valid JSON'), (4, 'project_id'), (5, 'foo'),
                (6, 'Unsupported action'), (7, 'alarm_id'),
                (8, 'timestamp'), (9, 'user_id'), (10, 'an object'),
                (11, 'UUID'), (12, 'UUID')]:
            line, = [text for text in complaint.splitlines()
                     if text.startswith('line %d:' % number)]
            self.assertIn(words, line)
        self.assertNotIn('line 1:', complaint)

    def test_it_stops_after_many(self):
        complaint = self.complaint(*['x'] * 100)

        self.assertEqual(alarm_import.MAX_COMPLAINTS + 1,
                         len(complaint.splitlines()))

    def test_nothing_is_half_imported(self):
        many = [self.line(name=str(n)) for n in range(1200)]

        self.assertIn('line 1201:', self.complaint(*many, '{'))

    def test_an_id_that_there_is(self):
        twice = self.line(alarm_id=str(uuid.uuid4()))

        self.assertEqual(
            'line 702: Alarm %s exists already' % twice['alarm_id'],
            self.complaint(twice, *[self.line()] * 700, twice))

    def test_what_is_for_other_services_is_left_out(self):
        threshold = {'alarm_id': 'x', 'name': 'cpu', 'type': 'threshold',
                     'threshold_rule': {'meter_name': 'cpu'}}

        self.assertEqual(1, self.load(threshold, self.line(), {
            'alarm_id': 'y', 'name': 'both', 'type': 'composite',
            'composite_rule': {'or': [{'and': [
                {'type': 'event'}, {'type': 'prometheus', 'query': 'x'}]}]},
            'project_id': 'p', 'alarm_actions': []}))

        self.assertEqual(1, len(self.stored()))
        first, second = self.loaded.left_out
        self.assertIn('line 1: x "cpu" (threshold): Metric alarms', first)
        self.assertIn('line 3: y "both" (composite): Metric alarms', second)

    def test_what_is_wrong_can_be_left_out_too(self):
        self.assertEqual(1, self.load(
            '{', self.line(), self.line(foo=1), partial=True))

        self.assertEqual(['line 1', 'line 3'], [
            said.partition(':')[0] for said in self.loaded.left_out])

    def test_rows_of_a_list(self):
        whole = self.create()
        self.call('delete', '/v2/alarms/' + whole['alarm_id'])
        row = {name: whole[name] for name in (
            'alarm_id', 'type', 'name', 'state', 'severity', 'enabled')}

        self.assertEqual(0, self.load(row))
        self.assertIn('--aodh', self.loaded.left_out[0])
        self.assertEqual(1, self.load(
            row, complete=lambda found: {**found, **whole}))

        self.assertEqual([whole], self.stored())

    def test_receivers_where_none_may_be(self):
        asked = []

        def permits(host):
            asked.append(host)
            return host != 'metadata'

        self.assertIn('http://metadata/ is not allowed', str(
            self.assertRaises(
                exception.Invalid, self.load,
                self.line(alarm_actions=['http://good/']),
                self.line(ok_actions=['http://metadata/']),
                permits=permits)))
        self.assertEqual(['good', 'metadata'], asked)

    def test_a_deadlock_is_overcome(self):
        insert = alarm_bulk._insert
        self.useFixture(fixtures.MockPatchObject(
            alarm_bulk, '_insert', side_effect=[
                db_exc.DBDeadlock(), mock.DEFAULT], wraps=insert))

        self.assertEqual(1, self.load(
            self.line(), {'name': 'cpu', 'type': 'threshold'}))

        # then: nothing is there twice
        self.assertEqual(1, len(self.stored()))
        self.assertEqual(1, len(self.loaded.left_out))

    def test_what_can_be_read_once_is_not_read_again(self):
        """Given a deadlock: better an error than half of it."""
        self.useFixture(fixtures.MockPatchObject(
            alarm_bulk, '_insert', side_effect=db_exc.DBDeadlock))

        self.assertRaises(
            db_exc.DBDeadlock, alarm_import.load, self.db,
            iter([json.dumps(self.line())]), self.terms())


class ExportTest(ImportTestCase):
    """What is exported comes back as it was."""

    URLS = ['http://a/', 'http://bob:hush@b/', 'http://c/?token=hush']

    def setUp(self):
        super().setUp()
        self.create(alarm_actions=self.URLS, ok_actions=self.URLS[1:2],
                    description='d', severity='critical', enabled=False,
                    resource_id='vm1', repeat_actions=True,
                    time_constraints=[{
                        'name': 'n', 'start': '0 8 * * *', 'duration': 60,
                        'timezone': 'Europe/Berlin'}],
                    event_rule={**base.RULE, 'clear': base.RULE})
        self.create(who=base.ADMIN, event_rule={
            **base.RULE, 'scope': 'cloud'}, state='ok')
        self.create(who=base.BOB)

    def export(self, **options):
        return list(alarm_export.lines(self.db, **options))

    def replaced(self, lines, **terms):
        """Import instead of what there is."""
        with self.db.writer() as conn:
            for table in (models.alarm_key, models.alarm):
                conn.execute(sa.delete(table))
        self.assertEqual(len(lines), self.load(*lines, **terms))

    def check(self, lines):
        shown = self.stored()
        self.replaced(lines)
        self.assertEqual(shown, self.stored())

    def test_with_encrypted_credentials(self):
        lines = self.export()

        self.assertEqual(3, len(lines))
        self.assertNotIn('hush', ''.join(lines))
        self.check(lines)
        self.assertEqual(lines, self.export())

    def test_with_credentials_as_they_are(self):
        vault = credential.make(self.conf)
        lines = self.export(vault=vault)

        self.assertIn(self.URLS, [
            json.loads(line)['alarm_actions'] for line in lines])
        self.check(lines)
        # then: they are encrypted anew
        self.assertEqual(lines, self.export(vault=vault))
        self.assertNotIn('hush', ''.join(self.export()))

    def test_many(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.api.alarm_export.CHUNK', 1))

        self.assertEqual(3, len({json.loads(line)['alarm_id']
                                 for line in self.export()}))

    def test_of_a_project(self):
        found, = self.export(project_id='p2')

        self.assertEqual('p2', json.loads(found)['project_id'])

    def test_with_a_key_that_is_lost(self):
        lines = self.export()
        with open(self.key_file, 'w') as file:
            file.write(credential.new_key())

        error = self.assertRaises(exception.Invalid, self.load, *lines)
        self.assertIn('can not be decrypted', str(error))
        self.assertNotIn('hush', str(error))
        self.assertRaises(exception.Sealed, self.export,
                          vault=credential.make(self.conf))

    def test_what_is_encrypted_is_checked_as_well(self):
        """Given an export that somebody has edited."""
        line = json.loads(next(
            line for line in self.export() if 'http://b' in line
            or '@b/' in line))
        vault = credential.make(self.conf)
        line['alarm_actions'] = [vault.seal('http://x:y@metadata/').replace(
            'metadata', 'harmless', 1)]

        self.assertRaises(
            exception.Invalid, self.load, line,
            permits=lambda host: host != 'metadata')
