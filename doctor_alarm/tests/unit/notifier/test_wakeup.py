# SPDX-License-Identifier: Apache-2.0
"""Wake-ups that enclose what they are about."""

import contextlib
import json
import threading

import fixtures
from sqlalchemy import event as sa_event

from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier import dispatcher
from doctor_alarm.notifier import ledger
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import wakeup
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching
from doctor_alarm.tests import outbox


class EnclosedTest(dispatching.DispatcherTests, base.TestCase):

    enclosing = True

    @contextlib.contextmanager
    def reading(self):
        """Count the reads of deliveries and bodies."""
        reads = []

        def note(_conn, _cursor, statement, *_args):
            if statement.startswith('SELECT') and (
                    'alarm_name' in statement or '.body' in statement):
                reads.append(statement)

        sa_event.listen(self.db.engine, 'before_cursor_execute', note)
        yield reads
        sa_event.remove(self.db.engine, 'before_cursor_execute', note)

    def seen(self):
        """What the plugin gets, in full."""
        got = []
        self.plugin.answers['r1'].extend([got.append] * 30)
        return got

    def test_nothing_is_read(self):
        given, got = self.a_dispatcher(), self.seen()
        self.db.now()

        with self.reading() as reads:
            hint = self.outbox.fire(self.lane())
            given.wake(hint)
            self.wait_idle()

        self.assertEqual([], reads)
        self.assertEqual(1, len(got))
        row, = self.outbox.deliveries()
        self.assertEqual(
            ('delivered', hint['committed_at']),
            (row.status, row.committed_at))

    def test_the_same_is_told(self):
        given, got = self.a_dispatcher(), self.seen()
        event = outbox.an_event(traits={
            'instance_id': 'vm1', 'name': 'é"\\\n\U0001f600', 'n': 1.5})

        with self.reading() as reads:
            for first in (True, False):
                # Over the wire it goes as JSON.
                given.wake(json.loads(json.dumps(self.outbox.fire(
                    self.lane(alarm_id='a1'), event=event,
                    created_at=1_700_000_000_000_000))), first=first)
                self.wait_idle()

        self.assertNotEqual([], reads)
        one, two = ({
            name: getattr(delivery, name) for name in delivery.__slots__
            if name not in ('id', 'sequence')} for delivery in got)
        self.assertEqual(one, two)

    def test_one_that_may_have_come_before_is_not_believed(self):
        lane = self.lane()
        hint = self.outbox.fire(lane, times=3)
        given = self.a_dispatcher()

        given.wake(hint)
        self.wait_idle()
        for _ in range(3):
            given.wake(hint, first=False)
        # Wake-ups are taken in turn.
        given.wake(self.outbox.fire(self.lane('other')), first=False)
        self.wait_until(lambda: self.plugin.at('other'))
        given.stop()

        self.assertEqual([1, 2, 3], self.plugin.of(lane))

    def test_one_that_comes_again_during_the_call(self):
        lane = self.lane()
        hint = self.outbox.fire(lane, times=3)
        given = self.a_dispatcher()
        self.plugin.hold('r1')

        for first in (True, False, True):
            given.wake(hint, first=first)
        given.wake(self.outbox.fire(self.lane('other')), first=False)
        self.wait_until(lambda: self.plugin.at('other'))
        self.plugin.release('r1')
        self.wait_idle()

        self.assertEqual([1, 2, 3], self.plugin.of(lane))

    def test_a_receiver_that_is_away(self):
        self.plugin.answers['r1'].extend(
            [notifier.Outcome.retry('HTTP 503')] * 2)
        lane = self.lane()

        self.a_dispatcher().wake(self.outbox.fire(lane, times=2))
        self.wait_idle()

        self.assertEqual([1, 1, 1, 2], self.plugin.of(lane))
        self.assertEqual(
            [3, 1], [row.attempts for row in self.outbox.deliveries()])

    def test_more_than_is_enclosed(self):
        lane, count = self.lane(), 2 * wakeup.AHEAD + 3

        hint = self.outbox.fire(lane, times=count)
        self.a_dispatcher().wake(hint)
        self.wait_idle()

        self.assertEqual(wakeup.AHEAD, len(hint['deliveries']))
        self.assertEqual(list(range(1, count + 1)), self.plugin.of(lane))

    def test_a_lane_keeps_little(self):
        # What is read with the first one is bounded; so is what is enclosed.
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.ledger.AHEAD_SIZE', 1))
        lane = self.lane()
        self.plugin.hold('r1')
        given = self.a_dispatcher()

        given.wake(self.outbox.fire(lane, times=5))
        self.wait_until(lambda: self.plugin.running)
        held, = given._lanes._held
        self.assertEqual(0, len(held.waiting))
        self.plugin.release('r1')
        self.wait_idle()

        self.assertEqual([1, 2, 3, 4, 5], self.plugin.of(lane))

    def test_after_the_lease_nobody_is_called(self):
        # Another one may take it before the call would have ended.
        self.configure(sweep_interval=600)
        lane, given = self.lane(), self.a_dispatcher()

        given.wake(self.outbox.fire(
            lane, lease=self.conf.notifier.timeout - 1))
        given.wake(self.outbox.fire(self.lane('other')))
        self.wait_until(lambda: self.plugin.at('other'))

        self.assertEqual([], self.plugin.of(lane))

    def test_a_clock_that_must_be_asked_is_not_asked_in_the_loop(self):
        given, lane = self.a_dispatcher(), self.lane()
        asked = []

        def now(db):
            asked.append(threading.current_thread().name)
            return type(db).now(db)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.db.api.Database.clock', 'SELECT 1'))
        self.useFixture(fixtures.MockPatchObject(
            self.db, 'now', lambda: now(self.db)))
        given.wake(self.outbox.fire(lane))
        self.wait_idle()

        self.assertEqual([1], self.plugin.of(lane))
        self.assertNotIn('notifier', asked)
        self.assertIn('notifier-load', asked)

    def test_under_a_backlog_it_is_let_go(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.dispatcher.ENCLOSED', 0))
        lanes = [self.lane() for _ in range(20)]

        with self.reading() as reads:
            self.a_dispatcher().wake(self.outbox.fire(*lanes))
            self.wait_idle()

        self.assertNotEqual([], reads)
        self.assertEqual(20, len(self.plugin.seen))

    def test_a_few_large_ones_are_let_go_too(self):
        """However many bytes arrive while the loop is busy."""
        limit = 10000
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.notifier.dispatcher.ENCLOSED_SIZE', limit))
        lanes = [self.lane() for _ in range(20)]
        hints = [self.outbox.fire(lane, event=outbox.an_event(
            traits={'text': 'x' * 3000})) for lane in lanes]
        given = self.a_dispatcher()
        busy, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def occupy():
            busy.set()
            go_on.wait()

        given._loop.call_soon_threadsafe(occupy)
        busy.wait(60)
        for hint in hints:
            given.wake(hint)
        sizes = [found.size for found in given._arrived]
        go_on.set()
        self.wait_idle()

        self.assertGreater(sizes[0], 3000)
        self.assertLess(sum(sizes), limit + 2 * sizes[0])
        for lane in lanes:
            self.assertEqual([1], self.plugin.of(lane))

    def test_that_of_another_version(self):
        lanes = [self.lane() for _ in range(4)]
        given = self.a_dispatcher()
        for lane, enclosed in zip(lanes, (
                {'deliveries': [['too', 'short']]}, {'deliveries': 7},
                {'bodies': 'x'}, {'deliveries': [None]}), strict=True):
            given.wake(self.outbox.fire(lane) | enclosed)
        self.wait_idle()

        self.assertEqual({'delivered'}, set(self.outbox.statuses()))
        self.assertEqual(4, len(self.plugin.seen))

    def test_without_the_body_it_is_read(self):
        given, got = self.a_dispatcher(), self.seen()
        event = outbox.an_event()

        given.wake(self.outbox.fire(self.lane(), event=event) | {'bodies': {}})
        self.wait_idle()

        self.assertEqual(event.as_dict(), json.loads(got[0].event_json))

    def test_while_there_is_no_room(self):
        # Each waits for a place that the one before has.
        self.configure(max_waiting=10, receiver_concurrency=1)
        lanes = [self.lane('r%d' % i) for i in range(50)]

        self.a_dispatcher().wake(self.outbox.fire(*lanes))
        self.wait_idle()

        self.assertEqual(50, len(self.plugin.seen))


class FormTest(base.TestCase):

    def test_it_encloses_no_more_than_its_size(self):
        event = outbox.an_event(traits={'instance_id': 'x' * 1000})
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.wakeup.SIZE', 4000))
        lanes = {}
        deliveries = []
        for i in range(5):
            lane = outbox.Outbox(None).lane('test://r/%d' % i)
            lanes[lane.id] = lane
            deliveries.append(outbox.row(lane, lane.append(1), event))
        body = 'x' * 1000

        made = wakeup.make(
            lanes, 1, deliveries, {event.message_id: body},
            {'created_at': 1, 'evaluated_at': 1})

        self.assertEqual(5, len(made['lanes']))
        # The body counts once, what is about a resource each time.
        self.assertEqual(2, len(made['deliveries']))
        self.assertEqual({event.message_id: body}, made['bodies'])

    def test_long_actions_count(self):
        event = outbox.an_event()
        lane = outbox.Outbox(None).lane('test://r/' + 'x' * wakeup.SIZE)
        row = outbox.row(lane, lane.append(1), event)

        made = wakeup.make(
            {lane.id: lane}, 1, [row], {event.message_id: ''},
            {'created_at': 1, 'evaluated_at': 1})

        self.assertEqual((1, []), (len(made['lanes']), made['deliveries']))

    def test_lanes_that_others_work_on_are_left_alone(self):
        event = outbox.an_event()
        busy = outbox.Outbox(None).lane('test://r/1')
        busy.due = 7
        row = outbox.row(busy, busy.append(1), event)

        made = wakeup.make(
            {busy.id: busy}, 1, [row], {event.message_id: ''},
            {'created_at': 1, 'evaluated_at': 1})

        self.assertEqual(([], [], {}), (
            made['lanes'], made['deliveries'], made['bodies']))

    def test_what_is_enclosed_is_as_much_as_is_read(self):
        self.assertEqual(ledger.AHEAD, wakeup.AHEAD)
        self.assertLess(dispatcher.ENCLOSED, dispatcher.BACKLOG)

    def test_the_columns(self):
        self.assertEqual(
            delivery_obj.Row._fields,
            tuple(delivery_obj._waiting('sqlite').selected_columns.keys()))
