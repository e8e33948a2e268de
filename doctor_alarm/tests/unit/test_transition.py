# SPDX-License-Identifier: Apache-2.0

import datetime

from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm import event
from doctor_alarm import match
from doctor_alarm.tests import base
from doctor_alarm import transition
from doctor_alarm.transition import Reason

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone.utc)


def at(seconds, publisher_id='nova', message_id=None):
    when = NOW + datetime.timedelta(seconds=seconds)
    return event.build(event.Parts(
        message_id=message_id or 'm%s' % seconds, event_type='t',
        generated=when, traits={}, publisher_id=publisher_id), received=when)


class Play:
    """Plays events on one alarm and keeps what came of them."""

    def __init__(self, *, state=transition.UNKNOWN, has_clear=True,
                 repeat=False):
        self.alarm = transition.AlarmState(state, 0, has_clear, repeat)
        self.resources = {}
        self.told = []

    def on(self, verdict, fired, resource='vm1'):
        result = transition.decide(
            verdict, fired, self.alarm, self.resources.get(resource))
        self.alarm = result.alarm
        if result.resource is not None:
            self.resources[resource] = result.resource
        self.told += [(s.previous, s.current) for s in result.steps]
        return result.reason

    def raised(self, seconds, resource='vm1', **kwargs):
        return self.on(match.RAISE, at(seconds, **kwargs), resource)

    def cleared(self, seconds, resource='vm1', **kwargs):
        return self.on(match.CLEAR, at(seconds, **kwargs), resource)


class TestWithoutClear(base.TestCase):

    def test_first_match_raises_and_the_next_changes_nothing(self):
        play = Play(has_clear=False)
        self.assertEqual(Reason.RAISED, play.raised(0))
        self.assertEqual(Reason.UNCHANGED, play.raised(1))
        self.assertEqual([('insufficient data', 'alarm')], play.told)

    def test_repeat_actions_tells_every_match(self):
        play = Play(has_clear=False, repeat=True)
        play.raised(0)
        self.assertEqual(Reason.REPEATED, play.raised(1))
        self.assertEqual(Reason.REPEATED, play.raised(-50))
        self.assertEqual(('alarm', 'alarm'), play.told[-1])
        self.assertEqual(3, len(play.told))


class TestWithClear(base.TestCase):

    def test_raise_and_clear(self):
        play = Play()
        play.raised(0)
        self.assertEqual(Reason.CLEARED, play.cleared(1))
        self.assertEqual([('insufficient data', 'alarm'), ('alarm', 'ok')],
                         play.told)

    def test_in_alarm_while_any_resource_is(self):
        play = Play(state='ok')
        play.raised(0, 'vm1')
        play.raised(1, 'vm2')
        play.cleared(2, 'vm1')
        self.assertEqual('alarm', play.alarm.state)
        play.cleared(3, 'vm2')
        self.assertEqual('ok', play.alarm.state)
        self.assertEqual(
            [('ok', 'alarm'), ('alarm', 'alarm'), ('alarm', 'ok')],
            play.told)

    def test_older_raise_does_not_overwrite_a_newer_clear(self):
        play = Play(state='ok')
        play.raised(0)
        play.cleared(10)
        self.assertEqual(Reason.STALE, play.raised(5))
        self.assertEqual('ok', play.alarm.state)

    def test_older_clear_does_not_overwrite_a_newer_raise(self):
        play = Play(state='ok')
        play.raised(10)
        self.assertEqual(Reason.STALE, play.cleared(5))
        self.assertEqual('alarm', play.alarm.state)

    def test_clocks_of_two_publishers_may_differ(self):
        play = Play(state='ok')
        play.raised(10)
        self.assertEqual(Reason.CLEARED,
                         play.cleared(8.5, publisher_id='monitor'))
        self.assertEqual(Reason.STALE,
                         play.raised(6, publisher_id='another'))

    def test_equal_times_keep_the_order_of_arrival(self):
        play = Play(state='ok')
        play.raised(0)
        self.assertEqual(Reason.CLEARED, play.cleared(0, message_id='x'))

    def test_match_that_changes_nothing_advances_the_time(self):
        play = Play(state='ok')
        play.raised(0)
        play.raised(10)
        self.assertEqual(Reason.STALE, play.cleared(5))

    def test_late_raise_whose_clear_came_first_is_told_as_both(self):
        play = Play(state='ok')
        play.cleared(10)
        self.assertEqual(Reason.LATE, play.raised(5))
        self.assertEqual([('ok', 'alarm'), ('alarm', 'ok')], play.told)
        self.assertEqual('ok', play.alarm.state)
        self.assertEqual(Reason.STALE, play.raised(6))

    def test_late_raise_while_another_resource_is_in_alarm(self):
        play = Play(state='ok')
        play.cleared(10, 'vm1')
        play.raised(1, 'vm2')
        play.raised(5, 'vm1')
        self.assertEqual([('ok', 'alarm'), ('alarm', 'alarm')], play.told)
        self.assertEqual('alarm', play.alarm.state)
        play.cleared(11, 'vm2')
        self.assertEqual('ok', play.alarm.state)

    def test_clear_ends_the_unknown_and_what_was_set_by_hand(self):
        for state in ('insufficient data', 'alarm'):
            play = Play(state=state)
            self.assertEqual(Reason.CLEARED, play.cleared(0))
            self.assertEqual([(state, 'ok')], play.told)

    def test_steps_of_one_event_have_ids_of_their_own(self):
        play = Play(state='ok')
        play.cleared(10)
        result = transition.decide(
            match.RAISE, at(5), play.alarm, play.resources['vm1'])
        self.assertEqual(2, len({s.message_id for s in result.steps}))

    plays = st.lists(st.tuples(
        st.sampled_from([match.RAISE, match.CLEAR]),
        st.integers(0, 20), st.sampled_from(['vm1', 'vm2', 'vm3']),
        st.sampled_from(['nova', 'monitor'])), max_size=25)

    @given(plays, st.sampled_from(transition.STATES), st.booleans())
    def test_always(self, events, state, repeat):
        play = Play(state=state, repeat=repeat)
        for verdict, seconds, resource, publisher in events:
            play.on(verdict, at(seconds, publisher), resource)
            active = sum(r.state == 'alarm'
                         for r in play.resources.values())
            # then: the count is true, and the alarm is in alarm with it
            self.assertEqual(active, play.alarm.active_count)
            if active:
                self.assertEqual('alarm', play.alarm.state)
        # then: what was told is a chain from the first state to the last
        now = state
        for previous, current in play.told:
            self.assertEqual(now, previous)
            now = current
        self.assertEqual(now, play.alarm.state)

    @given(st.lists(st.tuples(
        st.sampled_from([match.RAISE, match.CLEAR]), st.integers(0, 50)),
        min_size=1, max_size=10, unique_by=lambda e: e[1]), st.randoms())
    def test_state_does_not_depend_on_the_order_of_arrival(
            self, events, random):
        shuffled = list(events)
        random.shuffle(shuffled)
        play = Play(state='ok')
        for verdict, seconds in shuffled:
            play.on(verdict, at(seconds), 'vm1')
        last = max(events, key=lambda e: e[1])[0]
        self.assertEqual('alarm' if last == match.RAISE else 'ok',
                         play.alarm.state)


class TestExpected(base.TestCase):
    """The evaluator asks for no more than that before it decides."""

    @given(st.lists(st.tuples(
        st.sampled_from([match.RAISE, match.CLEAR]), st.integers(0, 8),
        st.sampled_from(['a', 'b']), st.sampled_from(['vm1', 'vm2'])),
        max_size=12), st.booleans(), st.booleans(),
        st.sampled_from(transition.STATES))
    def test_nothing_else_is_told(self, events, has_clear, repeat, state):
        play = Play(state=state, has_clear=has_clear, repeat=repeat)
        first = play.alarm
        for number, (verdict, seconds, publisher, vm) in enumerate(events):
            if not has_clear:
                verdict = match.RAISE
            fired = at(seconds, publisher, 'm%d' % number)
            result = transition.decide(
                verdict, fired, play.alarm, play.resources.get(vm))
            expected = transition.expected(verdict, fired, first)
            for step in result.steps:
                self.assertIn((step.current, step.message_id), expected)
            play.on(verdict, fired, vm)
