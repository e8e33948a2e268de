# SPDX-License-Identifier: Apache-2.0
"""A message that comes again changes nothing, whenever it comes."""

import datetime
import itertools

import hypothesis
from hypothesis import strategies as st
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import event
from doctor_alarm.objects import alarm
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests import storage
from doctor_alarm import transition

START = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(
    minutes=1)

#: (state, half seconds, publisher) of events, and for each how many of those
#: before it come again after it.
EVENTS = st.lists(st.tuples(
    st.sampled_from(['error', 'active']), st.integers(0, 6),
    st.sampled_from(['nova', 'monitor', 'ves']),
    st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=8)


class TestRedelivery(base.TestCase):

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage()).db
        self.engine = engine.Engine(self.db, lambda hint: None, lease=15)
        self.numbers = itertools.count()

    def an_alarm(self, vm, repeat_actions, actions):
        return alarm.create(self.db, alarm.Alarm(
            name=vm, type='event', project_id='p1',
            repeat_actions=repeat_actions, alarm_actions=actions,
            ok_actions=actions, rule={
                'event_type': 't', 'query': [
                    {'field': 'traits.instance_id', 'op': 'eq', 'value': vm},
                    {'field': 'traits.state', 'op': 'eq', 'value': 'error'}],
                'clear': {'event_type': 't', 'query': [
                    {'field': 'traits.state', 'op': 'eq',
                     'value': 'active'}]}})).id

    def an_event(self, vm, state, halves, publisher_id):
        return event.build(event.Parts(
            message_id='m%d' % next(self.numbers), event_type='t',
            generated=START + datetime.timedelta(seconds=halves / 2),
            traits={'instance_id': vm, 'state': state}, project_id='p1',
            publisher_id=publisher_id), received=START)

    def seen(self, alarm_id):
        """What somebody may see of the alarm."""
        change, delivery = models.change, models.delivery
        with self.db.reader() as conn:
            now = alarm.get(conn, alarm_id)
            changes = conn.execute(sa.select(
                change.c.message_id, change.c.detail).where(
                    change.c.alarm_id == alarm_id,
                    change.c.type == 'state transition')).all()
            told = conn.execute(sa.select(
                delivery.c.id, delivery.c.sequence).where(
                    delivery.c.alarm_id == alarm_id)).all()
        return (now.state, now.active_count, sorted(map(tuple, changes)),
                sorted(map(tuple, told)))

    @fuzzing.costly
    @hypothesis.given(EVENTS, st.booleans(), st.booleans())
    def test_whatever_came_in_between(self, events, repeats, acts):
        vm = 'vm%d' % next(self.numbers)
        alarm_id = self.an_alarm(
            vm, repeats, ['http://127.0.0.1:1/'] if acts else [])
        past = []
        for state, halves, publisher_id, again in events:
            past.append(self.an_event(vm, state, halves, publisher_id))
            self.engine.process(past[-1:])
            before = self.seen(alarm_id)
            for number in again:
                self.engine.process([past[number % len(past)]])
                self.assertEqual(before, self.seen(alarm_id))
        # and: all of them, as after a crash before the acknowledgement
        self.engine.process(past)
        self.assertEqual(before, self.seen(alarm_id))

    def test_more_than_a_resource_remembers(self):
        alarm_id = self.an_alarm('vm', True, ['http://127.0.0.1:1/'])
        many = [self.an_event('vm', 'error', 1, 'nova')
                for _ in range(2 * transition.REMEMBERED)]
        self.engine.process(many)
        self.engine.process([self.an_event('vm', 'active', 1, 'nova')])
        before = self.seen(alarm_id)

        self.engine.process(many)

        self.assertEqual(before, self.seen(alarm_id))
        self.assertEqual('ok', before[0])
