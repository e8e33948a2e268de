# SPDX-License-Identifier: Apache-2.0
"""What monitors say again, over RabbitMQ, to two workers of the API."""

import concurrent.futures
import datetime
import os
import signal
import uuid

import fixtures

from doctor_alarm import fault
from doctor_alarm.tests import base
from doctor_alarm.tests.functional import deployment
from doctor_alarm.tests import receiver
from doctor_alarm.tests.unit.api import test_alertmanager

EXTRA = """
[api]
workers = 2
[event]
duplicate_window = 600
alertmanager_cfg_file = %s
"""
RULES = """
- match: {}
  firing: {type: %s, status: down}
  details: {hostname: labels.instance}
"""
POSTS = 12


class RepetitionsTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        self.rules = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'rules.yaml')
        self.write(fault.HOST_DOWN)
        self.cloud = self.useFixture(deployment.Deployment(
            parts=('evaluator', 'notifier', 'api'),
            extra=EXTRA % self.rules))
        self.cloud.create_alarm(
            repeat_actions=True, event_rule={
                'event_type': '*', 'scope': 'cloud'},
            alarm_actions=[self.receiver.url])

    def write(self, kind):
        with open(self.rules, 'w') as rules:
            rules.write(RULES % kind)

    def post(self, doc, path='/v1/events'):
        return self.cloud.api('POST', path, doc)['message_ids']

    def event(self, **details):
        return {'type': fault.HOST_DOWN, 'details': details, 'time':
                datetime.datetime.now(datetime.UTC).isoformat()}

    def alert(self):
        """Return an alert of now that nobody had before."""
        doc = test_alertmanager.captured('firing')
        alert = doc['alerts'][0]
        alert['fingerprint'] = str(uuid.uuid4())
        alert['startsAt'] = self.event()['time']
        return {**doc, 'alerts': [alert]}

    def at_once(self, make):
        """Post some at the same time; return the ids that they got."""
        with concurrent.futures.ThreadPoolExecutor(POSTS) as monitors:
            found = monitors.map(lambda _number: self.post(make()),
                                 range(POSTS))
            return {ids[0] for ids in found}

    def told(self):
        """Return the ids of the events of all calls that come.

        What is posted last is told last.
        """
        last, = self.post({**self.event(), 'type': 'last'})
        self.wait_until(lambda: last in self.calls(), 120)
        return [found for found in self.calls() if found != last]

    def calls(self):
        return [body['reason_data']['event']['message_id']
                for body in self.receiver.bodies]

    def test_told_once(self):
        # when: the same event, with ids of the monitor
        known = self.event(hostname='h1', monitor_id='m',
                           monitor_event_id='1')
        first, = self.at_once(lambda: known)
        # and: one without ids, each time with the time of the attempt
        second, = self.at_once(
            lambda: self.event(hostname='h2', status='down'))
        # and: one that nobody can tell from others
        others = self.at_once(lambda: self.event(hostname='h3'))

        self.assertEqual(POSTS, len(others))
        self.assertEqual(sorted({first, second} | others),
                         sorted(self.told()))

    def test_rules_are_read_again_by_all_workers(self):
        self.post(self.alert(), test_alertmanager.PATH)

        self.write('new.type')
        self.cloud.processes['api'].send_signal(signal.SIGHUP)

        def kinds():
            self.receiver.bodies.clear()
            for _time in range(8):
                self.post(self.alert(), test_alertmanager.PATH)
            self.told()
            return {body['reason_data']['event']['event_type']
                    for body in self.receiver.bodies} - {'last'}

        def all_new():
            try:
                return kinds() == {'new.type'}
            except (OSError, AssertionError):
                # The workers are replaced: for a moment nobody listens.
                return False

        self.wait_until(all_new, 120)
