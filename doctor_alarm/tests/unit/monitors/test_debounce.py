# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.monitors import debounce
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing

STEP = 1.0


def play(machine, text, start=0.0, step=STEP):
    """Observe "+" and "-", one per step; return (time, state) reported."""
    told = []
    for number, letter in enumerate(text):
        now = start + number * step
        state = machine.observe(letter == '+', now)
        if state:
            told.append((now, state))
    return told


class DebounceTest(base.TestCase):

    def states(self, text, down_after=3, up_after=2, hold_down=0.0,
               down=False):
        machine = debounce.Debouncer(down_after, up_after, hold_down, down)
        return play(machine, text)

    def test_down_after_losses_in_a_row(self):
        self.assertEqual([], self.states('++--+--+--'))
        self.assertEqual([(4.0, 'down')], self.states('++---'))

    def test_up_after_answers_in_a_row(self):
        self.assertEqual([(2.0, 'down')], self.states('---+-+-+-'))
        self.assertEqual([(2.0, 'down'), (4.0, 'up')], self.states('---++'))

    def test_that_it_is_up_from_the_start_is_no_news(self):
        self.assertEqual([], self.states('+++++++'))

    def test_that_it_is_down_from_the_start_is(self):
        self.assertEqual([(2.0, 'down')], self.states('------'))

    def test_what_was_reported_before_is_not_again(self):
        self.assertEqual([], self.states('------', down=True))
        self.assertEqual([(1.0, 'up')], self.states('++++', down=True))

    def test_who_flaps_has_to_hold_out_longer_each_time(self):
        cycle = '---' + '+' * 100
        told = self.states('++' + cycle * 8, hold_down=4.0)

        # a cycle is longer than any hold: nobody flaps
        self.assertEqual(16, len(told))

        told = self.states('++' + ('---' + '+' * 6) * 20, hold_down=4.0)

        # the second down comes 7 s after the return: no flapping at 4 s
        self.assertEqual(40, len(told))

        told = self.states('++' + ('---' + '+' * 6) * 20 + '+' * 200,
                           hold_down=10.0)
        self.assertEqual(['down', 'up', 'down', 'up'],
                         [state for _time, state in told])
        # down is never held back
        self.assertEqual([4.0, 13.0], [
            time for time, state in told if state == 'down'])
        last_loss = 2 + 19 * 9 + 2
        self.assertEqual(last_loss + 2 + 10.0, told[-1][0])

    def test_the_hold_has_an_end(self):
        machine = debounce.Debouncer(1, 1, 10.0)
        now, holds = 0.0, []
        for _ in range(8):
            self.assertEqual('down', machine.observe(False, now))
            began = now
            while machine.observe(True, now) != 'up':
                now += 1.0
            holds.append(now - began)
            now += 1.0

        self.assertEqual([0.0, 10.0, 20.0, 40.0, 80.0, 80.0, 80.0, 80.0],
                         holds)

    def test_a_single_loss_does_not_begin_the_hold_anew(self):
        machine = debounce.Debouncer(3, 1, 10.0)
        self.assertEqual(
            ['down', 'up', 'down'],
            [state for _time, state in play(machine, '---+---')])

        self.assertEqual([(17.0, 'up')], play(
            machine, '+++-+++--++++++', start=7.0))

    @fuzzing.settings
    @hypothesis.given(
        text=st.lists(st.booleans(), min_size=1, max_size=300),
        down_after=st.integers(1, 4), up_after=st.integers(1, 4),
        hold=st.sampled_from([0.0, 3.0, 20.0]), known=st.booleans())
    def test_whatever_comes(self, text, down_after, up_after, hold, known):
        machine = debounce.Debouncer(down_after, up_after, hold, known)
        told = play(machine, ['+' if answered else '-' for answered in text])
        states = [state for _time, state in told]

        # no state twice in a row, beginning with what was known
        before = 'down' if known else 'up'
        for state in states:
            self.assertNotEqual(before, state)
            before = state
        # what ends in losses is down, at once
        end = text[-down_after:]
        if len(end) == down_after and not any(end):
            self.assertTrue(machine.down)
        # two returns are a hold apart, but for the first after a calm
        ups = [time for time, state in told if state == 'up']
        downs = [time for time, state in told if state == 'down']
        for returned in ups:
            follow = [time for time in downs if time > returned]
            if follow and follow[0] - returned < hold:
                again = [time for time in ups if time > follow[0]]
                self.assertTrue(not again or again[0] - follow[0] >= hold)
        # and who answers for good is up in the end
        play(machine, '+' * 200, start=1000.0)
        self.assertFalse(machine.down)
