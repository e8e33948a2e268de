# SPDX-License-Identifier: Apache-2.0

import threading
from unittest import mock

import fixtures

from doctor_alarm.agent import definitions
from doctor_alarm.agent import endpoint
from doctor_alarm.agent import intake
from doctor_alarm.agent import pipeline
from doctor_alarm.agent.publishers import base as publishers
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications


class Incoming:
    """What oslo.messaging hands over."""

    def __init__(self, number, **kwargs):
        kwargs.setdefault('message_id', 'm%s' % number)
        self.message = notifications.message(**kwargs)
        self.ctxt = {}
        self.acknowledged = 0

    def acknowledge(self):
        self.acknowledged += 1


class FakePublisher(publishers.Publisher):
    """Fails as often as told, and remembers what it got."""

    def __init__(self, failures=0):
        self.failures = failures
        self.calls = 0
        self.got = []

    def publish(self, events):
        self.calls += 1
        if self.calls <= self.failures:
            raise exception.PublishFailed(topic='t', reason='broker is away')
        self.got += [event.message_id for event in events]


class FakeDeadLetters:

    def __init__(self, failures=0):
        self.failures = failures
        self.letters = []

    def put(self, reason, message_id, source, body):
        if self.failures:
            self.failures -= 1
            raise exception.PublishFailed(topic='t', reason='broker is away')
        self.letters.append((reason, message_id, source, body))


def output(*to, events=('*',), name='sink'):
    return intake.Output(pipeline.Sink(
        name, (definitions.Filter.of(list(events)),), ()), to)


class IntakeCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.stopping = threading.Event()
        self.letters = FakeDeadLetters()
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.messaging.effect.FIRST_PAUSE', 0.001))
        self.log = self.useFixture(fixtures.FakeLogger())

    def intake(self, *outputs, letters=True):
        found = intake.Intake(
            'the-queue', endpoint.Transformer(configuration.prepare()),
            outputs, stopping=self.stopping,
            dead_letters=self.letters if letters else None)
        found.start()
        self.addCleanup(found.stop)
        self.addCleanup(self.stopping.set)
        return found


class TestAcknowledgement(IntakeCase):

    def test_after_every_publisher_confirmed(self):
        order = []
        one, two = FakePublisher(), FakePublisher(failures=3)
        incoming = Incoming(1)
        incoming.acknowledge = lambda: order.append((one.got, two.got))
        self.intake(output(one), output(two)).process([incoming])
        self.assertEqual([(['m1'], ['m1'])], order)
        self.assertEqual(1, one.calls)
        self.assertEqual(4, two.calls)

    def test_failures_are_told_once(self):
        self.intake(output(FakePublisher(failures=5))).process([Incoming(1)])
        self.assertEqual(1, self.log.output.count('broker is away'))
        self.assertIn('works again', self.log.output)

    def test_an_end_without_success_acknowledges_nothing(self):
        self.stopping.set()
        publisher = FakePublisher(failures=9)
        incoming = Incoming(1)
        self.intake(output(publisher)).process([incoming])
        self.assertEqual(0, incoming.acknowledged)
        self.assertEqual(1, publisher.calls)

    def test_an_end_lets_what_works_finish(self):
        self.stopping.set()
        incoming = Incoming(1)
        self.intake(output(FakePublisher())).process([incoming])
        self.assertEqual(1, incoming.acknowledged)

    def test_an_error_of_any_kind_is_tried_again(self):
        publisher = FakePublisher()
        publisher.publish = mock.Mock(side_effect=[
            OSError('password=p4ssw0rd'), None])
        incoming = Incoming(1)
        self.intake(output(publisher)).process([incoming])
        self.assertEqual(1, incoming.acknowledged)
        self.assertIn('OSError', self.log.output)
        self.assertNotIn('p4ssw0rd', self.log.output)

    def test_what_is_submitted_is_processed(self):
        publisher = FakePublisher()
        found = self.intake(output(publisher))
        all_of_them = [Incoming(number) for number in range(50)]
        for incoming in all_of_them:
            found.submit(incoming)
        self.wait_until(lambda: all(
            incoming.acknowledged for incoming in all_of_them))
        self.assertEqual(['m%d' % number for number in range(50)],
                         publisher.got)


class TestFilters(IntakeCase):

    def test_an_event_goes_where_it_belongs(self):
        servers, others = FakePublisher(), FakePublisher()
        batch = [Incoming(1, event_type='compute.x'),
                 Incoming(2, event_type='port.x'),
                 Incoming(3, event_type='compute.y')]
        self.intake(output(servers, events=['compute.*']),
                    output(others, events=['!compute.*'])).process(batch)
        self.assertEqual(['m1', 'm3'], servers.got)
        self.assertEqual(['m2'], others.got)

    def test_what_nobody_wants_is_acknowledged(self):
        publisher = FakePublisher()
        dropped = Incoming(1, publisher_id='doctor_alarm.agent')
        unwanted = Incoming(2)
        self.intake(output(publisher, events=['compute.*'])).process(
            [dropped, unwanted])
        self.assertEqual([1, 1], [dropped.acknowledged, unwanted.acknowledged])
        self.assertEqual(0, publisher.calls)


class TestMalformed(IntakeCase):

    def test_it_is_put_aside_and_stops_nobody(self):
        publisher = FakePublisher()
        bad = [Incoming('bad', payload=[{'password': 'p4ssw0rd'}]),
               Incoming('no-time', timestamp='soon'),
               Incoming('x', message_id=None)]
        good = [Incoming(1), Incoming(2)]
        self.intake(output(publisher)).process([good[0], *bad, good[1]])
        self.assertEqual(['m1', 'm2'], publisher.got)
        self.wait_until(lambda: all(item.acknowledged for item in bad))
        self.assertEqual(['mbad', 'mno-time', '(none)'],
                         [letter[1] for letter in self.letters.letters])
        self.assertIn('payload must be an object', self.letters.letters[0][0])
        self.assertEqual('the-queue', self.letters.letters[0][2])
        self.assertNotIn('p4ssw0rd', repr(self.letters.letters))

    def test_it_is_told_once(self):
        found = self.intake(output(FakePublisher()))
        bad = Incoming('bad', payload=7)
        found.process([bad])
        self.wait_until(lambda: bad.acknowledged)
        self.assertEqual(1, self.log.output.count('mbad'))

    def test_it_is_acknowledged_once_it_is_stored(self):
        self.letters.failures = 3
        publisher = FakePublisher()
        found = self.intake(output(publisher))
        bad, good = Incoming('bad', payload=7), Incoming(1)
        found.process([bad, good])
        self.assertEqual(1, good.acknowledged)
        self.wait_until(lambda: bad.acknowledged)
        self.assertEqual(1, len(self.letters.letters))

    def test_dead_letters_that_can_not_be_stored_keep_nobody_back(self):
        self.letters.failures = 10 ** 6
        found = self.intake(output(FakePublisher()))
        bad, good = Incoming('bad', payload=7), Incoming(1)
        found.process([bad])
        found.process([good])
        self.assertEqual([0, 1], [bad.acknowledged, good.acknowledged])

    def test_another_intake_puts_it_aside(self):
        found = self.intake(output(FakePublisher()), letters=False)
        bad = Incoming('bad', payload=7)
        found.process([bad])
        self.assertEqual(1, bad.acknowledged)
        self.assertEqual('', self.log.output)

    def test_what_breaks_the_agent_is_put_aside(self):
        found = self.intake(output(FakePublisher()))
        bad, good = Incoming('bad'), Incoming(1)
        bad.message['payload'] = mock.MagicMock(
            spec=dict, items=mock.Mock(side_effect=KeyError('p4ssw0rd')))
        found.process([bad, good])
        self.assertEqual(1, good.acknowledged)
        self.wait_until(lambda: bad.acknowledged)
        self.assertIn('broke the agent', self.log.output)
        self.assertNotIn('p4ssw0rd', self.log.output)
