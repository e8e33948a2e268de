# SPDX-License-Identifier: Apache-2.0

import json

from doctor_alarm.tests.functional import scenario

PROJECT = {'X-User-Id': 'u', 'X-Project-Id': 'p1', 'X-Roles': 'member'}


class TestPipeline(scenario.Story):

    def test_a_nova_notification_reaches_the_receiver(self):
        alarm = self.given_alarm('vm1')

        self.when('vm1', 'error')
        raised, = self.expect(alarm, 'alarm', within=10)
        self.when('vm1', 'active')
        _, cleared = self.expect(alarm, 'alarm', 'ok', within=10)

        # then: the body is Aodh's, and ours beside it
        self.assertEqual('vm down', raised['alarm_name'])
        self.assertEqual('low', raised['severity'])
        self.assertEqual('insufficient data', raised['previous'])
        self.assertEqual('alarm', cleared['previous'])
        self.assertEqual('event', raised['reason_data']['type'])
        traits = {name: value for name, _type, value
                  in raised['reason_data']['event']['traits']}
        self.assertEqual(('vm1', 'error', 'h1', 'p1'), (
            traits['instance_id'], traits['state'], traits['host'],
            traits['project_id']))
        self.assertEqual(('p1', 'vm1'),
                         (raised['project_id'], raised['resource_id']))
        headers = self.receiver.headers[0]
        self.assertEqual(raised['notification_id'],
                         headers['Idempotency-Key'])

        # then: the API shows the same
        shown = self.cloud.api('GET', '/v2/alarms/%s' % alarm)
        self.assertEqual('ok', shown['state'])
        history = self.cloud.api('GET', '/v2/alarms/%s/history' % alarm)
        self.assertEqual(
            ['state transition', 'state transition', 'creation'],
            [entry['type'] for entry in history])
        self.assertEqual('ok', json.loads(history[0]['detail'])['state'])

        # then: every stage of the fault is stored
        def stages():
            found = self.cloud.api(
                'GET', '/v2/alarms/%s/deliveries' % alarm)
            return found if all(
                d['status'] == 'delivered' for d in found) else None

        for delivery in self.wait_until(stages):
            # Told by the wake-up, which a lane that is at work does not get.
            stages = {name: at for name, at in delivery['timeline'].items()
                      if at or name not in ('committed_at', 'dropped_at')}
            self.assertNotIn(None, stages.values())
            self.assertEqual(sorted(stages.values()),
                             list(stages.values()))

    def test_an_event_posted_over_http_reaches_the_receiver(self):
        alarm = self.given_alarm(event_rule={
            'event_type': 'compute.host.down', 'query': [
                {'field': 'traits.hostname', 'op': 'eq', 'value': 'h7'}]})
        answer = self.cloud.api('POST', '/v1/events', {'event': {
            'time': '2036-04-12T08:00:00', 'type': 'compute.host.down',
            'details': {'hostname': 'h7', 'severity': 'critical'}}}, PROJECT)
        body, = self.expect(alarm, 'alarm')
        self.assertIn(body['reason_data']['event']['message_id'],
                      json.dumps(answer))

    def test_a_ceilometer_may_stand_in_front(self):
        alarm = self.given_alarm('vm1')
        self.cloud.notifier('ceilometer', 'alarm.all', 'telemetry').sample(
            {}, 'event', [{
                'message_id': 'm1', 'event_type': 'compute.instance.update',
                'generated': '2026-11-20T12:00:00.000001', 'raw': {},
                'message_signature': '', 'traits': [
                    ['instance_id', 1, 'vm1'], ['state', 1, 'error'],
                    ['tenant_id', 1, 'p1']]}])
        self.expect(alarm, 'alarm')

    def test_no_feedback_from_what_we_emit(self):
        alarm = self.given_alarm(
            event_rule={'event_type': '*'}, repeat_actions=True)
        # on an exchange that the agent reads, so only the publisher tells
        self.cloud.notifier(publisher_id='doctor_alarm.evaluator').info(
            {}, 'alarm.state_transition', {'project_id': 'p1'})
        self.when('vm1', 'error')
        self.expect(alarm, 'alarm')
        self.when('vm1', 'active')
        self.expect(alarm, 'alarm', 'alarm')

    def test_sigterm_ends_every_part_cleanly(self):
        alarm = self.given_alarm('vm1')
        self.when('vm1', 'error')
        self.expect(alarm, 'alarm')
        for name in self.parts:
            self.assertEqual(0, self.cloud.stop(name), name)
            self.assertNotIn('Traceback', self.cloud.log(name))


class TestCeilometer(scenario.Story):
    """A Ceilometer in front, with its own settings of the queues."""

    query = '?rabbit_quorum_queue=true'
    extra = '[evaluator]\nceilometer_url = %(bus)s' + query

    def publish(self, message_id):
        self.cloud.notifier(
            'ceilometer', 'alarm.all', 'telemetry', self.query,
        ).sample({}, 'event', [{
            'message_id': message_id, 'event_type': 'compute.instance.update',
            'generated': '2036-11-20T12:00:00.000001', 'raw': {},
            'message_signature': '', 'traits': [
                ['instance_id', 1, 'vm1'], ['state', 1, 'error'],
                ['tenant_id', 1, 'p1']]}])

    def test_quorum_queues(self):
        alarm = self.given_alarm('vm1')
        self.publish('m1')
        self.expect(alarm, 'alarm', within=10)


class TestNoCeilometer(scenario.Story):

    extra = '[evaluator]\nceilometer_topic =\n'

    def test_the_topic_is_left_alone(self):
        alarm = self.given_alarm('vm1')
        self.cloud.notifier('ceilometer', 'alarm.all', 'telemetry').sample(
            {}, 'event', [])
        self.when('vm1', 'error')
        self.expect(alarm, 'alarm')
        self.assertEqual(1, self.cloud.waiting('alarm.all.sample'))
