# SPDX-License-Identifier: Apache-2.0

import datetime
import hashlib
import hmac
from unittest import mock

from doctor_alarm.agent import pipeline
from doctor_alarm.agent.publishers import alarm
from doctor_alarm.agent.publishers import base as publishers
from doctor_alarm.agent.publishers import notifier
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import signature
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import configuration

NOW = datetime.datetime(2026, 11, 20, 9, 14, 41, tzinfo=datetime.timezone.utc)


def make_event(number=1, **traits):
    return event.build(event.Parts(
        message_id='m%d' % number, event_type='compute.instance.update',
        generated=NOW, traits=traits or {'state': 'error'}, project_id='p1',
        publisher_id='compute.host1'), received=NOW)


class PublisherCase(base.TestCase):

    def setUp(self):
        super().setUp()
        patcher = mock.patch('doctor_alarm.messaging.Publisher')
        self.bus = patcher.start()
        self.addCleanup(patcher.stop)

    def sent(self):
        return [call.args for call in
                self.bus.return_value.publish.call_args_list]


class TestAlarm(PublisherCase):

    def test_events_keep_all_that_is_ours(self):
        conf = configuration.prepare()
        alarm.AlarmPublisher(conf, 'alarm://').publish([make_event()])
        (event_type, payload), = self.sent()
        self.assertEqual('event', event_type)
        self.assertEqual([make_event().to_wire()], payload)
        self.assertEqual((conf.evaluator.event_topic, 'doctor_alarm.agent'),
                         self.bus.call_args.args[1:])

    def test_events_travel_together(self):
        publisher = alarm.AlarmPublisher(configuration.prepare(), 'alarm://')
        publisher.publish([make_event(number) for number in range(250)])
        self.assertEqual([100, 100, 50],
                         [len(payload) for _type, payload in self.sent()])

    def test_messages_stay_below_one_megabyte(self):
        publisher = alarm.AlarmPublisher(configuration.prepare(), 'alarm://')
        publisher.publish([make_event(number, reason='x' * 60_000)
                           for number in range(40)])
        for _type, payload in self.sent():
            self.assertLess(len(str(payload)), 1_000_000)
        self.assertEqual(40, sum(len(item[1]) for item in self.sent()))

    def test_a_failure_is_the_callers(self):
        self.bus.return_value.publish.side_effect = exception.PublishFailed(
            topic='t', reason='r')
        publisher = alarm.AlarmPublisher(configuration.prepare(), 'alarm://')
        self.assertRaises(exception.PublishFailed, publisher.publish,
                          [make_event()])

    def test_it_has_no_options(self):
        self.assertRaises(
            exception.ConfigurationError, alarm.AlarmPublisher,
            configuration.prepare(), 'alarm://?topic=x')


class TestNotifier(PublisherCase):

    def publish(self, url, events, **overrides):
        notifier.NotifierPublisher(
            configuration.prepare(**overrides), url).publish(events)
        return self.sent()

    def test_the_form_is_ceilometers(self):
        (event_type, payload), = self.publish(
            'notifier://?topic=alarm.all', [make_event()])
        self.assertEqual('event', event_type)
        self.assertEqual([{
            'message_id': 'm1', 'event_type': 'compute.instance.update',
            'generated': '2026-11-20T09:14:41',
            'traits': [['state', 1, 'error']], 'raw': {},
            'message_signature': ''}], payload)
        self.assertEqual('alarm.all', self.bus.call_args.args[1])

    def test_topic_and_size_of_messages(self):
        sent = self.publish('notifier://?per_message=1&topic=a&topic=b',
                            [make_event(1), make_event(2)])
        self.assertEqual(['m1', 'm2'],
                         [payload[0]['message_id'] for _type, payload in sent])
        self.assertEqual('b', self.bus.call_args.args[1])
        self.publish('notifier://', [])
        self.assertEqual('event', self.bus.call_args.args[1])

    def test_another_broker(self):
        with mock.patch('doctor_alarm.messaging.get_transport') as get:
            self.publish('notifier://u:p@host:5673/v?topic=x', [])
            self.publish('notifier://host?driver=kombu', [])
            self.publish('notifier://?topic=x', [])
        self.assertEqual(
            ['rabbit://u:p@host:5673/v', 'kombu://host', None],
            [call.args[1] for call in get.call_args_list])

    def test_options_that_are_not_known(self):
        for url in ('notifier://?tpoic=x', 'notifier://?per_message=0',
                    'notifier://?per_message=x'):
            self.assertRaises(
                exception.ConfigurationError, notifier.NotifierPublisher,
                configuration.prepare(), url)
        notifier.NotifierPublisher(configuration.prepare(), (
            'notifier://?policy=queue&max_queue_length=10&topic=x'))

    def test_the_signature_is_ceilometers(self):
        (_type, (doc,)), = self.publish(
            'notifier://', [make_event(state='erré', vcpus=2)],
            publisher__telemetry_secret='s3cret')
        wanted = hmac.new(b's3cret', (
            b'event_type' b'compute.instance.update'
            b'generated' b'2026-11-20T09:14:41'
            b'message_id' b'm1'
            # nested: a dict without keys has no pairs
            b'traits' b"[[b'state', 1, b'err\\xc3\\xa9'], [b'vcpus', 2, 2]]"
        ), hashlib.sha256).hexdigest()
        self.assertEqual(wanted, doc['message_signature'])

    def test_nested_keys_are_signed_with_their_path(self):
        wanted = hmac.new(
            b's', b'raw:a:b1raw:c[{b\'d\': b\'e\'}]', hashlib.sha256)
        self.assertEqual(wanted.hexdigest(), signature.of(
            {'raw': {'c': [{'d': 'e'}], 'a': {'b': 1}},
             'message_signature': 'old'}, 's'))


class TestLoader(PublisherCase):

    def load(self, url, accept=None):
        return publishers.Loader(configuration.prepare(), accept).load(
            pipeline.Endpoint(url, 'file.yaml:7'))

    def test_by_scheme(self):
        self.assertIsInstance(self.load('alarm://'), alarm.AlarmPublisher)
        self.assertIsInstance(self.load('notifier://'),
                              notifier.NotifierPublisher)

    def test_alarms_in_this_process(self):
        taken = []
        publisher = self.load('alarm://', taken.extend)
        publisher.publish([make_event()])
        self.assertTrue(publisher.feeds_alarms)
        self.assertEqual([make_event().message_id],
                         [item.message_id for item in taken])
        self.bus.assert_not_called()

    def test_errors_say_where(self):
        for url, reason in (
                ('gnocchi://', 'there is no publisher gnocchi://'),
                ('notifier://?x=1', 'unknown option x')):
            error = self.assertRaises(
                exception.ConfigurationError, self.load, url)
            self.assertTrue(str(error).startswith('file.yaml:7: '), error)
            self.assertIn(reason, str(error))
