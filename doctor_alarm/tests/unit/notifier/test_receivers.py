# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.notifier import receivers
from doctor_alarm.notifier import turns
from doctor_alarm.tests import base


# A key begins with the project: here its first letter.
def make(max_calls=100, window=10, max_waiting=1000, pause=lambda n: 2.0 ** n):
    return receivers.Receivers(
        max_calls=max_calls, window=window, max_waiting=max_waiting,
        pause=pause)


class ReceiversTest(base.TestCase):

    def offer(self, group, key, count):
        for i in range(count):
            self.assertIsNone(group.offer(key, '%s%d' % (key, i), 0))

    def test_items_of_a_receiver_start_in_their_order(self):
        group = make()
        self.offer(group, 'a', 3)

        self.assertEqual(
            ['a0', 'a1', 'a2'], [call.item for call in group.start(0)])

    def test_receivers_take_turns(self):
        group = make()
        self.offer(group, 'a', 2)
        self.offer(group, 'b', 2)

        self.assertEqual(['a0', 'b0', 'a1', 'b1'],
                         [call.item for call in group.start(0)])

    def test_the_window_grows_with_each_answer_to_its_bound(self):
        group = make(window=6)
        self.offer(group, 'a', 50)
        calls = group.start(0)
        self.assertEqual(receivers.INITIAL, len(calls))

        for expected in (5, 6, 6):
            group.done(calls.pop(0), True, 1)
            calls += group.start(1)

            self.assertEqual(expected, len(calls))

    def test_a_newcomer_finds_a_free_call_beside_receivers_that_hang(self):
        group = make(max_calls=40, window=40, max_waiting=10000)
        for i in range(30):
            self.offer(group, 'hangs%d' % i, 50)
        group.start(0)

        self.offer(group, 'new', 1)

        self.assertEqual(['new0'], [call.item for call in group.start(1)])

    def test_no_receiver_takes_more_than_a_part_of_the_calls(self):
        group = make(max_calls=40, window=40)
        self.offer(group, 'a', 300)
        calls = group.start(0)
        for _ in range(200):
            group.done(calls.pop(0), True, 1)
            calls += group.start(1)

        self.assertEqual(40 // (receivers.SHARE + 1), group.active)
        self.offer(group, 'b', 10)
        self.assertGreater(len(group.start(2)), 2)

    def test_calls_are_bounded_overall(self):
        group = make(max_calls=5)
        for key in 'abcdefgh':
            self.offer(group, key, 1)

        calls = group.start(0)
        self.assertEqual(5, len(calls))
        self.assertEqual([], group.start(0))
        group.done(calls[0], True, 1)

        self.assertEqual(['f0'], [call.item for call in group.start(1)])

    def test_one_failure_leaves_one_call_at_a_time(self):
        group = make()
        self.offer(group, 'a', 20)
        calls = group.start(0)

        self.assertEqual([], group.done(calls.pop(), False, 1))
        # Those that were under way at the failure say nothing new.
        for call in calls:
            self.assertEqual([], group.done(call, False, 2))
            self.assertLessEqual(len(group.start(2)), 1)

    def test_the_second_failure_closes_the_receiver(self):
        group = make()
        self.offer(group, 'a', 20)
        for call in group.start(0):
            group.done(call, False, 1)
        probe, = group.start(1)

        excess = group.done(probe, False, 5)

        self.assertEqual(['a%d' % i for i in range(5, 20)], excess)
        self.assertEqual(0, group.waiting)
        self.assertAlmostEqual(2.0, group.pause_of('a', 5), delta=0.01)
        self.assertAlmostEqual(
            1.5, group.offer('a', 'late', 5.5), delta=0.01)
        self.assertIsNone(group.offer('a', 'later', 7.0))

    def closed_receiver(self):
        """A receiver that is not called before the time 3."""
        group = make()
        for _ in range(2):
            group.offer('a', 'x', 1)
            group.done(group.start(1)[0], False, 1)
        return group

    def test_items_of_a_closed_receiver_come_back_one_by_one(self):
        group = self.closed_receiver()

        pauses = [group.offer('a', i, 1) for i in range(3)]
        pauses.append(group.pause_of('a', 1))

        self.assertEqual(
            [2 + n / turns.PARKED for n in range(1, 5)], pauses)

    def test_few_items_wait_while_a_receiver_is_tried(self):
        group = self.closed_receiver()

        taken = [group.offer('a', i, 3) for i in range(receivers.TRIED + 2)]
        call, = group.start(3)

        self.assertEqual([None] * receivers.TRIED, taken[:-2])
        self.assertTrue(all(
            pause > turns.EXCESS[0] for pause in taken[-2:]))
        group.done(call, True, 4)
        self.assertIsNone(group.offer('a', 'x', 4))

    def test_a_thread_parks_items_after_those_that_are(self):
        group = self.closed_receiver()
        group.offer('a', 'x', 1)
        closed = group.closed(1)

        self.assertEqual(2 + 2 / turns.PARKED, closed.pause_of('a'))
        self.assertIsNone(closed.pause_of('b'))
        group.park(closed)

        self.assertEqual(2 + 3 / turns.PARKED, group.pause_of('a', 1))
        self.assertEqual({}, group.closed(3).receivers)

    def test_pauses_grow_until_it_answers(self):
        group = make()
        now = 0.0
        for failures in range(1, 5):
            self.assertIsNone(group.offer('a', 'x', now))
            call, = group.start(now)
            group.done(call, False, now)
            expected = 2.0 ** (failures - 1) if failures > 1 else 0.0
            self.assertAlmostEqual(
                expected, group.pause_of('a', now), delta=0.01)
            now += expected
        self.assertIsNone(group.offer('a', 'x', now))
        call, = group.start(now)

        group.done(call, True, now)

        self.assertEqual(0.0, group.pause_of('a', now))
        self.offer(group, 'a', 5)
        self.assertGreater(len(group.start(now)), 1)

    def test_receivers_that_fail_share_a_part_of_the_calls(self):
        group = make(max_calls=40)
        for i in range(30):
            key = 'dead%d' % i
            self.offer(group, key, 2)
            call, = [c for c in group.start(0) if c.item == key + '0'] or [
                None]
            group.done(call, False, 0)
        self.offer(group, 'alive', 1)

        started = [call.item for call in group.start(1)]

        self.assertIn('alive0', started)
        self.assertLessEqual(group.active, 40)

    def test_a_receiver_that_answers_again_has_its_turn_at_once(self):
        group = make()
        self.offer(group, 'a', 10)
        first, second, *others = group.start(0)
        group.done(first, False, 1)
        self.assertEqual([], group.start(1))

        for call in (second, *others):
            group.done(call, True, 2)

        self.assertEqual(4, len(group.start(2)))

    def test_a_queue_gets_what_others_leave(self):
        group = make(max_waiting=10)
        taken = [group.offer('a', i, 0) for i in range(10)]

        # As many as may come to others of its project, and to others.
        self.assertEqual([None] * 4, taken[:4])
        self.assertEqual([turns.EXCESS[0]] * 6, taken[4:])
        self.assertIsNone(group.offer('a2', 0, 0))
        self.assertIsNone(group.offer('b', 0, 0))

    def test_the_excess_comes_again_when_the_queue_may_be_empty(self):
        group = make(max_waiting=30)
        self.offer(group, 'a', 10)
        for now in (1.0, 2.0):
            call, = group.start(now)[:1]
            group.done(call, True, now)
        self.offer(group, 'b', 4)

        while (pause := group.offer('a', 'x', 2.0)) is None:
            pass

        self.assertEqual(1.0 * len(group._receivers['a'].queue), pause)

    def test_a_call_that_was_not_made_changes_nothing(self):
        group = make()
        self.offer(group, 'a', 1)
        call, = group.start(0)

        group.done(call, None, 1)

        self.assertEqual(0, group.active)
        self.assertEqual(0.0, group.pause_of('a', 1))

    def test_idle_receivers_are_forgotten(self):
        group = make()
        for key in ('good', 'bad'):
            self.offer(group, key, 1)
            call, = group.start(0)
            group.done(call, key == 'good', 0)
        self.assertEqual(['bad'], list(group._receivers))

        group.forget(receivers.MEMORY + 1)

        self.assertEqual([], list(group._receivers))

    def test_clear_returns_what_waits(self):
        group = make()
        self.offer(group, 'a', 6)
        group.start(0)

        self.assertEqual(['a4', 'a5'], group.clear())
        self.assertEqual(0, group.waiting)
        self.assertEqual([], group.start(0))

    def test_a_crowd_of_receivers_is_one_project(self):
        group = make(max_calls=100, max_waiting=1000)
        for i in range(900):
            group.offer('evil%d' % i, 'evil', 0)
        group.start(0)

        self.assertEqual(50, group.active)
        self.assertGreaterEqual(group.room, 500)
        for project in 'abcd':
            self.assertIsNone(group.offer(project, project, 1))
        self.assertEqual(
            ['a', 'b', 'c', 'd'], [call.item for call in group.start(1)])

    def test_a_receiver_that_failed_waits_for_none_of_another_project(self):
        group = make(max_calls=100, max_waiting=1000)
        keys = ['evil%d' % i for i in range(200)] + ['good']
        for key in keys:
            self.offer(group, key, 1)
            call, = group.start(0)
            group.done(call, False, 0)
        for key in keys[:-1]:
            self.offer(group, key, 1)
        self.assertTrue(all(call.probe for call in group.start(1)))

        self.offer(group, 'good', 1)

        self.assertEqual(['good0'], [call.item for call in group.start(1)])
        self.assertLess(group.active, 100 // receivers.PROBES)

    def test_what_a_crowd_leaves_comes_back_one_by_one(self):
        group = make(max_calls=10, max_waiting=100)
        pauses = [group.offer('evil%d' % i, 'evil', 0) for i in range(1000)]
        refused = [pause for pause in pauses if pause is not None]

        self.assertEqual(50, group.waiting)
        self.assertAlmostEqual(
            turns.EXCESS[0] + 950 / turns.PARKED, refused[-1])
        self.assertEqual(len(refused), len(set(refused)))
        # Nothing is remembered of those that were refused.
        self.assertEqual(50, len(group._receivers))

    def test_projects_are_forgotten_with_their_receivers(self):
        group = make()
        self.offer(group, 'a', 1)
        call, = group.start(0)
        group.done(call, True, 1)

        self.assertEqual({}, group._projects)

    @hypothesis.settings(deadline=None)
    @hypothesis.given(st.lists(st.tuples(
        st.sampled_from(('a', 'a2', 'b')),
        st.sampled_from(('offer', 'yes', 'no')))))
    def test_nothing_is_lost_and_no_bound_broken(self, moves):
        group = make(max_calls=6, window=3, max_waiting=20)
        inside, calls, now = 0, [], 0.0
        for key, move in moves:
            now += 0.5
            if move == 'offer':
                inside += group.offer(key, key, now) is None
            elif calls:
                inside -= 1
                inside -= len(group.done(calls.pop(0), move == 'yes', now))
            calls += group.start(now)
            self.assertEqual(inside, group.active + group.waiting)
            self.assertEqual(len(calls), group.active)
            projects = group._projects.values()
            for total, part in (
                    (group.active, 'active'), (group.waiting, 'waiting'),
                    (group._probes, 'probes')):
                self.assertEqual(total, sum(
                    getattr(project, part) for project in projects))
            self.assertLessEqual(group.active, 6)
            self.assertLessEqual(group.waiting, 20)
        # Answers let everything out.
        while calls:
            inside -= 1 + len(group.done(calls.pop(), True, now))
            calls += group.start(now)
        self.assertEqual((0, 0), (inside, group.waiting))
        group.forget(now + 2 * receivers.MEMORY)
        self.assertEqual({}, group._projects)


class TargetTest(base.TestCase):

    def key(self, url, project='p1'):
        return receivers.target_of(project, url)[0]

    def test_paths_and_users_share_a_receiver(self):
        self.assertEqual(self.key('http://u:p@Host/a?x=1'),
                         self.key('http://host:80/b'))

    def test_ports_schemes_and_projects_do_not(self):
        keys = {self.key('http://h/'), self.key('https://h/'),
                self.key('http://h:81/'), self.key('http://h/', 'p2'),
                self.key('log://')}

        self.assertEqual(5, len(keys))

    def test_what_is_not_a_url(self):
        for action in ('http://h:99999/', 'http://[', 'http://h:x/'):
            key, parts = receivers.target_of('p1', action)

            self.assertEqual(('p1', 'invalid'), key)
            self.assertIsNone(parts)
