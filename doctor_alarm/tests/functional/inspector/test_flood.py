# SPDX-License-Identifier: Apache-2.0
"""Monitors that repeat themselves: what is new is told, and once."""

import collections
from concurrent import futures
import datetime
import json
import random

import fixtures
import requests

from doctor_alarm import fault
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests import receiver

HOSTS = ['h%d' % number for number in range(5)]
SERVERS = 2
#: Times that each host fails and comes back.
TURNS = 3
#: One of so many events is new.
NEWS = 50
PATIENCE = 180
QUEUES = ('doctor_alarm_inspector', 'doctor_alarm.event.sample')
MONITOR = {'X-User-Id': 'm', 'X-Project-Id': 'service', 'X-Roles': 'monitor'}


class FloodTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        path = self.useFixture(fixtures.TempDir()).join('map.json')
        with open(path, 'w') as file:
            json.dump({host: [
                {'id': '%s-%d' % (host, number), 'project_id': 'p1',
                 'state': 'active'} for number in range(SERVERS)]
                for host in HOSTS}, file)
        self.receiver = self.useFixture(receiver.Receiver())
        self.cloud = self.useFixture(deployment.Deployment(
            ('evaluator', 'notifier', 'api', 'inspector'), debug=False,
            extra='[inspector]\nresource_map_file = %s\n' % path))
        url = self.receiver.url
        self.alarms = {
            '%s-%d' % (host, number): self.cloud.create_alarm(
                event_rule=scenario.rule('%s-%d' % (host, number)),
                alarm_actions=[url], ok_actions=[url])
            for host in HOSTS for number in range(SERVERS)}

    def event(self, host, down, number):
        return {'event': {
            'time': datetime.datetime.now(datetime.UTC).isoformat(),
            'type': fault.HOST_DOWN if down else fault.HOST_UP, 'details': {
                'hostname': host, 'monitor_id': 'm',
                'monitor_event_id': str(number)}}}

    def events(self):
        """Give bursts: new events, each followed by repetitions."""
        chance, latest = random.Random(1), collections.deque(maxlen=8)
        for turn in range(2 * TURNS):
            for host in HOSTS:
                latest.append(self.event(host, turn % 2 == 0, turn))
                yield [latest[-1]]
                yield [chance.choice(latest) for _ in range(NEWS - 1)]

    def post(self, session, body):
        answer = session.post(self.cloud.url + '/v1/events', json=body,
                              headers=MONITOR, timeout=60)
        self.assertEqual(202, answer.status_code, answer.text)
        return answer.json()['message_ids']

    def flood(self, post):
        """Post bursts, each after the one before; return all ids."""
        with requests.Session() as session, futures.ThreadPoolExecutor(
                8) as pool:
            return {name for burst in self.events()
                    for ids in post(session, pool, burst) for name in ids}

    def told(self, server):
        return [body['current']
                for body in self.receiver.of(self.alarms[server])]

    def check(self, ids):
        self.assertEqual(2 * TURNS * len(HOSTS), len(ids))
        for server in self.alarms:
            self.wait_until(
                lambda server=server: len(self.told(server)) >= 2 * TURNS,
                PATIENCE, lambda server=server: self.told(server))
        for queue in QUEUES:
            self.wait_until(
                lambda queue=queue: self.cloud.unfinished(queue) == 0,
                PATIENCE)
        for part in ('inspector', 'evaluator', 'notifier'):
            # what it has taken it has finished
            self.assertEqual(0, self.cloud.stop(part))
        for queue in QUEUES:
            self.assertEqual(0, self.cloud.waiting(queue))
        for server, alarm in self.alarms.items():
            self.assertEqual(TURNS * ['alarm', 'ok'], self.told(server))
            self.assertEqual(
                list(range(1, 2 * TURNS + 1)),
                [body['sequence'] for body in self.receiver.of(alarm)])

    def test_one_event_in_a_request(self):
        self.check(self.flood(lambda session, pool, burst: pool.map(
            lambda event: self.post(session, event), burst)))

    def test_lists(self):
        self.check(self.flood(lambda session, pool, burst: [
            self.post(session, {'events': burst})]))
