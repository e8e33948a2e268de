# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-manage fault: what it prints."""

import io
import os
from unittest import mock

from doctor_alarm.evaluator import engine
from doctor_alarm import fault
from doctor_alarm.tests import faults
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit import test_manage

SECOND = 1000000


class FaultTest(test_manage.CommandTestCase):

    def setUp(self):
        super().setUp()
        self.url = 'sqlite:///' + os.path.join(self.folder, 'test.db')
        self.db = self.useFixture(storage.Storage(self.url)).db
        self.engine = engine.Engine(self.db, lambda hint: None, lease=15)

    def given(self, message_id='m1', kind=fault.HOST_DOWN, outcomes=(),
              **traits):
        root = faults.root(message_id, kind, seconds=-10, **traits)
        start = root.generated_us
        events = faults.derived(
            root, {'vm1': 'p1', 'vm2': 'p2'}, found_at=start + SECOND)
        self.engine.process(events)
        for outcome, second, reason in outcomes:
            self.engine.process(faults.outcomes(
                events, start + second * SECOND, outcome, reason))

    def run_fault(self, *arguments):
        printed = io.StringIO()
        with mock.patch('sys.stdout', printed):
            self.assertEqual((0, ''), self.run_command(
                'fault', *arguments, url=self.url))
        return printed.getvalue()

    def row(self, text, stage):
        line, = (line for line in text.split('\n')
                 if line.startswith('| %s ' % stage))
        return [cell.strip() for cell in line.strip('|').split('|')][1:]

    def test_the_newest_first(self):
        self.given('m1')
        self.given('m2', fault.HOST_UP)

        lines = self.run_fault('list').splitlines()
        self.assertEqual(['m2', 'm1'], [line.split()[0] for line in lines])
        self.assertIn('host failure: h1  affected 2', lines[0])
        line, = self.run_fault('list', '--status', 'down').splitlines()
        self.assertIn('compute.host.down', line)
        self.assertEqual(1, len(self.run_fault(
            'list', '--limit', '1').splitlines()))

    def test_the_table(self):
        self.given(outcomes=[('done', 3, '')])

        text = self.run_fault('show', 'm1')

        self.assertEqual(['occurred', '-', '-', '-'], self.row(text, 'T00'))
        for stage, name, second in (
                ('T01', 'raw failure', 0), ('T02', 'found affected', 1),
                ('T03', 'set server error', 3),
                ('T04', 'marked host down', 3),
                ('T05', 'notified server error', 1)):
            found, _time, first, last = self.row(text, stage)
            self.assertEqual(
                (name, 2 * ('%d.0' % (second * 1000),)),
                (found, (first, last)))
        self.assertEqual(['received alarm', '-', '-', '-'],
                         self.row(text, 'T09'))
        for said in ('fault m1', 'of ping', 'h1 is dead', 'force_down: done',
                     '0 of 0 notifications', 'reset_state done'):
            self.assertIn(said, text)

    def test_it_counts_from_when_it_began(self):
        self.given(occurred_at='2001-01-01T00:00:00')

        text = self.run_fault('show', 'm1')

        self.assertEqual('0.0', self.row(text, 'T00')[2])
        self.assertGreater(float(self.row(text, 'T01')[2]), 1e9)

    def test_what_did_not_work(self):
        self.given(outcomes=[('failed', 3, 'HTTP 500')])

        text = self.run_fault('show', 'm1')

        self.assertEqual('-', self.row(text, 'T03')[2])
        self.assertIn('force_down: failed (HTTP 500)', text)

    def test_there_is_none(self):
        self.assertEqual('', self.run_fault('list'))
        for id_ in ('nope', '\xe9'):
            line = self.refused('fault', 'show', id_, url=self.url)
            self.assertIn(id_, line)
            self.assertNotIn('Not foreseen', line)

    def test_no_schema(self):
        line = self.refused(
            'fault', 'list', url='sqlite:///%s/empty.db' % self.folder)

        self.assertIn('db sync', line)
