# SPDX-License-Identifier: Apache-2.0

import datetime

from doctor_alarm import constraint
from doctor_alarm.tests import base

OFFICE = {'start': '0 8 * * mon-fri', 'duration': 36000,
          'timezone': 'Europe/Berlin'}


def at(text):
    return datetime.datetime.fromisoformat(text).replace(
        tzinfo=datetime.UTC)


class PermitsTest(base.TestCase):

    def check(self, *rows, constraints=(OFFICE,)):
        for moment, expected in rows:
            self.assertEqual(
                expected, constraint.permits(constraints, at(moment)), moment)

    def test_none_permits_always(self):
        self.check(('2026-11-20T03:00:00', True), constraints=())

    def test_from_the_first_moment_to_the_last(self):
        # Friday; Berlin is an hour ahead.
        self.check(('2026-11-20T06:59:59.999999', False),
                   ('2026-11-20T07:00:00', True),
                   ('2026-11-20T07:00:00.000001', True),
                   ('2026-11-20T17:00:00', True),
                   ('2026-11-20T17:00:00.000001', False))

    def test_days_of_the_week(self):
        self.check(('2026-11-21T09:00:00', False),
                   ('2026-11-22T09:00:00', False),
                   ('2026-11-23T09:00:00', True))

    def test_summer_time(self):
        self.check(('2026-07-17T06:00:00', True),
                   ('2026-07-17T05:59:59', False),
                   ('2026-07-17T16:00:01', False))

    def test_nights_in_which_the_clock_is_changed(self):
        night = [{'start': '0 0 * * *', 'duration': 6 * 3600,
                  'timezone': 'Europe/Berlin'}]
        # Six hours from midnight, whatever the clock says then.
        self.check(('2026-03-28T23:00:00', True),
                   ('2026-03-29T05:00:00', True),
                   ('2026-03-29T05:00:01', False),
                   ('2026-10-24T22:00:00', True),
                   ('2026-10-25T04:00:00', True),
                   ('2026-10-25T04:00:01', False), constraints=night)

    def test_a_start_that_the_change_of_the_clock_skips(self):
        skipped = [{'start': '30 2 * * *', 'duration': 600,
                    'timezone': 'Europe/Berlin'}]
        self.check(('2026-03-28T01:35:00', True),
                   ('2026-03-29T00:59:00', False),
                   ('2026-03-30T00:35:00', True), constraints=skipped)

    def test_over_midnight(self):
        self.check(('2026-11-20T23:00:00', True),
                   ('2026-11-21T01:59:59', True),
                   ('2026-11-21T02:00:01', False), constraints=[
                       {'start': '0 22 * * fri', 'duration': 4 * 3600,
                        'timezone': ''}])

    def test_any_of_several(self):
        self.check(('2026-11-21T12:00:00', True),
                   ('2026-11-22T12:00:00', False), constraints=[
                       OFFICE, {'start': '0 0 * * sat', 'duration': 86399,
                                'timezone': ''}])

    def test_events_of_one_minute_ask_for_it_once(self):
        read = constraint._start_before.cache_info
        before = read().misses
        for second in range(60):
            self.check(('2031-04-07T09:00:%02d.5' % second, True))
        self.assertEqual(1, read().misses - before)

    def test_longer_than_any_date(self):
        for duration in (10 ** 14, 10 ** 400):
            self.check(('2026-11-20T03:00:00', True),
                       constraints=[{**OFFICE, 'duration': duration}])

    def test_seconds(self):
        self.check(('2026-11-20T12:00:30', True),
                   ('2026-11-20T12:00:35', True),
                   ('2026-11-20T12:00:36', False), constraints=[
                       {'start': '* * * * * 30', 'duration': 5,
                        'timezone': ''}])


class CheckTest(base.TestCase):

    def test_what_is_right(self):
        for start in ('0 8 * * *', '*/5 0-6 1,15 * mon', '0 0 29 2 *',
                      '* * * * * 30', '0 0 * mar,apr fri'):
            self.assertIsNone(
                constraint.complaint(start, 'Europe/Berlin'), start)

    def test_what_is_wrong_has_a_sentence(self):
        for start, zone, words in [
                ('8', '', '5 or 6 fields'),
                ('0 0 1 1 * 0 2020', '', '5 or 6 fields'),
                ('@daily', '', '5 or 6 fields'),
                ('61 * * * *', '', 'not a cron expression'),
                ('*/0 * * * *', '', 'not a cron expression'),
                ('0 0 30 2 *', '', 'not a cron expression'),
                ('0 0 29 2 sun#5', '', 'not a cron expression'),
                ('a b c d e', '', 'not a cron expression'),
                ('R R * * *', '', 'chance'), ('H H * * *', '', 'chance'),
                ('0 8 * * *', 'Mars/Olympus', 'Timezone Mars/Olympus'),
                ('0 8 * * *', '../etc/passwd', 'not valid'),
                ('0 8 * * *', 'x' * 300, 'not valid')]:
            self.assertIn(
                words, constraint.complaint(start, zone)[1], (start, zone))
