# SPDX-License-Identifier: Apache-2.0
"""Composite alarms on every database."""

import concurrent.futures
import dataclasses
import datetime
import json
import threading

import fixtures
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import exception
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import change
from doctor_alarm.objects import membership
from doctor_alarm.objects import query
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.evaluator import test_engine
from doctor_alarm.tests.functional.evaluator.test_engine import an_event
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql


def leaf(vm, clear=True, **kwargs):
    return {'type': 'event', **test_engine.a_rule(vm, clear), **kwargs}


def of(created):
    return {'type': 'alarm', 'alarm_id': created.id}


def both(*nodes):
    return {'and': list(nodes)}


def either(*nodes):
    return {'or': list(nodes)}


class Setting(test_engine.Setting):

    def a_composite(self, rule, **kwargs):
        return self.an_alarm(rule, **{
            'type': 'composite', 'ok_actions': [test_engine.RECEIVER],
            **kwargs})

    def state(self, created):
        return self.get(created.id).state

    def told(self, created):
        return [d.current for d in sorted(
            self.deliveries(), key=lambda d: d.sequence)
            if d.alarm_id == created.id]

    def leaves(self):
        return [row for row in self.all_of(models.alarm)
                if row.type == 'leaf']


class CompositeTests(Setting):
    """What holds on every database."""

    def test_both_hosts_of_a_pair(self):
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2')))

        self.engine.process([an_event('vm1')])
        self.assertEqual('ok', self.state(pair))
        self.engine.process([an_event('vm2')])
        self.assertEqual('alarm', self.state(pair))
        self.engine.process([an_event('vm1', 'active', seconds=1)])
        self.assertEqual('ok', self.state(pair))
        self.engine.process([an_event('vm2', 'active', seconds=1)])

        self.assertEqual(['ok', 'alarm', 'ok'], self.told(pair))
        self.assertEqual(['ok', 'alarm', 'ok'], self.transitions(pair.id))

    def test_what_is_told(self):
        rule = both(leaf('vm1'), either(leaf('vm2'), leaf('vm3')))
        created = self.a_composite(rule, ok_actions=[])
        last = an_event('vm3')

        self.engine.process([an_event('vm1'), last])

        delivery, = self.deliveries()
        self.assertEqual(
            ('ok', 'alarm', 'vm3', last.message_id),
            (delivery.previous, delivery.current, delivery.resource_id,
             delivery.message_id))
        self.assertEqual(
            'Composite rule alarm with composition form: (rule1 and (rule2 '
            'or rule3)) transition to alarm, due to rules: rule1, rule3',
            delivery.reason)
        self.assertEqual(
            {'type': 'composite',
             'composition_form': '(rule1 and (rule2 or rule3))',
             'causative_rules': {'rule1': leaf('vm1'), 'rule3': leaf('vm3')}},
            json.loads(delivery.reason_data))
        self.assertEqual(delivery.reason, self.get(created.id).state_reason)
        self.assertEqual(1, len([
            row for row in self.hints[-1]['deliveries']
            if row[-1] == delivery.reason_data]))

    def test_events_of_one_batch_count_one_by_one(self):
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2')))

        self.engine.process([
            an_event('vm1'), an_event('vm2'),
            an_event('vm1', 'active', seconds=1), an_event('vm1', seconds=2)])

        self.assertEqual(['ok', 'alarm', 'ok', 'alarm'], self.told(pair))

    def test_an_event_that_hits_two_leaves_is_told_once(self):
        created = self.a_composite(
            both(leaf('vm1'), leaf('vm1', clear=False)))

        self.engine.process([an_event('vm1')])

        self.assertEqual(['alarm'], self.told(created))

    def test_an_alarm_that_is_referred_to(self):
        own = self.an_alarm(test_engine.a_rule('vm1'))
        pair = self.a_composite(both(of(own), leaf('vm2')))

        self.engine.process([an_event('vm2')])
        self.engine.process([an_event('vm1')])

        self.assertEqual(['alarm'], self.told(own))
        self.assertEqual(['ok', 'alarm'], self.told(pair))

    def test_a_composite_of_composites(self):
        own = self.an_alarm(test_engine.a_rule('vm0'))
        below = self.a_composite(both(leaf('vm1'), leaf('vm2')))
        above = self.a_composite(both(of(below), of(own)))
        top = self.a_composite(either(of(above), of(below)))
        self.engine.process([an_event('vm0'), an_event('vm1')])
        self.assertEqual(['insufficient data', 'ok', 'ok'], [
            self.transitions(c.id)[0] if c is not top else
            'insufficient data' for c in (top, above, below)])

        self.engine.process([an_event('vm2')])

        self.assertEqual(['alarm'] * 3, [
            self.state(one) for one in (below, above, top)])
        messages = {d.message_id for d in self.deliveries()
                    if d.current == 'alarm' and d.alarm_id != own.id}
        self.assertEqual(1, len(messages))
        self.engine.process([an_event('vm1', 'active', seconds=1)])
        self.assertEqual(['ok'] * 3, [
            self.state(one) for one in (below, above, top)])

    def test_a_latched_alarm_still_counts(self):
        """It changes nothing itself; what depends on it may change."""
        own = self.an_alarm(test_engine.a_rule('vm1', clear=False))
        self.engine.process([an_event('vm1')])
        made_later = self.a_composite(either(of(own), leaf('vm2')))

        self.engine.process([an_event('vm1')])

        self.assertEqual('alarm', self.state(made_later))

    def test_a_repeated_message_makes_nothing_twice(self):
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2', clear=False)),
                                repeat_actions=True)
        batch = [an_event('vm1'), an_event('vm2'),
                 an_event('vm1', 'active', seconds=1),
                 an_event('vm1', seconds=2), an_event('vm2', seconds=3)]

        for _ in range(3):
            self.engine.process(batch + batch)
            for event in batch:
                self.engine.process([event])

        self.assertEqual(['ok', 'alarm', 'ok', 'alarm', 'alarm'],
                         self.told(pair))
        self.assertEqual(['ok', 'alarm', 'ok', 'alarm'],
                         self.transitions(pair.id))

    def test_a_raise_is_told_again_where_it_is_wanted(self):
        for repeat in (False, True):
            created = self.a_composite(
                either(leaf('vm%d' % repeat)), repeat_actions=repeat)
            for _ in range(2):
                self.engine.process([an_event('vm%d' % repeat)])
            self.assertEqual(['alarm'] * (1 + repeat), self.told(created))
        self.assertIn('remaining as alarm', self.deliveries()[-1].reason)

    def test_a_transaction_that_fails_is_repeated_as_a_whole(self):
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2')))
        batch = [an_event('vm1'), an_event('vm2')]

        class Killed(Exception):
            pass

        def fail(*args, **kwargs):
            raise Killed()
        with fixtures.MonkeyPatch(
                'doctor_alarm.evaluator.outgoing.outbox.store', fail):
            self.assertRaises(Killed, self.engine.process, batch)
        self.assertEqual('insufficient data', self.state(pair))

        self.engine.process(batch)

        self.assertEqual(['ok', 'alarm'], self.told(pair))

    def test_nothing_is_raised_outside_its_time(self):
        now = test_engine.utcnow() + datetime.timedelta(hours=6)
        created = self.a_composite(
            either(leaf('vm1'), leaf('vm2')), time_constraints=[{
                'name': 'later', 'description': '', 'duration': 3600,
                'start': '%d %d * * *' % (now.minute, now.hour),
                'timezone': ''}])

        self.engine.process([an_event('vm1')])
        self.assertEqual('insufficient data', self.state(created))
        # Its leaf is in alarm all the same.
        self.engine.process([an_event('vm2', seconds=6.5 * 3600 - 86400)])
        self.assertEqual('alarm', self.state(created))
        self.engine.process([an_event('vm1', 'active', seconds=1),
                             an_event('vm2', 'active', seconds=1)])
        self.assertEqual('ok', self.state(created))

    def test_a_disabled_one_sees_nothing(self):
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2')))
        self.engine.process([an_event('vm1')])
        self.enable(pair, False)
        self.engine.process([an_event('vm2')])
        self.enable(pair, True)
        self.assertEqual(['ok'], self.told(pair))

        self.engine.process([an_event('vm2')])

        self.assertEqual(['ok', 'alarm'], self.told(pair))

    def enable(self, created, enabled):
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, enabled=enabled))

    def test_gone_or_disabled_alarms_are_not_in_alarm(self):
        gone, off = (self.an_alarm(test_engine.a_rule('vm%d' % n))
                     for n in (1, 2))
        created = self.a_composite(either(of(gone), of(off), leaf('vm3')))
        self.engine.process([an_event('vm1'), an_event('vm2')])
        self.assertEqual('alarm', self.state(created))
        alarm.delete(self.db, gone.id)
        self.enable(off, False)

        self.engine.process([an_event('vm3', 'active')])

        self.assertEqual('ok', self.state(created))
        # The rule still has it, and can be changed all the same.
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, name='other'))

    def test_a_state_set_by_hand_starts_afresh(self):
        pair = self.a_composite(
            both(leaf('vm1', clear=False), leaf('vm2', clear=False)))
        fired = [an_event('vm1'), an_event('vm2')]
        self.engine.process(fired)
        alarm.set_state(self.db, pair.id, 'ok')

        self.engine.process(fired)
        self.engine.process([an_event('vm1')])
        self.assertEqual('ok', self.state(pair))
        self.engine.process([an_event('vm2')])

        self.assertEqual(['ok', 'alarm', 'alarm'], self.told(pair))

    def test_a_rule_that_is_replaced_is_in_force_at_once(self):
        own = self.an_alarm(test_engine.a_rule('vm1'))
        created = self.a_composite(both(of(own), leaf('vm2')))
        self.engine.process([an_event('vm1')])
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, rule=either(leaf('vm3'), leaf('vm4'))))

        self.assertFalse(self.get(own.id).composed)
        self.engine.process([an_event('vm2'), an_event('vm3')])

        self.assertEqual(['ok', 'alarm'], self.told(created))
        self.assertEqual(2, len(self.leaves()))

    def test_an_alarm_may_change_its_type(self):
        created = self.an_alarm(test_engine.a_rule('vm1'))
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, type='composite', rule=either(leaf('vm2'))))
        self.engine.process([an_event('vm1')])
        self.assertEqual('insufficient data', self.state(created))
        self.engine.process([an_event('vm2')])
        self.assertEqual('alarm', self.state(created))
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, type='event', rule=test_engine.a_rule('vm1')))
        self.assertEqual([], self.leaves())
        self.assertEqual([], self.all_of(models.composite_member))

    def test_nothing_is_left_of_one_that_is_deleted(self):
        own = self.an_alarm(test_engine.a_rule('vm1'))
        created = self.a_composite(both(of(own), leaf('vm2'), leaf('vm3')))
        self.assertTrue(self.get(own.id).composed)
        self.engine.process([an_event('vm2')])

        alarm.delete(self.db, created.id)

        self.assertFalse(self.get(own.id).composed)
        self.assertEqual([own.id], [r.id for r in self.all_of(models.alarm)])
        self.assertEqual({own.id}, {
            row.alarm_id for row in self.all_of(models.alarm_key)})
        self.assertEqual([], self.all_of(models.composite_member))
        self.assertEqual([], self.all_of(models.active_alarm))

    def test_leaves_are_nobodys_business(self):
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2')))
        self.engine.process([an_event('vm1'), an_event('vm2')])

        hidden = self.leaves()
        self.assertEqual(2, len(hidden))
        with self.db.reader() as conn:
            self.assertRaises(exception.AlarmNotFound, alarm.get, conn,
                              hidden[0].id)
            self.assertEqual([pair.id], [one.id for one in alarm_list.find(
                conn, None, query.Page())])
            self.assertEqual({pair.id}, {one.alarm_id for one in change.find(
                conn, None, query.Page())})

    def test_leaves_are_not_announced(self):
        told = []
        self.engine = engine.Engine(
            self.db, self.hints.append, 15,
            lambda row, severity: told.append(row['alarm_id']))
        pair = self.a_composite(both(leaf('vm1'), leaf('vm2')))

        self.engine.process([an_event('vm1'), an_event('vm2')])

        self.assertEqual([pair.id] * 2, told)

    def test_a_reference_ends_at_the_border_of_the_project(self):
        own = self.an_alarm(test_engine.a_rule('vm1'))
        foreign = self.an_alarm(project_id='p2')
        hidden = self.leaves_of(self.a_composite(both(leaf('vm1'))))
        for wrong in (foreign.id, hidden[0].id, 'nothing'):
            exc = self.assertRaises(
                exception.Invalid, self.a_composite,
                both(leaf('vm1'), {'type': 'alarm', 'alarm_id': wrong}))
            self.assertIn('composite_rule.and[1].alarm_id', str(exc))
        created = self.a_composite(either(of(own), leaf('vm2')))
        alarm.update(self.db, own.id, lambda old: dataclasses.replace(
            old, project_id='p2'))

        self.engine.process([an_event('vm1', project_id='p2')])

        self.assertEqual('alarm', self.state(own))
        self.assertEqual('ok', self.state(created))

    def leaves_of(self, created):
        members = [row.alarm_id for row in self.all_of(
            models.composite_member) if row.composite_id == created.id]
        return [row for row in self.leaves() if row.id in members]

    def test_no_rule_depends_on_itself(self):
        one = self.a_composite(either(leaf('vm1')))
        two = self.a_composite(either(of(one)))
        three = self.a_composite(either(of(two)))
        for rule in (either(leaf('vm1'), of(one)), either(of(three))):
            exc = self.assertRaises(
                exception.Invalid, alarm.update, self.db, one.id,
                lambda old, rule=rule: dataclasses.replace(old, rule=rule))
            self.assertIn('depends on this one', str(exc))

    def test_a_circle_is_not_endless(self):
        """Two that are changed at once might make one."""
        one = self.a_composite(either(leaf('vm1')))
        two = self.a_composite(either(of(one)))
        with self.db.writer() as conn:
            conn.execute(sa.insert(models.composite_member).values(
                composite_id=one.id, position=1, alarm_id=two.id))
            conn.execute(sa.update(models.alarm).where(
                models.alarm.c.id == one.id).values(
                    rule=json.dumps(either(leaf('vm1'), of(two)))))
            conn.execute(sa.update(models.alarm).values(composed=True))

        self.engine.process([an_event('vm1')])

        self.assertEqual('alarm', self.state(one))

    def test_a_broken_rule_hurts_its_own_alarm_only(self):
        own = self.an_alarm(test_engine.a_rule('vm1'))
        good = self.a_composite(either(of(own)))
        for broken in ('not json', '[]', '{"and": 3}', '{"and": []}',
                       '{"or": [{"type": "event"}, {}]}'):
            bad = self.a_composite(either(of(own)))
            with self.db.writer() as conn:
                conn.execute(sa.update(models.alarm).where(
                    models.alarm.c.id == bad.id).values(rule=broken))

        self.engine.process([an_event('vm1')])

        self.assertEqual(['alarm', 'alarm'],
                         [self.state(own), self.state(good)])

    def test_an_absence_raises_it(self):
        absent = {'type': 'event', 'event_type': 'compute.instance.update',
                  'query': [], 'timeout': 1}
        pair = self.a_composite(both(leaf('vm1'), absent))
        self.engine.process([an_event('vm1')])
        self.assertEqual('ok', self.state(pair))
        later = self.db.now() + 1_500_000
        self.wait_until(lambda: self.db.now() > later)

        waits = self.engine.ended(later)
        self.assertEqual([True], [bool(over.composed) for over in waits])
        for _ in range(2):
            self.engine.end(waits)

        self.assertEqual(['ok', 'alarm'], self.told(pair))
        self.engine.process([an_event('vm2')])
        self.assertEqual(['ok', 'alarm', 'ok'], self.told(pair))

    def test_one_event_on_more_leaves_than_a_transaction_takes(self):
        """Between two parts of it no rule holds that does not in the end."""
        self.useFixture(fixtures.MockPatchObject(engine, 'TRANSITIONS', 3))
        for _ in range(4):
            self.an_alarm(test_engine.a_rule('vm1'))
        wide = self.a_composite(both(*[leaf('vm1') for _ in range(7)]))

        self.engine.process([
            an_event('vm1'), an_event('vm1', 'active', seconds=5)])

        self.assertEqual('ok', self.state(wide))
        self.assertEqual(['alarm', 'ok'], self.told(wide))
        self.assertEqual(2 * 5, len(self.deliveries()))

    def test_one_that_is_made_during_the_look_up(self):
        own = self.an_alarm(test_engine.a_rule('vm1'))
        plain = engine.matching.look_up
        made = []

        def look_up(conn, events):
            found = list(plain(conn, events))
            conn.rollback()
            if not made:
                made.append(self.a_composite(either(of(own))))
                made.append(self.a_composite(both(of(made[0]))))
            return iter(found)
        self.useFixture(fixtures.MockPatchObject(
            engine.matching, 'look_up', look_up))

        self.engine.process([an_event('vm1')])

        self.assertEqual(['alarm'] * 2, [self.state(one) for one in made])

    def test_dependence_is_found_at_any_depth(self):
        one = self.an_alarm(test_engine.a_rule('vm1'))
        chain = [one]
        for _ in range(30):
            chain.append(self.a_composite(either(of(chain[-1]))))
        with self.db.reader() as conn:
            self.assertEqual({c.id for c in chain[1:]},
                             membership.above(conn, [one.id]))
        self.engine.process([an_event('vm1')])
        self.assertEqual({'alarm'}, {self.state(c) for c in chain})


class RaceTests:
    """Evaluators that work at the same time; not where there is one writer.
    """

    def test_halves_that_come_to_two_evaluators_fire_once(self):
        rounds = 30
        pairs = []
        for n in range(rounds):
            own = self.an_alarm(test_engine.a_rule('b%d' % n),
                                alarm_actions=[], ok_actions=[])
            pairs.append(self.a_composite(
                both(leaf('a%d' % n), of(own)), ok_actions=[]))
        barrier = threading.Barrier(2, timeout=60)

        def evaluate(half):
            mine = engine.Engine(self.db, self.hints.append, lease=15)
            for n in range(rounds):
                barrier.wait()
                self.settled(mine, [an_event('%s%d' % (half, n))])

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(evaluate, half) for half in 'ab']:
                future.result(timeout=120)

        self.assertEqual(['alarm'] * rounds,
                         [self.state(pair) for pair in pairs])
        self.assertEqual(rounds, len(self.deliveries()))

    @staticmethod
    def settled(engine_, events):
        """Process as the committer does: what is transient is repeated."""
        while True:
            try:
                return engine_.process(events)
            except Exception as exc:
                if not test_engine.committer.db_api.is_transient(exc):
                    raise

    def test_rules_that_change_while_events_come(self):
        """Nobody waits for the other for good, and the last word counts."""
        own = [self.an_alarm(test_engine.a_rule('vm%d' % n, clear=False),
                             repeat_actions=True) for n in range(4)]
        created = self.a_composite(either(of(own[0])))
        ended = threading.Event()

        def evaluate():
            mine = engine.Engine(self.db, self.hints.append, lease=15)
            while not ended.is_set():
                self.settled(mine, [an_event('vm%d' % n) for n in range(4)])

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            try:
                futures = [pool.submit(evaluate) for _ in range(2)]
                for n in range(20):
                    rule = either(of(own[n % 4]), leaf('vm%d' % n),
                                  of(own[3 - n % 4]))
                    alarm.update(
                        self.db, created.id, lambda old, rule=rule:
                        dataclasses.replace(old, rule=rule, state='ok'))
            finally:
                ended.set()
            for future in futures:
                future.result(timeout=120)

        self.engine.process([an_event('vm3')])
        self.assertEqual('alarm', self.state(created))
        self.assertEqual(1, len(self.leaves()))


class TestSqlite(CompositeTests, base.TestCase):

    def database_url(self):
        return None


class TestMariaDB(CompositeTests, RaceTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class TestPostgreSQL(CompositeTests, RaceTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
