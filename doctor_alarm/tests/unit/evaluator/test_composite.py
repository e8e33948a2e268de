# SPDX-License-Identifier: Apache-2.0
"""Whatever the rules, and the order of events: composites follow."""

import datetime
import itertools
import json

import hypothesis
from hypothesis import strategies as st
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import event as event_mod
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests import storage

#: (server, whether something clears it)
CONDITIONS = st.tuples(st.integers(0, 2), st.booleans())
#: Placeholders: the alarms that are made before.
LOWER = st.sampled_from(('own', 'below'))
EVENTS = st.lists(st.lists(
    st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=4),
    min_size=1, max_size=5)


def trees(leaves):
    def join(below):
        return st.tuples(st.sampled_from(('and', 'or')), st.lists(
            below, min_size=1, max_size=3))
    return join(st.recursive(leaves, join, max_leaves=6))


def is_join(node):
    return node[0] in ('and', 'or')


def rule_of(vm, clear):
    return {
        'event_type': 'update', 'query': [
            {'field': 'instance_id', 'op': 'eq', 'value': 'vm%d' % vm},
            {'field': 'state', 'op': 'eq', 'value': 'error'}],
        **({'clear': {'query': [
            {'field': 'state', 'op': 'eq', 'value': 'active'}]}}
           if clear else {})}


class Model:
    """An alarm in plain words: told of events, it knows its state."""

    def __init__(self, node, lower=None):
        self.node, self.lower = node, lower or {}
        self.state = 'insufficient data'
        self.history = []
        self.failed = {}

    def see(self, vm, error):
        """Return whether the event concerned the alarm."""
        concerned = self._see(self.node, vm, error)
        if concerned:
            state = 'alarm' if self._holds(self.node) else 'ok'
            if state != self.state:
                self.history.append(state)
            self.state = state
        return concerned

    def _see(self, node, vm, error):
        if is_join(node):
            return sum(self._see(one, vm, error) for one in node[1]) > 0
        if isinstance(node, str):
            return self.lower[node].concerned
        if node[0] != vm or not (error or node[1]):
            return False
        self.failed[node] = error
        return True

    def _holds(self, node):
        if is_join(node):
            return (all if node[0] == 'and' else any)(
                self._holds(one) for one in node[1])
        if isinstance(node, str):
            return self.lower[node].state == 'alarm'
        return self.failed.get(node, False)


class ModelTest(base.TestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage()).db
        self.engine = engine.Engine(self.db, lambda hint: None, 15)

    def an_alarm(self, kind, rule):
        return alarm_obj.create(self.db, alarm_obj.Alarm(
            name='x', type=kind, project_id='p1', rule=rule,
            alarm_actions=['http://r.example.org/'])).id

    def rule(self, node, ids):
        if is_join(node):
            return {node[0]: [self.rule(one, ids) for one in node[1]]}
        if isinstance(node, str):
            return {'type': 'alarm', 'alarm_id': ids[node]}
        return {'type': 'event', **rule_of(*node)}

    @fuzzing.costly
    @hypothesis.given(trees(CONDITIONS), trees(CONDITIONS | LOWER), EVENTS)
    def test_they_do_what_the_model_does(self, below, top, batches):
        models_ = {'own': Model(('or', [(0, True)])), 'below': Model(below)}
        models_['top'] = Model(top, models_)
        ids = {'own': self.an_alarm('event', rule_of(0, True))}
        ids['below'] = self.an_alarm('composite', self.rule(below, ids))
        ids['top'] = self.an_alarm('composite', self.rule(top, ids))
        now = datetime.datetime.now(datetime.UTC)
        numbers = itertools.count()
        self.addCleanup(self.forget)

        for batch in batches:
            events = []
            for vm, error in batch:
                for model in models_.values():
                    model.concerned = model.see(vm, error)
                number = next(numbers)
                events.append(event_mod.build(event_mod.Parts(
                    message_id='%s-%d' % (ids['own'], number),
                    event_type='update', project_id='p1',
                    generated=now + datetime.timedelta(milliseconds=number),
                    traits={'instance_id': 'vm%d' % vm,
                            'state': 'error' if error else 'active'}),
                    received=now))
            self.engine.process(events)
            self.engine.process(events)     # delivered twice

            with self.db.reader() as conn:
                for name, model in models_.items():
                    self.assertEqual(
                        model.state,
                        alarm_obj.get(conn, ids[name]).state, name)
        self.check_history(models_, ids)
        self.forget()

    def check_history(self, models_, ids):
        with self.db.reader() as conn:
            for name, model in models_.items():
                self.assertEqual(model.history, [
                    json.loads(detail)['state'] for detail in conn.execute(
                        sa.select(models.change.c.detail).where(
                            models.change.c.alarm_id == ids[name],
                            models.change.c.type == 'state transition',
                        ).order_by(models.change.c.id)).scalars()], name)
                self.assertEqual(
                    model.history.count('alarm'), len(conn.execute(
                        sa.select(models.delivery.c.id).where(
                            models.delivery.c.alarm_id == ids[name])).all()))

    def forget(self):
        with self.db.writer() as conn:
            for table in models.metadata.sorted_tables:
                conn.execute(table.delete())
