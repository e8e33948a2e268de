# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import dataclasses
import datetime
import json
import threading
import uuid

import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import committer
from doctor_alarm.evaluator import engine
from doctor_alarm.evaluator import matching
from doctor_alarm import event
from doctor_alarm import fault
from doctor_alarm.objects import alarm
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.objects import alarm_key
from doctor_alarm.objects import candidate
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import known
from doctor_alarm.objects import outbox
from doctor_alarm.objects import wakeup
from doctor_alarm.tests import base
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import postgresql
from doctor_alarm.tests import storage

RECEIVER = 'http://127.0.0.1:1/alarm'
CLEARED = 'http://127.0.0.1:1/ok'


def utcnow():
    return datetime.datetime.now(datetime.timezone.utc)


def an_event(vm='vm1', state='error', project_id='p1', seconds=0, **kwargs):
    return event.build(event.Parts(
        message_id=kwargs.pop('message_id', str(uuid.uuid4())),
        event_type='compute.instance.update',
        generated=utcnow() + datetime.timedelta(seconds=seconds),
        traits={'instance_id': vm, 'state': state}, project_id=project_id,
        publisher_id='nova', **kwargs), received=utcnow())


def a_rule(vm='vm1', clear=True):
    query = [{'field': 'traits.state', 'op': 'eq', 'value': 'error'}]
    if vm:
        query.append({'field': 'traits.instance_id', 'op': 'eq', 'value': vm})
    rule = {'event_type': 'compute.instance.update', 'query': query}
    if clear:
        rule['clear'] = {
            'event_type': 'compute.instance.update', 'query': [
                {'field': 'traits.state', 'op': 'eq', 'value': 'active'}]}
    return rule


class Setting:
    """An engine on a database."""

    def setUp(self):
        super().setUp()
        self.storage = self.useFixture(storage.Storage(self.database_url()))
        self.db = self.storage.db
        self.hints = []
        self.engine = engine.Engine(self.db, self.hints.append, lease=15)

    def an_alarm(self, rule=None, **kwargs):
        return alarm.create(self.db, alarm.Alarm(**{
            'name': 'vm down', 'type': 'event', 'rule': rule or a_rule(),
            'project_id': 'p1', 'alarm_actions': [RECEIVER],
            'ok_actions': [CLEARED], **kwargs}))

    def all_of(self, table, *order):
        with self.db.reader() as conn:
            return conn.execute(sa.select(table).order_by(*order)).all()

    def get(self, alarm_id):
        with self.db.reader() as conn:
            return alarm.get(conn, alarm_id)

    def deliveries(self):
        return self.all_of(models.delivery, models.delivery.c.created_at,
                           models.delivery.c.sequence)

    def transitions(self, alarm_id):
        return [json.loads(row.detail)['state'] for row in self.all_of(
            models.change, models.change.c.id)
            if row.alarm_id == alarm_id and row.type == 'state transition']


class EngineTests(Setting):
    """What holds on every database."""

    def test_one_transaction_holds_every_effect(self):
        created = self.an_alarm()
        fired = an_event()

        self.engine.process([fired])

        now = self.get(created.id)
        self.assertEqual('alarm', now.state)
        self.assertEqual(
            'Event <id=%s,event_type=compute.instance.update> hits the query '
            '<query=%s>.' % (fired.message_id,
                             json.dumps(a_rule()['query'])),
            now.state_reason)
        self.assertEqual(['alarm'], self.transitions(created.id))
        active, = self.all_of(models.active_alarm)
        self.assertEqual(('vm1', 'alarm'), (active.resource_id, active.state))
        delivery, = self.deliveries()
        self.assertEqual(
            ('pending', 1, 'insufficient data', 'alarm', fired.message_id),
            (delivery.status, delivery.sequence, delivery.previous,
             delivery.current, delivery.message_id))
        self.assertLessEqual(delivery.notified_at, delivery.evaluated_at)
        stored, = self.all_of(models.event)
        self.assertEqual(fired.as_dict(), json.loads(stored.body))
        lane, = self.all_of(models.lane)
        self.assertEqual((RECEIVER, 1, 1), (lane.action, lane.head, lane.tail))
        hint, = self.hints
        self.assertEqual([[lane.id, lane.token]], hint['lanes'])
        self.assertEqual(lane.due, hint['lease_until'])

    def test_a_lane_knows_how_its_deliveries_age(self):
        self.an_alarm(delivery={'max_age': 60, 'latest_only': True})
        self.an_alarm()

        self.engine.process([an_event()])

        self.assertEqual(
            {'{"max_age": 60, "latest_only": true}', '{}'},
            {lane.delivery for lane in self.all_of(models.lane)})

    def test_a_repeated_message_makes_nothing_twice(self):
        created = self.an_alarm(repeat_actions=True)
        batch = [an_event(), an_event(state='active', seconds=1),
                 an_event(seconds=2), an_event(seconds=3)]

        for _ in range(3):
            self.engine.process(batch + batch)

        self.assertEqual(['alarm', 'ok', 'alarm'],
                         self.transitions(created.id))
        self.assertEqual(4, len(self.deliveries()))

    def test_a_message_does_not_come_back_after_a_reset_by_hand(self):
        created = self.an_alarm()
        fired = an_event()
        self.engine.process([fired])
        alarm.set_state(self.db, created.id, 'ok')

        self.engine.process([fired])

        self.assertEqual('ok', self.get(created.id).state)
        self.assertEqual(1, len(self.deliveries()))

    def test_an_echo_is_told_to_those_who_did_not_hear_of_it(self):
        """Nova tells of a reset that was made because of a fault."""
        everything = {'event_type': 'compute.instance.update', 'query': []}
        owner = self.an_alarm(rule=everything, repeat_actions=True)
        operator = self.an_alarm(rule=everything | {'scope': 'cloud'},
                                 project_id='admin', repeat_actions=True)
        cleared = self.an_alarm(repeat_actions=True)
        strict = self.an_alarm(repeat_actions=True, rule={
            'event_type': 'compute.instance.update', 'query': [
                {'field': 'traits.old_state', 'op': 'eq', 'value': 'active'}]})
        told = lambda created: sum(     # noqa: E731
            row.alarm_id == created.id for row in self.deliveries())

        def derived(root):
            """Return what an inspector derives for operators and owners."""
            return [dataclasses.replace(
                an_event(message_id=message_id, project_id=project_id),
                trusted=project_id is None) for message_id, project_id in (
                    (fault.id_of_server(root, 'vm1'), None),
                    (fault.id_of_owned(root, 'vm1'), 'p1'))]

        def echo(root):
            found = an_event()
            return dataclasses.replace(found, traits={
                **found.traits, 'old_state': 'active',
                fault.ECHO_OF: fault.id_of_server(root, 'vm1')})

        for number, root in enumerate(('r1', 'r2'), 1):
            self.engine.process(derived(root))
            late = echo(root)
            for _ in range(2):
                self.engine.process([late])
            self.assertEqual([number] * 4, [told(each) for each in (
                owner, operator, cleared, strict)])
        # then: in one batch it is the same
        self.engine.process([*derived('r3'), echo('r3')])
        self.assertEqual([3] * 4, [told(each) for each in (
            owner, operator, cleared, strict)])

    def test_raise_and_clear_in_one_batch_keep_their_order(self):
        created = self.an_alarm(ok_actions=[RECEIVER])

        self.engine.process([an_event(), an_event(state='active', seconds=1)])

        self.assertEqual([(1, 'alarm'), (2, 'ok')],
                         [(d.sequence, d.current) for d in self.deliveries()])
        self.assertEqual('ok', self.get(created.id).state)
        self.assertEqual(1, len(self.all_of(models.lane)))
        self.assertEqual(1, len(self.hints[0]['lanes']))

    def test_the_wake_up_encloses_what_would_be_read(self):
        self.an_alarm(ok_actions=[RECEIVER])
        self.an_alarm(a_rule('é"\\'), name='name "é"',
                      alarm_actions=[RECEIVER, CLEARED])
        self.engine.process([
            an_event(), an_event(state='active', seconds=1),
            an_event('é"\\')])

        hint = json.loads(json.dumps(self.hints.pop()))
        found = wakeup.read(hint, enclosed=True)
        with self.db.reader() as conn:
            waiting = delivery_obj.waiting(
                conn, self.db.dialect, found.leases, 10)
            bodies = delivery_obj.bodies(
                conn, self.db.dialect, found.bodies)

        self.assertEqual(3, len(waiting))
        self.assertEqual(
            {lane: [tuple(row) for row in rows]
             for lane, rows in waiting.items()},
            {lane: [tuple(row) for row in rows]
             for lane, rows in found.deliveries.items()})
        self.assertEqual(3, len(bodies))
        self.assertEqual(bodies, found.bodies)

    def test_a_leased_lane_is_not_leased_again(self):
        self.an_alarm(ok_actions=[RECEIVER])
        self.engine.process([an_event()])
        self.engine.process([an_event(state='active', seconds=1)])

        self.assertEqual(1, len(self.hints))
        lane, = self.all_of(models.lane)
        self.assertEqual((1, 2), (lane.head, lane.tail))

    def test_a_raise_of_another_resource_does_not_come_back(self):
        """Nothing but the message tells it from news of another clock."""
        created = self.an_alarm(a_rule(vm=None))
        again = an_event('vm2')
        self.engine.process([an_event('vm1'), again])
        self.engine.process([dataclasses.replace(
            an_event('vm2', 'active', seconds=1), publisher_id='monitor')])
        self.engine.process([again])
        self.engine.process([an_event('vm1', 'active', seconds=2)])

        now = self.get(created.id)
        self.assertEqual(('ok', 0), (now.state, now.active_count))

    def test_a_broken_rule_hurts_its_own_alarm_only(self):
        self.an_alarm()
        for broken in ('not json', '[]', '{"event_type": 5}',
                       '{"query": [{"op": "eq"}]}', '{"query": 3}'):
            bad = self.an_alarm()
            with self.db.writer() as conn:
                conn.execute(sa.update(models.alarm).where(
                    models.alarm.c.id == bad.id).values(rule=broken))
        self.engine.process([an_event()])
        self.assertEqual(1, len(self.deliveries()))

    def test_nothing_is_raised_outside_its_time(self):
        now = utcnow()
        open_now, closed = (
            {'name': 'span', 'description': '', 'duration': 7200,
             'timezone': '', 'start': '%d %d * * *' % (then.minute, then.hour)}
            for then in (now - datetime.timedelta(hours=1),
                         now + datetime.timedelta(hours=6)))
        inside = self.an_alarm(time_constraints=[closed, open_now])
        outside = self.an_alarm(time_constraints=[closed])

        self.engine.process([an_event()])

        self.assertEqual(['alarm', 'insufficient data'], [
            self.get(known.id).state for known in (inside, outside)])

        # What happened in its time is told, however late it comes.
        self.engine.process([an_event('vm1', seconds=7 * 3600 - 86400)])
        self.assertEqual('alarm', self.get(outside.id).state)
        # A clear counts at any time.
        self.engine.process([an_event('vm1', state='active')])
        self.assertEqual('ok', self.get(outside.id).state)

    def test_broken_time_constraints_hurt_their_own_alarm_only(self):
        broken = [self.an_alarm(time_constraints=[{
            'start': start, 'timezone': '', 'duration': duration}])
            for start, duration in (
                ('never', 1), (5, 1), ('* * * * *', None))]
        good = self.an_alarm()

        self.engine.process([an_event()])

        self.assertEqual(['insufficient data'] * len(broken) + ['alarm'], [
            self.get(known.id).state for known in (*broken, good)])

    def test_odd_texts_are_stored(self):
        self.an_alarm(a_rule(vm=None))
        odd = 'a\ud800b\0c\U0001f600'
        self.engine.process([event.build(event.Parts(
            message_id=odd, event_type='compute.instance.update',
            generated=utcnow(), publisher_id=odd, project_id='p1', traits={
                'instance_id': odd, 'state': 'error', odd: odd}),
            received=utcnow())])
        delivery, = self.deliveries()
        self.assertIn('\U0001f600', delivery.resource_id)

    def test_stale_event_goes_to_the_history_only(self):
        created = self.an_alarm()
        self.engine.process([an_event(), an_event(state='active', seconds=4)])
        stale = an_event(seconds=2)
        self.engine.process([stale])
        self.engine.process([stale])

        self.assertEqual('ok', self.get(created.id).state)
        self.assertEqual(2, len(self.deliveries()))
        stored = [row for row in self.all_of(models.change)
                  if row.type == 'stale event']
        self.assertEqual([stale.message_id],
                         [row.message_id for row in stored])

    def test_late_raise_is_delivered_as_raise_then_clear(self):
        created = self.an_alarm(ok_actions=[RECEIVER], state='ok')
        self.engine.process([an_event(state='active', seconds=4)])
        self.engine.process([an_event(seconds=1)])

        self.assertEqual([(1, 'alarm'), (2, 'ok')],
                         [(d.sequence, d.current) for d in self.deliveries()])
        self.assertEqual('ok', self.get(created.id).state)

    def test_alarm_without_clear_fires_once(self):
        created = self.an_alarm(a_rule(clear=False))
        self.engine.process([an_event(), an_event()])
        self.assertEqual(['alarm'], self.transitions(created.id))
        self.assertEqual(1, len(self.deliveries()))
        self.assertEqual([], self.all_of(models.active_alarm))

    def test_unpinned_alarm_counts_its_resources(self):
        created = self.an_alarm(a_rule(vm=None))
        self.engine.process([an_event('vm%d' % i) for i in range(5)])
        self.assertEqual(5, self.get(created.id).active_count)
        self.engine.process([an_event('vm%d' % i, 'active', seconds=1)
                             for i in range(5)])
        now = self.get(created.id)
        self.assertEqual(('ok', 0), (now.state, now.active_count))

    def test_other_projects_are_not_told(self):
        self.an_alarm(project_id='p2')
        self.engine.process([an_event(), an_event(project_id=None)])
        self.assertEqual([], self.deliveries())

    def test_an_alarm_of_the_cloud_is_told_of_all_projects_and_none(self):
        rule = {**a_rule(None), 'scope': 'cloud'}
        everything = self.an_alarm(rule, project_id='admin')
        own = self.an_alarm(a_rule(None), project_id='admin')

        self.engine.process([
            an_event(vm, project_id=owner) for vm, owner in (
                ('vm1', 'p1'), ('vm2', 'p2'), ('h1', None))])

        self.assertEqual(
            3, self.get(everything.id).active_count)
        self.assertEqual(0, self.get(own.id).active_count)
        self.assertEqual({'admin'}, {
            row.project_id for row in self.all_of(models.delivery)})

    def test_a_crowd_of_the_cloud_is_told_apart(self):
        vms = ['vm%d' % number for number in range(alarm_key.CROWD + 5)]
        for vm in vms:
            self.an_alarm({**a_rule(vm), 'scope': 'cloud'})
        for vm in vms:
            self.an_alarm({
                **a_rule(None), 'scope': 'cloud', 'resource_id': vm})
        with self.db.reader() as conn:
            found, = candidate.of_events(conn, [
                an_event(vms[-2], project_id=None)])
        # Those that came before there were too many, and these two.
        self.assertEqual(alarm_key.CROWD + 2, len(found))

    def test_an_alarm_of_a_resource(self):
        known = self.an_alarm({**a_rule(None), 'resource_id': 'vm1'})

        self.engine.process([an_event('vm2'), an_event('vm1')])

        self.assertEqual(1, self.get(known.id).active_count)

    def test_every_action_once(self):
        self.an_alarm(alarm_actions=[RECEIVER, CLEARED, RECEIVER])
        self.engine.process([an_event()])
        self.assertEqual(2, len(self.deliveries()))

    def test_in_force_for_the_next_event(self):
        created = self.an_alarm(repeat_actions=True)
        self.engine.process([an_event()])
        alarm.update(self.db, created.id,
                     lambda old: dataclasses.replace(old, enabled=False))
        self.engine.process([an_event()])
        self.assertEqual(1, len(self.deliveries()))
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, enabled=True, rule=a_rule('vm2')))
        self.engine.process([an_event()])
        self.assertEqual(1, len(self.deliveries()))
        self.engine.process([an_event('vm2')])
        self.assertEqual(2, len(self.deliveries()))
        alarm.delete(self.db, created.id)
        self.engine.process([an_event('vm2')])
        self.assertEqual(2, len(self.deliveries()))

    def test_a_crowd_on_one_host_is_told_apart(self):
        rules = [{'event_type': 'compute.instance.update', 'query': [
            {'field': 'traits.host', 'op': 'eq', 'value': 'h1'},
            {'field': 'traits.role', 'op': 'eq', 'value': 'role%d' % n}]}
            for n in range(100)]
        single = [self.an_alarm(rule).id for rule in rules[:30]]
        alarm_bulk.import_all(self.db, [alarm.Alarm(
            name='a', type='event', rule=rule, project_id='p1',
            alarm_actions=[RECEIVER]) for rule in rules[30:]])
        fired = [event.build(event.Parts(
            message_id='m%d' % n, event_type='compute.instance.update',
            generated=utcnow(), project_id='p1',
            traits={'host': 'h1', 'role': 'role%d' % n}), received=utcnow())
            for n in range(100)]

        with self.db.reader() as conn:
            found = candidate.of_events(conn, fired)
        self.engine.process(fired)

        # then: each hits its own, and is shown hardly more than that
        self.assertEqual(100, len(self.deliveries()))
        self.assertEqual(
            {'m%d' % n for n in range(100)},
            {d.message_id for d in self.deliveries()})
        for candidates in found:
            self.assertLessEqual(len(candidates), alarm_key.CROWD + 1)

        # and: a changed or deleted one is found no longer
        alarm.update(self.db, single[20], lambda old: dataclasses.replace(
            old, rule=rules[99], repeat_actions=True))
        alarm.delete(self.db, single[21])
        for n in (20, 21):
            self.engine.process([dataclasses.replace(
                fired[n], message_id='again%d' % n)])
        self.assertEqual(100, len(self.deliveries()))
        self.engine.process([dataclasses.replace(
            fired[99], message_id='again')])
        self.assertEqual(101, len(self.deliveries()))

    def test_changed_between_look_up_and_lock_is_matched_again(self):
        created = self.an_alarm()
        with self.db.reader() as conn:
            matches = list(matching.look_up(
                conn, [an_event(), an_event('vm2')]))
        self.assertEqual(1, len(matches))
        alarm.update(self.db, created.id, lambda old: dataclasses.replace(
            old, rule=a_rule('vm2')))
        with self.db.reader() as conn:
            self.engine._commit(conn, matches)
        self.assertEqual([], self.deliveries())
        self.assertEqual('insufficient data', self.get(created.id).state)

    def test_more_matches_than_one_transaction_takes(self):
        alarm_bulk.import_all(self.db, [alarm.Alarm(
            name='a%d' % i, type='event', rule=a_rule(), project_id='p1',
            alarm_actions=[RECEIVER]) for i in range(1200)])
        self.engine.process([an_event()])
        self.assertEqual(1200, len(self.deliveries()))
        self.assertEqual(3, len(self.hints))
        self.assertEqual(1, len(self.all_of(models.event)))

    def test_evaluators_in_parallel_lose_and_double_nothing(self):
        ids = [self.an_alarm(a_rule('vm%d' % i), repeat_actions=True).id
               for i in range(10)]
        batches = [[an_event('vm%d' % (i % 10)) for i in range(n, n + 20)]
                   for n in range(30)]
        stop = threading.Event()
        driver = committer.Committer(
            self.engine.process, None, stopping=stop, source='test',
            options=self.storage.conf.evaluator,
            database_answers=self.db.answers)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = []
            for batch in batches:
                for _ in range(2):      # each message comes twice
                    futures.append(pool.submit(driver.commit, [
                        committer.Item(batch, self.assertIsNone)]))
            for future in futures:
                future.result(timeout=100)

        self.assertEqual(600, len(self.deliveries()))
        for lane in self.all_of(models.lane):
            self.assertEqual(60, lane.tail)
        for alarm_id in ids:
            self.assertEqual(['alarm'], self.transitions(alarm_id))


class TestSqlite(EngineTests, base.TestCase):

    def database_url(self):
        return None


class LockTests:

    def test_what_is_known_is_read_with_the_lanes_locked(self):
        """The notifier may not move them meanwhile."""
        for vm in ('vm1', 'vm2'):
            self.an_alarm(a_rule(vm))
        self.engine.process([an_event('vm1'), an_event('vm2')])
        first, second = self.all_of(models.lane, models.lane.c.id)
        wanted = outbox.Lane(first.id, 'a', 'p1', RECEIVER)
        free = sa.select(models.lane.c.id).with_for_update(skip_locked=True)
        with self.db.writer() as conn:
            known.read(conn, self.db.dialect, changes=[], notifications=[],
                       resources=[], lanes={first.id: wanted})
            with self.db.reader() as other:
                self.assertEqual([(second.id,)], other.execute(free).all())
        self.assertEqual((first.tail, first.token),
                         (wanted.tail, wanted.token))


class TestMariaDB(EngineTests, LockTests, base.TestCase):

    def database_url(self):
        return self.useFixture(mariadb.Database()).url


class TestPostgreSQL(EngineTests, LockTests, base.TestCase):

    def database_url(self):
        return self.useFixture(postgresql.Database()).url
