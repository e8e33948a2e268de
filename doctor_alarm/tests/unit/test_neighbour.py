# SPDX-License-Identifier: Apache-2.0

import asyncio
import errno
import os
import socket
import threading
import uuid

import fixtures
import oslo_messaging

from doctor_alarm import conf as project_conf
from doctor_alarm import messaging
from doctor_alarm.messaging import neighbour
from doctor_alarm.tests import base


class Notifier:
    """An ear in a loop of its own, which can be held up."""

    def __init__(self, name):
        self.heard = []
        self.loop = asyncio.new_event_loop()
        self.ear = messaging.Ear(name, self.heard.append)
        self._thread = threading.Thread(
            target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self.ear.open, self.loop)

    def call(self, function, *args):
        async def run():
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def hold_up(self):
        """Read nothing until the event that is returned is set."""
        go_on, held = threading.Event(), threading.Event()

        def wait():
            held.set()
            go_on.wait(60)

        self.loop.call_soon_threadsafe(wait)
        held.wait(60)
        return go_on

    def stop(self):
        if self._thread.is_alive():
            self.call(self.ear.close)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(60)
            self.loop.close()


class NeighbourTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.name = uuid.uuid4().hex
        # Each look sees what is there.
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.neighbour.INTERVAL', 0.0))
        self.neighbours = messaging.Neighbours(self.name)
        self.addCleanup(self.neighbours.close)

    def notifier(self):
        made = Notifier(self.name)
        self.addCleanup(made.stop)
        return made

    def test_what_is_told_is_heard_in_its_order(self):
        notifier = self.notifier()
        hints = [{'number': i, 'text': 'é' * i} for i in range(50)]

        for hint in hints:
            self.assertTrue(self.neighbours.tell(hint))

        self.wait_until(lambda: len(notifier.heard) == len(hints))
        self.assertEqual(hints, notifier.heard)

    def test_nobody_is_there_and_then_somebody(self):
        self.assertFalse(self.neighbours.tell({}))

        notifier = self.notifier()

        self.assertTrue(self.neighbours.tell({}))
        self.wait_until(lambda: notifier.heard)

    def test_they_are_told_by_turns(self):
        notifiers = [self.notifier() for _ in range(3)]

        for i in range(9):
            self.assertTrue(self.neighbours.tell(i))

        self.wait_until(lambda: sum(len(n.heard) for n in notifiers) == 9)
        self.assertEqual([3, 3, 3], [len(n.heard) for n in notifiers])

    def test_one_that_does_not_read_holds_nobody_up(self):
        slow = self.notifier()
        go_on = slow.hold_up()
        hint = 'x' * 10000
        told = 0
        while self.neighbours.tell(hint):
            told += 1
            self.assertGreater(1000, told, 'there is no bound')

        # Another one takes what it can not.
        quick = self.notifier()
        self.assertTrue(self.neighbours.tell('other'))
        self.wait_until(lambda: quick.heard == ['other'])

        go_on.set()
        self.wait_until(lambda: len(slow.heard) == told)

    def test_one_that_is_gone_is_forgotten(self):
        gone, other = self.notifier(), self.notifier()
        for _ in range(2):
            self.neighbours.tell('warm')
        self.wait_until(lambda: gone.heard and other.heard)
        gone.stop()

        for _ in range(4):
            self.assertTrue(self.neighbours.tell('x'))

        self.wait_until(lambda: other.heard == ['warm'] + ['x'] * 4)
        other.stop()
        self.assertFalse(self.neighbours.tell('x'))

    def test_at_the_end_it_takes_what_has_arrived(self):
        notifier = self.notifier()
        self.assertTrue(self.neighbours.tell(0))
        self.wait_until(lambda: notifier.heard)
        go_on = notifier.hold_up()
        for i in range(1, 4):
            self.assertTrue(self.neighbours.tell(i))
        notifier.loop.call_soon_threadsafe(notifier.ear.close)
        go_on.set()

        self.wait_until(lambda: notifier.heard == [0, 1, 2, 3])
        self.wait_until(lambda: not self.neighbours.tell(4))

    def test_what_is_too_large_is_left_to_the_broker(self):
        notifier = self.notifier()

        self.assertFalse(self.neighbours.tell('x' * neighbour.SIZE))
        self.assertTrue(self.neighbours.tell('x' * 200000))

        self.wait_until(lambda: notifier.heard)
        self.assertEqual(['x' * 200000], notifier.heard)

    def test_a_kernel_with_less_room_leaves_large_ones_to_the_broker(self):
        notifier = self.notifier()
        self.assertTrue(self.neighbours.tell('small'))
        known = self.neighbours._known[0]
        known.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20000)

        self.assertFalse(self.neighbours.tell('x' * 100000))
        self.assertTrue(self.neighbours.tell('small'))

        self.wait_until(lambda: notifier.heard == ['small', 'small'])
        self.assertIs(known, self.neighbours._known[0])

    def test_without_a_descriptor_an_evaluator_is_heard_later(self):
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.neighbour.PAUSE', 0.0))
        notifier = self.notifier()
        accept, failures = notifier.ear._door.accept, []

        class Door:
            fileno = notifier.ear._door.fileno
            close = notifier.ear._door.close

            def accept(self):
                if len(failures) < 3:
                    failures.append(True)
                    raise OSError(errno.EMFILE, 'too many')
                return accept()

        door = notifier.ear._door
        notifier.call(setattr, notifier.ear, '_door', Door())

        self.assertTrue(self.neighbours.tell('x'))
        self.wait_until(lambda: notifier.heard)
        self.assertEqual(3, len(failures))
        notifier.call(setattr, notifier.ear, '_door', door)

    def test_another_account_is_not_told(self):
        """Anybody may take a place; what is told has secrets."""
        notifier = self.notifier()
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.neighbour._account',
            lambda sock: os.geteuid() + 1))

        self.assertFalse(self.neighbours.tell('secret'))
        self.assertEqual([], notifier.heard)

    def test_another_account_is_not_heard(self):
        """Else anybody could have the notifier call any address."""
        notifier = self.notifier()
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.neighbour._account',
            lambda sock: os.geteuid() + 1))
        with neighbour._socket() as sock:
            sock.connect(neighbour._address(self.name, 0))
            sock.setblocking(True)
            sock.settimeout(60)

            self.assertEqual(b'', sock.recv(1))
        self.assertEqual([], notifier.heard)

    def test_the_kernel_says_whose_the_other_side_is(self):
        one, other = socket.socketpair()
        with one, other:
            self.assertEqual(os.geteuid(), neighbour._account(one))

    def test_what_is_no_wake_up_hurts_nobody(self):
        notifier = self.notifier()
        with neighbour._socket() as sock:
            sock.connect(neighbour._address(self.name, 0))
            for data in (b'{', b'\xff\xfe', b'"one"', b''):
                sock.send(data)
            self.assertTrue(self.neighbours.tell('two'))
            self.wait_until(lambda: len(notifier.heard) == 2)
        self.assertEqual({'one', 'two'}, set(notifier.heard))

    def test_there_are_more_than_places(self):
        notifiers = [self.notifier() for _ in range(neighbour.PLACES + 1)]

        for i in range(neighbour.PLACES):
            self.assertTrue(self.neighbours.tell(i))

        self.wait_until(lambda: sum(
            len(n.heard) for n in notifiers) == neighbour.PLACES)
        self.assertEqual([], notifiers[-1].heard)


class NameTest(base.TestCase):

    def name(self, url, topic='wake'):
        conf = project_conf.prepare([], default_config_files=[])
        conf.set_override('transport_url', url)
        return messaging.name_of(
            oslo_messaging.get_notification_transport(conf), topic)

    def test_those_who_share_the_broker_share_the_name(self):
        self.assertEqual(
            self.name('rabbit://a:b@one:1,a:b@two:2/v?rabbit_quorum_queue=true'),
            self.name('rabbit://c:d@two:2,c:d@one:1/v'))

    def test_others_do_not(self):
        self.assertEqual(5, len({
            self.name('rabbit://a:b@one:1/v'),
            self.name('rabbit://a:b@one:1/v', 'other'),
            self.name('rabbit://a:b@one:1/w'),
            self.name('rabbit://a:b@one:2/v'),
            self.name('rabbit://a:b@two:1/v')}))
