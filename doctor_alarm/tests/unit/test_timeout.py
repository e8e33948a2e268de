# SPDX-License-Identifier: Apache-2.0

import datetime

from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm import event
from doctor_alarm import match
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm import timeout
from doctor_alarm import transition
from doctor_alarm.transition import Reason

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone.utc)
START = event.to_us(NOW)
SECOND = 1_000_000
TIMEOUT = 60


class Play:
    """Plays events and the time on one alarm; times are seconds."""

    def __init__(self, *, whole, state=transition.UNKNOWN, repeat=False):
        self.alarm = transition.AlarmState(
            state, 0, True, repeat, TIMEOUT * SECOND, whole)
        self.whole = whole
        self.resources = {}
        if whole:
            self.resources[''] = timeout.new(START + TIMEOUT * SECOND)
        self.told = []

    def on(self, verdict, sent, resource='vm1', arrival=None,
           publisher_id='nova', message_id=None):
        resource = '' if self.whole else resource
        when = NOW + datetime.timedelta(seconds=sent)
        fired = event.build(event.Parts(
            message_id=message_id or '%s of %s at %s' % (
                verdict, resource, sent), event_type='t', generated=when,
            traits={}, publisher_id=publisher_id), received=when)
        return self._keep(resource, timeout.decide(
            verdict, fired, self.alarm, self.resources.get(resource),
            START + int((sent if arrival is None else arrival) * SECOND)))

    def _keep(self, resource, result):
        self.alarm = result.alarm
        if result.resource is not None:
            self.resources[resource] = result.resource
        self.told += [(s.previous, s.current) for s in result.steps]
        return result.reason

    def start(self, sent, *args, **kwargs):
        return self.on(match.START, sent, *args, **kwargs)

    def arrive(self, sent, *args, **kwargs):
        verdict = match.RESTART if self.whole else match.CLEAR
        return self.on(verdict, sent, *args, **kwargs)

    def pass_until(self, seconds):
        """Let the time pass; return the reasons of what ended."""
        found = []
        for resource, state in list(self.resources.items()):
            if timeout.is_over(state, START + int(seconds * SECOND)):
                over = timeout.event_of(
                    'a1', 'p1', resource, state.due, TIMEOUT * SECOND, 0)
                found.append(self._keep(resource, timeout.decide(
                    match.TIMEOUT, over, self.alarm, state, 0)))
        return found

    def due(self, resource='vm1'):
        state = self.resources.get('' if self.whole else resource)
        if state is None or state.due is None:
            return None
        return (state.due - START) / SECOND


class TestWhole(base.TestCase):
    """Without ``after``."""

    def test_absence_from_creation_on(self):
        play = Play(whole=True)
        self.assertEqual([], play.pass_until(60.3))
        self.assertEqual([Reason.TIMED_OUT], play.pass_until(60.4))
        self.assertEqual([('insufficient data', 'alarm')], play.told)
        # then: it is told once
        self.assertEqual([], play.pass_until(1000))

    def test_each_arrival_is_ok_and_counts_anew(self):
        play = Play(whole=True)
        self.assertEqual(Reason.CLEARED, play.arrive(50))
        self.assertEqual(Reason.UNCHANGED, play.arrive(100))
        self.assertEqual(160, play.due())
        self.assertEqual([], play.pass_until(160))
        self.assertEqual([Reason.TIMED_OUT], play.pass_until(161))
        self.assertEqual(Reason.CLEARED, play.arrive(200))
        self.assertEqual(260, play.due())
        self.assertEqual(
            [('insufficient data', 'ok'), ('ok', 'alarm'), ('alarm', 'ok')],
            play.told)
        self.assertEqual(0, play.alarm.active_count)

    def test_the_resource_does_not_matter(self):
        play = Play(whole=True)
        play.arrive(10, 'vm1')
        play.arrive(20, 'vm2', publisher_id='other')
        self.assertEqual(80, play.due())

    def test_repeated_actions(self):
        play = Play(whole=True, repeat=True)
        play.arrive(1)
        self.assertEqual(Reason.REPEATED, play.arrive(2))
        self.assertEqual(('ok', 'ok'), play.told[-1])

    def test_arrivals_in_another_order_take_no_time_away(self):
        play = Play(whole=True)
        play.arrive(30)
        play.arrive(10)
        self.assertEqual(90, play.due())

    def test_a_message_that_comes_again_after_the_end_changes_nothing(self):
        play = Play(whole=True)
        play.arrive(9, message_id='m0')
        play.arrive(10, message_id='m1')
        play.pass_until(71)
        self.assertEqual(Reason.UNCHANGED, play.arrive(
            10, message_id='m1', arrival=100))
        self.assertEqual(Reason.STALE, play.arrive(
            9, message_id='m0', arrival=100))
        self.assertEqual('alarm', play.alarm.state)
        self.assertIsNone(play.due())

    def test_late_is_better_than_never(self):
        play = Play(whole=True)
        play.arrive(10)
        play.pass_until(71)
        # when: it was sent in time, and arrives too late
        self.assertEqual(Reason.CLEARED, play.arrive(60, arrival=90))
        self.assertEqual(150, play.due())

    def test_an_alarm_that_was_set_by_hand(self):
        play = Play(whole=True, state='alarm')
        self.assertEqual(Reason.CLEARED, play.arrive(1))
        self.assertEqual([('alarm', 'ok')], play.told)


class TestAfter(base.TestCase):
    """With ``after``: one wait for each resource."""

    def test_nothing_is_waited_for_without_a_start(self):
        play = Play(whole=False)
        self.assertEqual(Reason.CLEARED, play.arrive(0))
        self.assertIsNone(play.due())

    def test_what_does_not_come(self):
        play = Play(whole=False)
        self.assertEqual(Reason.STARTED, play.start(0))
        self.assertEqual([], play.told)
        self.assertEqual([], play.pass_until(60))
        self.assertEqual([Reason.TIMED_OUT], play.pass_until(61))
        self.assertEqual(Reason.CLEARED, play.arrive(70))
        self.assertEqual([('insufficient data', 'alarm'), ('alarm', 'ok')],
                         play.told)

    def test_what_comes_in_time(self):
        play = Play(whole=False)
        play.start(0)
        play.arrive(59)
        self.assertEqual([], play.pass_until(1000))
        self.assertEqual('ok', play.alarm.state)

    def test_each_resource_for_itself(self):
        play = Play(whole=False)
        for vm in ('vm1', 'vm2', 'vm3'):
            play.start(0, vm)
        play.arrive(10, 'vm2')
        self.assertEqual([Reason.TIMED_OUT] * 2, play.pass_until(61))
        self.assertEqual(2, play.alarm.active_count)
        play.arrive(70, 'vm1')
        self.assertEqual('alarm', play.alarm.state)
        play.arrive(71, 'vm3')
        self.assertEqual(
            [('insufficient data', 'ok'), ('ok', 'alarm'),
             ('alarm', 'alarm'), ('alarm', 'ok')], play.told)

    def test_further_starts_give_no_more_time(self):
        play = Play(whole=False)
        play.start(0)
        self.assertEqual(Reason.UNCHANGED, play.start(50))
        self.assertEqual(60, play.due())

    def test_a_start_that_comes_again_after_the_end(self):
        for end in (lambda play: play.arrive(1),
                    lambda play: play.pass_until(61)):
            play = Play(whole=False)
            play.start(0, message_id='m1')
            end(play)
            play.start(0, message_id='m1')
            self.assertIsNone(play.due())

    def test_a_start_behind_its_own_end(self):
        play = Play(whole=False)
        play.arrive(0.2, publisher_id='compute')
        self.assertEqual(Reason.STALE, play.start(0, publisher_id='api'))
        self.assertIsNone(play.due())

    def test_the_end_of_the_last_wait_behind_the_next_start(self):
        play = Play(whole=False)
        play.start(10.5)
        # when: sent before it, by the same clock
        play.arrive(10)
        self.assertEqual(70.5, play.due())
        # when: clocks may differ by as much; what arrived first counts
        play.arrive(10, publisher_id='other', message_id='m2',
                    arrival=10.2)
        self.assertEqual(70.5, play.due())
        play.arrive(10, publisher_id='other', message_id='m3', arrival=11)
        self.assertIsNone(play.due())

    def test_a_new_start_in_alarm(self):
        play = Play(whole=False)
        play.start(0)
        play.pass_until(61)
        self.assertEqual(Reason.STARTED, play.start(100))
        # when: the answer to the first one is late
        self.assertEqual(Reason.CLEARED, play.arrive(90, arrival=101))
        # then: the second one is still to be answered
        self.assertEqual(160, play.due())
        self.assertEqual([Reason.TIMED_OUT], play.pass_until(161))

    def test_a_second_end_in_alarm(self):
        for repeat, reason in ((False, Reason.UNCHANGED),
                               (True, Reason.REPEATED)):
            play = Play(whole=False, repeat=repeat)
            play.start(0)
            play.pass_until(61)
            play.start(100)
            self.assertEqual([reason], play.pass_until(161))
            self.assertEqual(1, play.alarm.active_count)

    def test_an_event_that_is_both_keeps_the_resource_waiting(self):
        play = Play(whole=False)
        for seconds in (0, 30, 60):
            play.on(match.RESTART, seconds)
            self.assertEqual(seconds + 60, play.due())
        play.on(match.RESTART, 45, message_id='another order')
        self.assertEqual(120, play.due())
        self.assertEqual([Reason.TIMED_OUT], play.pass_until(121))
        self.assertEqual(Reason.CLEARED, play.on(match.RESTART, 130))
        self.assertEqual(190, play.due())


class TestProperties(base.TestCase):

    _verdicts = st.sampled_from((match.START, match.CLEAR, match.RESTART))

    @fuzzing.settings
    @given(st.lists(st.tuples(
        _verdicts, st.sampled_from(('vm1', 'vm2')), st.integers(0, 300),
        st.integers(0, 90), st.sampled_from(('nova', 'other'))), max_size=30))
    def test_counts_agree_whatever_comes(self, played):
        play, now = Play(whole=False), 0
        for verdict, resource, sent, pause, publisher_id in played:
            now += pause
            play.pass_until(now)
            play.on(verdict, sent, resource, now, publisher_id)
            in_alarm = [s for s in play.resources.values()
                        if s.state == 'alarm']
            self.assertEqual(len(in_alarm), play.alarm.active_count)
            self.assertEqual(bool(in_alarm), play.alarm.state == 'alarm')
            for state in play.resources.values():
                self.assertLessEqual(
                    len(state.confirmed), transition.REMEMBERED)
                self.assertTrue(state.due is None or state.due <= START + (
                    now + TIMEOUT) * SECOND)

    @fuzzing.settings
    @given(st.lists(st.integers(1, 100), max_size=20))
    def test_told_is_what_the_arrivals_say(self, pauses):
        """However late the evaluator is: what was due goes first."""
        play, now, told = Play(whole=True, state='ok'), 0, []
        for pause in pauses:
            now += pause
            if pause > TIMEOUT:
                told += [('ok', 'alarm'), ('alarm', 'ok')]
            play.pass_until(now)
            play.arrive(now)
        self.assertEqual(told, play.told)


class TestEvent(base.TestCase):

    def event_of(self, resource='vm1', due=START):
        return timeout.event_of(
            'a1', 'p1', resource, due, TIMEOUT * SECOND, START + 5)

    def test_it_says_what_was_waited_for(self):
        fired = self.event_of()
        self.assertEqual(
            {'resource_id': 'vm1', 'timeout': 60,
             'since': NOW - datetime.timedelta(seconds=60)}, fired.traits)
        self.assertEqual((timeout.EVENT_TYPE, NOW, 'p1', START + 5), (
            fired.event_type, fired.generated, fired.project_id,
            fired.transformed_at))

    def test_the_same_wait_is_the_same_message(self):
        ids = {self.event_of(*args).message_id for args in (
            (), (), ('vm2',), ('vm1', START + 1))}
        self.assertEqual(3, len(ids))
        self.assertNotIn('resource_id', self.event_of('').traits)

    def test_the_reason_tells_it_from_events(self):
        reason = timeout.reason('heartbeat', '[]', TIMEOUT * SECOND)
        self.assertEqual('No event <event_type=heartbeat> hit the query '
                         '<query=[]> for 60 seconds.', reason)
        self.assertTrue(timeout.is_reason(reason))
        self.assertFalse(timeout.is_reason(
            'Event <id=1,event_type=doctor_alarm.timeout> hits the query'))
