# SPDX-License-Identifier: Apache-2.0

import logging
import threading

import fixtures
import hypothesis
from hypothesis import strategies as st
import prometheus_client

from doctor_alarm.monitors import buffer
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.monitors import recorder


def dropped(reason):
    return prometheus_client.REGISTRY.get_sample_value(
        'doctor_alarm_monitor_dropped_total', {'reason': reason}) or 0


def told(findings):
    return [(finding.subject, finding.status) for finding in findings]


class BufferTest(base.TestCase):

    def test_first_in_first_out(self):
        waiting = buffer.Buffer(10)
        down, up = recorder.down(), recorder.up()
        for finding in (down, up):
            waiting.put(finding)

        self.assertEqual([down], waiting.take(1, 0))
        self.assertEqual([up], waiting.take(5, 0))
        self.assertEqual([], waiting.take(5, 0))

    def test_taking_waits(self):
        waiting = buffer.Buffer(10)
        found = []
        taker = threading.Thread(
            target=lambda: found.extend(waiting.take(5, 60)))
        taker.start()
        waiting.put(recorder.down())
        taker.join(60)

        self.assertEqual([('host/h1', 'down')], told(found))

    def test_when_full_the_superseded_go_first(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        before = dropped('superseded'), dropped('overflow')
        waiting = buffer.Buffer(4)
        for finding in (recorder.down('h1'), recorder.down('h2'),
                        recorder.up('h2'), recorder.down('h3')):
            waiting.put(finding)

        waiting.put(recorder.down('h4'))
        self.assertEqual((before[0] + 1, before[1]),
                         (dropped('superseded'), dropped('overflow')))
        waiting.put(recorder.down('h5'))
        self.assertEqual((before[0] + 1, before[1] + 1),
                         (dropped('superseded'), dropped('overflow')))

        self.assertEqual(
            [('host/h2', 'up'), ('host/h3', 'down'), ('host/h4', 'down'),
             ('host/h5', 'down')], told(waiting.take(10, 0)))
        self.assertEqual(1, log.output.count('More than 4 findings wait'))

    def test_it_is_said_again_the_next_time(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        waiting = buffer.Buffer(1)
        for _ in range(2):
            for name in 'abc':
                waiting.put(recorder.down(name))
            self.assertEqual([('host/c', 'down')],
                             told(waiting.take(10, 0)))

        self.assertEqual(2, log.output.count('More than 1 findings wait'))

    @fuzzing.settings
    @hypothesis.given(
        size=st.integers(1, 6), steps=st.lists(st.tuples(
            st.sampled_from(['put', 'put', 'put', 'take']),
            st.integers(0, 4)), max_size=60))
    def test_the_last_word_about_a_subject_is_kept(self, size, steps):
        with fixtures.FakeLogger():
            waiting = buffer.Buffer(size)
            taken, last = [], {}
            for number, (what, which) in enumerate(steps):
                if what == 'take':
                    taken += waiting.take(which, 0)
                    continue
                finding = (recorder.up if number % 2 else recorder.down)(
                    'h%d' % which)
                waiting.put(finding)
                last[finding.subject] = finding
                self.assertLessEqual(len(waiting), size)
            taken += waiting.take(100, 0)

        # in order, and none twice
        times = [finding.time for finding in taken]
        self.assertEqual(sorted(times), times)
        self.assertEqual(len(taken), len({f.found_id for f in taken}))
        # with room for every subject, none lacks its last word
        if size >= 5:
            self.assertEqual(
                {f.found_id for f in last.values()} - {
                    f.found_id for f in taken}, set())
