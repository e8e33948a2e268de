# SPDX-License-Identifier: Apache-2.0
"""Absences, end to end: what does not come is told, once, whoever dies."""

import datetime
import threading
import time

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import service
from doctor_alarm.tests.functional import scenario
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests.services import postgresql

NEVER_ACTIVE = {
    'event_type': 'compute.instance.update', 'query': [
        {'field': 'traits.state', 'value': 'active'}],
    'after': {'event_type': 'compute.instance.update', 'query': [
        {'field': 'traits.state', 'value': 'building'}]}}


class TestStandalone(test_standalone.StandaloneTest):

    def heartbeat(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        answer = self.service.api('POST', '/v1/events', {'event': {
            'time': now.isoformat(), 'type': 'heartbeat',
            'details': {'host': 'h1'}}}, test_standalone.MEMBER)
        self.assertEqual(202, answer.status_code, answer.text)

    def test_a_heartbeat_that_stays_away(self):
        self.given_running()
        started = time.time()
        alarm = self.given_alarm(
            event_rule={'event_type': 'heartbeat', 'timeout': 1})
        # when: none comes
        self.wait_until(lambda: self.told(alarm) == ['alarm'])
        told, = self.receiver.of(alarm)
        # then: not too early
        self.assertGreaterEqual(told['_at'], started + 1)
        self.assertEqual('timeout', told['reason_data']['type'])
        self.assertEqual('doctor_alarm.timeout',
                         told['reason_data']['event']['event_type'])
        # when: it is back, and stays away again
        self.heartbeat()
        self.wait_until(
            lambda: self.told(alarm) == ['alarm', 'ok', 'alarm'])
        # then: it is told once
        other = self.given_alarm(
            event_rule={'event_type': 'x', 'timeout': 1})
        self.wait_until(lambda: self.told(other) == ['alarm'])
        self.assertEqual(['alarm', 'ok', 'alarm'], self.told(alarm))

    def test_a_restart_forgets_nothing(self):
        self.given_running()
        alarm = self.given_alarm(
            event_rule={'event_type': 'heartbeat', 'timeout': 1})
        self.service.kill()

        self.given_running()

        self.wait_until(lambda: self.told(alarm) == ['alarm'])

    def test_disabled_deleted_and_enabled_again(self):
        self.given_running()
        rule = {'event_type': 'heartbeat', 'timeout': 2}
        alarms = [self.given_alarm(event_rule=rule) for _ in range(2)]
        shown = self.service.api('GET', '/v2/alarms/' + alarms[0]).json()
        for enabled in (False, True):
            self.assertEqual(200, self.service.api(
                'PUT', '/v2/alarms/' + alarms[0],
                {**shown, 'enabled': enabled}).status_code)
        self.assertEqual(204, self.service.api(
            'DELETE', '/v2/alarms/' + alarms[1]).status_code)

        self.wait_until(lambda: self.told(alarms[0]) == ['alarm'])
        self.assertEqual([], self.told(alarms[1]))


class Distributed(scenario.Story):

    def given_never_active(self, timeout):
        return self.given_alarm(event_rule={
            **NEVER_ACTIVE, 'timeout': timeout})

    def waits(self):
        due = models.active_alarm.c.due
        with self.cloud.storage.db.reader() as conn:
            return conn.execute(
                sa.select(due).where(due.is_not(None))).scalars().all()

    def until_due(self, due):
        self.wait_until(lambda: self.cloud.storage.db.now() > due)


class EvaluatorTests:

    def test_an_evaluator_that_is_killed_in_between(self):
        self.cloud.start('evaluator', as_name='second')
        alarm = self.given_never_active(15)
        self.when('vm1', 'building')
        self.when('vm2', 'building')
        due, _ = self.wait_until(
            lambda: self.waits() if len(self.waits()) == 2 else None)
        # when: both die; the answer for one comes in time, to nobody
        self.cloud.kill('evaluator')
        self.cloud.kill('second')
        self.when('vm2', 'active')
        self.until_due(due + 1_000_000)
        self.cloud.start('evaluator')
        self.cloud.start('evaluator', as_name='second')
        # then: ok for one, alarm for the other, and nothing else
        _, raised = self.expect(alarm, 'ok', 'alarm')
        self.assertEqual('vm1', raised['resource_id'])
        self.assertEqual('timeout', raised['reason_data']['type'])
        # when: better late than never
        self.when('vm1', 'active')
        self.expect(alarm, 'ok', 'alarm', 'ok')
        self.assertEqual([], self.waits())


class TestMariaDB(EvaluatorTests, Distributed):

    def test_events_that_wait_go_first(self):
        """However long the queue is when the evaluator comes back."""
        alarm = self.given_alarm(event_rule={
            'event_type': 'compute.instance.update', 'query': [
                {'field': 'traits.state', 'value': 'active'}], 'timeout': 20})
        due, = self.waits()
        self.cloud.kill('evaluator')
        for n in range(50):
            self.when('vm%d' % n, 'building')
        self.when('vm1', 'active')
        self.until_due(due + 1_000_000)

        self.cloud.start('evaluator')

        # then: what came in time, then the absence after it
        self.expect(alarm, 'ok', 'alarm')

    def test_the_database_is_away_when_it_ends(self):
        alarm = self.given_never_active(3)
        self.when('vm1', 'building')
        due, = self.wait_until(self.waits)
        self.cloud.database.stop()
        self.wait_until(lambda: time.time() * 1e6 > due + 1_000_000)
        self.cloud.database.start()

        self.expect(alarm, 'alarm')

    def test_the_broker_is_away_when_it_ends(self):
        alarm = self.given_never_active(3)
        self.when('vm1', 'building')
        due, = self.wait_until(self.waits)
        self.cloud.bus.stop()
        self.until_due(due + 1_000_000)
        self.assertEqual([], self.receiver.of(alarm))
        self.cloud.bus.start()

        self.expect(alarm, 'alarm')


class TestBehind(Distributed):
    """Two evaluators; one of them is in this process, and hangs."""

    def given_an_evaluator_that_hangs(self):
        """Return it, and the event that lets it go on."""
        slow, go_on = service.EvaluatorService(
            self.cloud.storage.conf), threading.Event()
        self.addCleanup(slow.stop)
        self.addCleanup(go_on.set)
        slow.open()
        process = slow._stage.committer._process

        def hang(events):
            go_on.wait()
            process(events)
        slow._stage.committer._process = hang
        return slow, go_on

    def test_what_it_holds_came_in_time(self):
        alarm = self.given_never_active(25)
        servers = ['vm%d' % number for number in range(8)]
        for server in servers:
            self.when(server, 'building')
        self.wait_until(lambda: len(self.waits()) == len(servers))
        slow, go_on = self.given_an_evaluator_that_hangs()
        due = max(self.waits())
        # when: all answer in time, some of them to the one that hangs
        for left, server in reversed(list(enumerate(servers))):
            self.when(server, 'active')
            self.wait_until(lambda left=left: slow._stage.behind.held.since()
                            or len(self.waits()) <= left)
        self.assertLess(self.cloud.storage.db.now(), due)
        self.wait_until(slow._stage.behind.held.since)
        self.until_due(due + 2_000_000)
        # then: nobody else tells that they did not
        self.assertNotEqual([], self.waits())
        go_on.set()
        self.wait_until(lambda: not self.waits())
        self.expect(alarm, 'ok')


class TestPostgreSQL(EvaluatorTests, Distributed):
    database = postgresql.Database
