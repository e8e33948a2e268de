# SPDX-License-Identifier: Apache-2.0
"""The expectations notice what they are for."""

import fixtures

from doctor_alarm.tests import base
from doctor_alarm.tests.functional.faults import expectations
from doctor_alarm.tests.functional.faults import scene
from doctor_alarm.tests.functional.faults import table


class Told(scene.Scene):
    """A scene of which only the receiver is there."""

    def _open(self):
        self.begin()
        self.expected = {'a': ['alarm', 'ok', 'alarm']}

    def tell_of(self, *notifications):
        self.receiver.bodies += [
            {'alarm_id': 'a', 'notification_id': name, 'sequence': sequence,
             'current': current, '_at': self.sent_at + 3}
            for name, sequence, current in notifications]


GOOD = (('n1', 1, 'alarm'), ('n2', 2, 'ok'), ('n3', 3, 'alarm'))


class ExpectationsTest(base.TestCase):

    def count(self, *notifications, **kwargs):
        told = self.useFixture(Told())
        told.tell_of(*notifications)
        result = expectations.Result('test')
        expectations._count(told, result)
        return result, expectations._complaints(
            table.Fault('test', '', None, **kwargs), result)

    def test_everything_in_order(self):
        result, complaints = self.count(*GOOD)
        self.assertEqual([], complaints)
        self.assertAlmostEqual(3, result.drain, 2)

    def test_one_lost(self):
        for missing in range(3):
            result, complaints = self.count(
                *GOOD[:missing], *GOOD[missing + 1:])
            self.assertEqual(1, result.lost)
            self.assertEqual(['lost: 1'], complaints)

    def test_one_invented(self):
        result, complaints = self.count(*GOOD, ('n4', 4, 'alarm'))
        self.assertEqual(1, result.invented)
        self.assertEqual(['invented: 1'], complaints)

    def test_two_exchanged(self):
        result, complaints = self.count(GOOD[0], GOOD[2], GOOD[1])
        self.assertEqual(1, result.disordered)
        self.assertEqual(['disordered: 1'], complaints)

    def test_a_repetition_where_answers_were_lost(self):
        result, complaints = self.count(*GOOD, GOOD[2], answers_lost=True)
        self.assertEqual(1, result.duplicates)
        self.assertEqual([], complaints)

    def test_a_repetition_where_no_answer_was_lost(self):
        _result, complaints = self.count(GOOD[0], *GOOD)
        self.assertEqual(
            ['1 duplicates, and no answer was lost'], complaints)

    def test_an_api_that_never_works_again(self):
        """It would be asked for ever."""
        told = self.useFixture(Told())
        told.url = 'http://127.0.0.1:1'
        self.useFixture(fixtures.MonkeyPatch(
            '%s.PATIENCE' % scene.__name__, 0.2))
        result = expectations.Result('test')
        expectations._go_on(told, result)
        self.assertIn('refused for 0.2 s', result.wedged)

    def levels(self, before, after):
        told = self.useFixture(Told())
        self.useFixture(fixtures.MonkeyPatch(
            '%s.SETTLE' % expectations.__name__, 0.1))
        told.levels = lambda: {'notifier': scene.Level(*after)}
        result = expectations.Result('test')
        expectations._levels(
            told, {'notifier': scene.Level(*before)}, result)
        return result

    def test_a_bit_more_memory(self):
        result = self.levels((100, 20, 10), (110.4, 30, 12))
        self.assertEqual({'notifier': (100, 110)}, result.memory)
        self.assertEqual([], result.complaints)

    def test_what_is_kept_without_need(self):
        result = self.levels((100, 20, 10), (140, 220, 40))
        self.assertEqual(
            ['notifier: from 100 to 140 mb',
             'notifier: from 20 to 220 files',
             'notifier: from 10 to 40 threads'], result.complaints)

    def test_more_than_any_part_needs(self):
        result = self.levels((149, 20, 10), (152, 20, 10))
        self.assertEqual(['notifier: 152 MB'], result.complaints)


class TableTest(base.TestCase):

    def test_the_subset_exists(self):
        for database, names in table.SUBSET.items():
            self.assertEqual(
                [], [n for n in names if n not in table.names(database)])
