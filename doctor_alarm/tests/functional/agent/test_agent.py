# SPDX-License-Identifier: Apache-2.0

import os
import signal

import kombu
import oslo_messaging
import requests

from doctor_alarm import messaging
from doctor_alarm.tests.functional.agent import base
from doctor_alarm.tests.services import process
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests.unit.agent import notifications

CAPTURED = [name for pair in notifications.PAIRS for name in pair] + [
    notifications.FORCE_DOWN]

TWO_SINKS = '''\
sources:
  - {name: all, events: ["*"], sinks: [alarms, other]}
sinks:
  - {name: alarms, publishers: ["alarm://"]}
  - {name: other, publishers: ["%s"]}
'''


def ids(events):
    return [event['message_id'] for event in events]


class TestNova(base.AgentCase):

    def test_a_default_nova_that_says_everything_twice(self):
        # given a nova with notification_format = both
        nova = self.service()
        events = self.evaluator()
        self.start_agent()
        # when it emits what was captured
        self.send_captured(nova, CAPTURED)
        # then every change is one event, and the host fault is there
        wanted = [notifications.load(left)[0]['message_id']
                  for left, _right in notifications.PAIRS]
        wanted.append(
            notifications.load(notifications.FORCE_DOWN)[0]['message_id'])
        self.wait_until(lambda: len(events) >= len(wanted))
        self.assertEqual(sorted(wanted), sorted(ids(events)))
        self.assertIn(['forced_down', 1, 'True'], events[-1]['traits'])
        self.wait_until(lambda: self.unread() == 0)

    def test_all_priorities_and_services(self):
        nova, neutron = self.service(), self.service(exchange='neutron')
        events = self.evaluator()
        port = process.free_port()
        self.start_agent(more='[metrics]\nport = %d' % port)
        for priority in ('ERROR', 'WARN', 'CRITICAL', 'AUDIT', 'SAMPLE'):
            self.send(nova, notifications.message(
                'compute.x', message_id=priority, priority=priority))
        self.send(neutron, notifications.message(
            'port.x', message_id='neutron'))
        self.wait_until(lambda: len(events) == 6)
        self.assertEqual({'ERROR', 'WARN', 'CRITICAL', 'AUDIT', 'SAMPLE',
                          'neutron'}, set(ids(events)))
        # and each exchange shows when it was last heard of
        metrics = requests.get(
            'http://127.0.0.1:%d/metrics' % port, timeout=60).text
        for exchange, count in (('nova', 5), ('neutron', 1)):
            self.assertIn('doctor_alarm_notifications_total{exchange="%s"} %d'
                          % (exchange, count), metrics)
            self.assertIn('doctor_alarm_last_notification_seconds'
                          '{exchange="%s"} 1.' % exchange, metrics)

    def test_nova_with_quorum_queues_on_a_broker_of_its_own(self):
        # given a nova whose queues are quorum queues
        url = self.useFixture(rabbitmq.VirtualHost()).url
        url += '?rabbit_quorum_queue=true'
        nova = self.service(url)
        self.send_captured(nova, CAPTURED[:1])      # makes its queues
        events = self.evaluator()
        self.start_agent('messaging_urls = %s' % url)
        self.send_captured(nova, CAPTURED[2:4])
        self.wait_until(lambda: events)
        self.assertEqual('compute.instance.update', events[0]['event_type'])

    def test_agents_with_a_pool_rob_nobody(self):
        # given two agents, and somebody else who reads nova's own queues
        nova = self.service()
        events = self.evaluator()
        others = []
        server = messaging.BatchServer(
            self.service(), [oslo_messaging.Target(
                topic='notifications', exchange='nova')], others.append)
        server.start()
        self.addCleanup(server.disconnect)
        self.addCleanup(server.halt)
        self.start_agent('pool = mine')
        self.start_agent('pool = mine\nworkers = 2')
        for number in range(100):
            self.send(nova, notifications.message(message_id=str(number)))
        self.wait_until(lambda: len(events) >= 100)
        self.assertEqual({str(number) for number in range(100)},
                         set(ids(events)))
        self.assertEqual(100, len(events))
        self.wait_until(lambda: len(others) == 100)


class TestMismatch(base.AgentCase):

    def assertEnds(self, agent):
        child = self.start_agent(agent, wait=False)
        self.assertEqual(1, child.wait(60))
        line = self.log().splitlines()[-1]
        self.assertIn('exists with other settings', line)
        self.assertNotIn('guest:', line)
        self.assertNotIn('Traceback', self.log())

    def test_it_stops_the_service_with_one_clear_line(self):
        # given a default nova and an agent that is told otherwise
        self.send_captured(self.service(), CAPTURED[:1])
        url = 'messaging_urls = %s?rabbit_quorum_queue=true' % self.bus
        self.assertEnds(url)
        self.assertEnds(url + '\npool = mine')
        self.assertEnds(url + '\nworkers = 2')


class TestMalformed(base.AgentCase):

    def test_it_is_put_aside_and_stops_nobody(self):
        nova = self.service()
        events = self.evaluator()
        self.start_agent()
        deep = {}
        for _level in range(200):
            deep = {'a': deep}
        bad = {
            'payload': notifications.message(payload=['not', 'an', 'object']),
            'deep': notifications.message(payload=deep),
            'large': notifications.message(payload={'a': 'x' * 10_000_000}),
            'time': notifications.message(timestamp='yesterday'),
            'type': notifications.message(event_type=None),
            'object': notifications.message(
                payload=notifications.envelope('no object')),
        }
        for name, message in bad.items():
            self.send(nova, message | {'message_id': name})
            self.send(nova, notifications.message(message_id='good' + name))
        missing = notifications.message(message_id='missing')
        del missing['payload']
        self.send(nova, missing)
        self.send(nova, notifications.message(
            'service.update', notifications.envelope(
                {'host': 'h'}, 'ServiceStatusPayload', '9.9'),
            message_id='unknown version'))
        # what oslo.messaging refuses itself
        with self.connection() as connection:
            kombu.Producer(connection.channel()).publish(
                b'\x00\xffnot json', exchange='nova',
                routing_key='notifications.info',
                content_type='application/json')
        self.send(nova, notifications.message(message_id='last'))
        # then the others arrive
        self.wait_until(lambda: 'last' in ids(events))
        self.assertEqual(len(bad) + 2, len(events))
        # and those are told once, stored and acknowledged
        self.wait_until(lambda: len(self.dead_letters()) == len(bad) + 1)
        self.assertEqual({*bad, 'missing'}, {
            letter.message_id for letter in self.dead_letters()})
        self.assertEqual({'notifications.info'}, {
            letter.source for letter in self.dead_letters()})
        for name in (*bad, 'missing'):
            self.assertEqual(1, self.log().count(
                'notification %s is put aside' % name))

    def test_no_secret_leaves(self):
        nova = self.service()
        events = self.evaluator()
        self.start_agent(more='[event]\nstore_raw = info')
        token = 'gAAAAAB' + 'T0kEn' * 30
        spec = {'request_spec': {'context': {'auth_token': token},
                                 'x': [{'password': token}]}}
        for number, payload in enumerate((spec, [spec])):
            self.send(nova, notifications.message(
                'scheduler.select_destinations.start', payload,
                message_id=str(number)), {'auth_token': token})
        self.wait_until(lambda: events and self.dead_letters())
        self.assertIn('request_spec', events[0]['raw']['payload'])
        for text in (repr(events), repr(self.dead_letters()), self.log()):
            self.assertNotIn(token, text)


class TestSinks(base.AgentCase):

    def test_a_dead_sink_stops_nobody(self):
        # given a sink whose broker is not there
        nova = self.service()
        events = self.evaluator()
        child = self.start_agent(pipeline=TWO_SINKS % (
            'notifier://u:p@127.0.0.1:1/?topic=alarm.all'))
        # when notifications come
        for number in range(50):
            self.send(nova, notifications.message(message_id=str(number)))
        # then the alarms get them, and its own queue keeps the others
        self.wait_until(lambda: len(events) == 50)
        self.wait_until(lambda: self.unread() == 0)
        child.terminate()
        self.assertEqual(0, child.wait(60))
        self.assertEqual(50, self.waiting('doctor_alarm-other'))
        self.assertIn('Sink other fails', self.log())
        self.assertNotIn('u:p@', self.log())

    def test_an_aodh_may_stand_behind(self):
        nova = self.service()
        self.evaluator()
        taken = self.evaluator('alarm.all')
        self.start_agent(
            pipeline=TWO_SINKS % 'notifier://?topic=alarm.all',
            more='[publisher]\ntelemetry_secret = s3cret')
        self.send_captured(nova, CAPTURED[:1])
        self.wait_until(lambda: taken)
        self.assertEqual(
            {'message_id', 'event_type', 'generated', 'traits', 'raw',
             'message_signature'}, taken[0].keys())
        self.assertEqual(64, len(taken[0]['message_signature']))

    def test_no_feedback_loop(self):
        # given an agent that reads what it emits itself
        nova = self.service()
        events = self.evaluator()
        self.start_agent(
            'topics = notifications, versioned_notifications, alarm.all\n'
            'exchanges = nova, ceilometer',
            pipeline=TWO_SINKS % 'notifier://?topic=alarm.all')
        for number in range(3):
            self.send(nova, notifications.message(message_id=str(number)))
            self.wait_until(lambda: len(events) >= number + 1)  # noqa: B023
        self.wait_until(lambda: not (
            self.unread() or self.waiting('alarm.all.sample')
            or self.waiting('doctor_alarm-other')))
        self.assertEqual(['0', '1', '2'], ids(events))
        self.assertEqual([], self.dead_letters())


class TestSurvival(base.AgentCase):

    def test_kill_9_loses_nothing(self):
        nova = self.service()
        events = self.evaluator()
        child = self.start_agent()
        wanted = [str(number) for number in range(1000)]
        for done, message_id in enumerate(wanted, 1):
            self.send(nova, notifications.message(message_id=message_id))
            if done in (300, 600):
                # while it is at work
                self.wait_until(lambda: len(events) > done // 3)  # noqa: B023
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
                child = self.start_agent()
        self.wait_until(lambda: set(wanted) <= set(ids(events)), timeout=60)
        self.wait_until(lambda: self.unread() == 0)

    def test_the_broker_is_restarted(self):
        nova = self.service()
        events = self.evaluator()
        self.start_agent()
        self.send(nova, notifications.message(message_id='before'))
        self.wait_until(lambda: 'before' in ids(events))
        # An orderly restart: killed within a second of its creation, a quorum
        # queue of RabbitMQ 3.10 may not come back at all.
        self.virtual_host.server.stop()
        self.virtual_host.server.start()
        self.wait_until(lambda: self._arrives(nova, events), timeout=60)

    def _arrives(self, nova, events):
        # Nova's own queues do not outlive a restart, nor does ours on its
        # bus: what counts is that the agent takes up work again.
        try:
            self.send(nova, notifications.message(message_id='after'))
        except Exception:
            return False
        return 'after' in ids(events)

    def test_sigterm_drains(self):
        nova = self.service()
        events = self.evaluator()
        child = self.start_agent()
        for number in range(200):
            self.send(nova, notifications.message(message_id=str(number)))
        child.terminate()
        self.assertEqual(0, child.wait(60))
        # what was taken is published and what was not is still there
        self.wait_until(
            lambda: len(set(ids(events))) + self.unread() >= 200)
        self.assertNotIn('Traceback', self.log())
        self.start_agent()
        self.wait_until(lambda: len(set(ids(events))) == 200)
        # Acknowledgements of the last batch may not reach the broker in time.
        self.assertEqual(200, len(events))
