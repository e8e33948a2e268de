# SPDX-License-Identifier: Apache-2.0

import dataclasses
import datetime

from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm import condition
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.tests import base

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone.utc)


def an_event(event_type='compute.instance.update', project_id='p1', **traits):
    return event.build(event.Parts(
        message_id='m1', event_type=event_type, generated=NOW, traits=traits,
        project_id=project_id), received=NOW)


def a_rule(*query, event_type='*', clear=None):
    rule = {'event_type': event_type, 'query': [
        dict(zip(('field', 'op', 'value', 'type'), q, strict=False))
        for q in query]}
    if clear:
        rule['clear'] = clear
    return rule


class TestConditions(base.TestCase):

    def holds(self, field, op, value, kind='', **traits):
        rule = match.compile_rule(a_rule((field, op, value, kind)))
        return rule.verdict(an_event(**traits)) == match.RAISE

    def test_text_is_compared_exactly(self):
        self.assertTrue(self.holds('traits.state', 'eq', 'error',
                                   state='error'))
        self.assertFalse(self.holds('traits.state', 'eq', 'Error',
                                    state='error'))
        self.assertTrue(self.holds('traits.state', 'ne', 'active',
                                   state='error'))

    def test_integer_equals_its_text_whatever_the_type_of_the_query(self):
        for kind in ('', 'integer', 'float', 'string'):
            self.assertTrue(self.holds('traits.vcpus', 'eq', '1', kind,
                                       vcpus=1), kind)

    def test_integer_query_reads_a_text_trait(self):
        self.assertTrue(self.holds('traits.n', 'gt', '9', 'integer', n='10'))
        self.assertFalse(self.holds('traits.n', 'gt', '9', 'string', n='10'))

    def test_fraction_is_not_truncated_to_an_integer(self):
        self.assertFalse(self.holds('traits.n', 'eq', '1', 'integer', n=1.5))
        self.assertTrue(self.holds('traits.n', 'gt', '1', 'integer', n=1.5))

    def test_boolean_reads_every_spelling(self):
        for spelling in ('true', 'True', 'yes', '1', 'on'):
            self.assertTrue(self.holds('traits.forced_down', 'eq', spelling,
                                       'boolean', forced_down=True))
            self.assertFalse(self.holds('traits.forced_down', 'eq', spelling,
                                        'boolean', forced_down=False))

    def test_boolean_without_a_type_ignores_case(self):
        self.assertTrue(self.holds('traits.forced_down', 'eq', 'true',
                                   forced_down=True))

    def test_boolean_query_on_other_text_does_not_match(self):
        self.assertFalse(self.holds('traits.state', 'eq', 'true', 'boolean',
                                    state='error'))

    def test_datetime_reads_text_and_takes_naive_for_utc(self):
        for value in ('2026-11-20T11:59:59', '2026-11-20T12:59:59+01:00',
                      '2026-11-20T11:59:59Z', '2026-11-20 11:59:59'):
            self.assertTrue(self.holds('traits.at', 'gt', value, 'datetime',
                                       at='2026-11-20T12:00:00'), value)
            self.assertTrue(self.holds('traits.at', 'gt', value, '',
                                       at=NOW), value)

    def test_missing_trait_fulfils_nothing_but_unequal(self):
        for op in condition.OPERATORS:
            for kind in ('', 'string', 'integer', 'float'):
                self.assertEqual(
                    op == 'ne', self.holds('traits.gone', op, '1', kind))

    def test_unreadable_value_is_unequal(self):
        self.assertFalse(self.holds('traits.n', 'lt', '1', 'integer', n='x'))
        self.assertTrue(self.holds('traits.n', 'ne', '1', 'integer', n='x'))

    def test_fields_of_the_event_itself(self):
        self.assertTrue(self.holds('event_type', 'eq',
                                   'compute.instance.update'))
        self.assertTrue(self.holds('message_id', 'eq', 'm1', 'string'))
        self.assertTrue(self.holds('generated', 'ge', '2026-11-20T12:00:00',
                                   'datetime'))
        self.assertTrue(self.holds('project_id', 'eq', 'p1'))

    def test_trait_without_the_prefix(self):
        self.assertTrue(self.holds('state', 'eq', 'error', state='error'))

    def test_value_that_is_not_of_its_type_is_refused(self):
        for kind, value in (('integer', '1.5'), ('integer', 'x'),
                            ('float', 'x'), ('boolean', 'maybe'),
                            ('datetime', 'yesterday')):
            error = self.assertRaises(
                exception.InvalidRule, match.compile_rule,
                a_rule(('traits.n', 'eq', value, kind)))
            self.assertIn(value, str(error))
            self.assertIn('traits.n', str(error))

    def test_unknown_operator_and_type_are_refused(self):
        self.assertRaises(exception.InvalidRule, match.compile_rule,
                          a_rule(('traits.n', 'like', 'x', '')))
        self.assertRaises(exception.InvalidRule, match.compile_rule,
                          a_rule(('traits.n', 'eq', 'x', 'complex')))


class TestRule(base.TestCase):

    def test_event_type_takes_wildcards(self):
        for pattern, hit in (('compute.instance.*', True), ('*', True),
                             ('compute.instance.updat?', True),
                             ('compute.[ij]nstance.update', True),
                             ('compute.instance', False),
                             ('Compute.instance.update', False)):
            rule = match.compile_rule(a_rule(event_type=pattern))
            self.assertEqual(hit, rule.verdict(an_event()) == match.RAISE,
                             pattern)

    def test_all_conditions_must_hold(self):
        rule = match.compile_rule(a_rule(
            ('traits.state', 'eq', 'error'), ('traits.host', 'eq', 'h1')))
        self.assertIsNone(rule.verdict(an_event(state='error', host='h2')))
        self.assertEqual(match.RAISE,
                         rule.verdict(an_event(state='error', host='h1')))

    def test_clear_inherits_the_pinned_resource(self):
        rule = match.compile_rule(a_rule(
            ('traits.instance_id', 'eq', 'vm1'),
            ('traits.state', 'eq', 'error'),
            clear={'event_type': '*', 'query': [
                {'field': 'traits.state', 'op': 'eq', 'value': 'active'}]}))
        self.assertEqual(match.CLEAR, rule.verdict(
            an_event(instance_id='vm1', state='active')))
        self.assertIsNone(rule.verdict(
            an_event(instance_id='vm2', state='active')))

    def test_verdicts_of_a_rule_with_a_time_out(self):
        rule = {**a_rule(('traits.instance_id', 'eq', 'vm1'),
                         event_type='up'), 'timeout': 9}
        after = {**rule, 'after': {'event_type': 'st*', 'query': []}}
        both = {**rule, 'after': {'event_type': '*', 'query': []}}
        for asked, fired_type, verdict in (
                (rule, 'up', match.RESTART), (rule, 'start', None),
                (after, 'up', match.CLEAR), (after, 'start', match.START),
                (both, 'up', match.RESTART), (both, 'x', match.START)):
            for vm, expected in (('vm1', verdict), ('vm2', None)):
                fired = an_event(fired_type, instance_id=vm)
                self.assertEqual(
                    expected, match.compile_rule(asked).verdict(fired))
                if expected:
                    self.assertTrue(share_a_key('p1', asked, fired))

    def test_what_a_time_out_must_be(self):
        for wrong in ({'timeout': 0}, {'timeout': '9'}, {'timeout': 9.0},
                      {'timeout': True}, {'timeout': match.MAX_TIMEOUT + 1},
                      {'after': a_rule()},
                      {'timeout': 9, 'clear': a_rule()}):
            self.assertRaises(exception.InvalidRule, match.compile_rule,
                              {**a_rule(), **wrong})

    def test_clear_with_a_pin_of_its_own_keeps_it(self):
        rule = match.compile_rule(a_rule(
            ('traits.instance_id', 'eq', 'vm1'),
            clear={'event_type': 'up', 'query': [
                {'field': 'traits.instance_id', 'op': 'eq',
                 'value': 'vm2'}]}))
        self.assertEqual(match.CLEAR, rule.verdict(
            an_event('up', instance_id='vm2')))


def share_a_key(project_id, rule, fired):
    """Whether an event finds an alarm, by the plain key or the refined."""
    plain = match.keys_of_event(fired)
    return any(
        key.plain in plain and key.refined in match.refined_keys(
            key.plain, key.names, fired)
        for key in match.keys_of_alarm(project_id, rule))


class TestKeys(base.TestCase):

    def test_event_that_nobody_owns_concerns_no_project(self):
        fired = an_event(project_id=None, host='h1')
        rule = a_rule(('traits.host', 'eq', 'h1'))
        self.assertFalse(share_a_key('p1', rule, fired))
        self.assertFalse(match.compile_rule(rule).concerns('p1', fired))

    def test_what_a_tenant_posted_is_no_event_of_the_cloud(self):
        fired = dataclasses.replace(
            an_event(project_id='p2'), trusted=False)
        compiled = match.compile_rule({**a_rule(), 'scope': 'cloud'})

        self.assertFalse(compiled.concerns('p1', fired))
        self.assertTrue(compiled.concerns('p2', fired))

    def test_events_of_the_cloud(self):
        for rule in (a_rule(('traits.host', 'eq', 'h1')),
                     {**a_rule(), 'resource_id': 'h1'}):
            rule = {**rule, 'scope': 'cloud'}
            compiled = match.compile_rule(rule)
            for owner in (None, 'p1', 'p2'):
                fired = an_event(project_id=owner, host='h1', port_id='x')
                self.assertTrue(share_a_key('p1', rule, fired), owner)
                self.assertTrue(compiled.concerns('p1', fired), owner)
                # Many of them are told apart by what must be equal.
                self.assertFalse(share_a_key('p1', rule, an_event(
                    project_id=owner, host='h2', port_id='x')), owner)

    def test_an_alarm_of_a_resource(self):
        rule = {**a_rule(('traits.state', 'eq', 'error'), clear=a_rule(
            ('traits.state', 'eq', 'active'))), 'resource_id': 'vm1'}
        compiled = match.compile_rule(rule)
        for traits, verdict in (
                ({'instance_id': 'vm1', 'state': 'error'}, match.RAISE),
                ({'host': 'vm1', 'state': 'active'}, match.CLEAR),
                ({'instance_id': 'vm2', 'state': 'error'}, None),
                ({'instance_id': 'vm2', 'state': 'active'}, None),
                ({'state': 'error'}, None)):
            fired = an_event(**traits)
            self.assertEqual(verdict, compiled.verdict(fired), traits)
            self.assertEqual(
                verdict is not None, share_a_key('p1', rule, fired), traits)

    def test_keys_of_another_project_differ(self):
        rule = a_rule(('traits.host', 'eq', 'h1'))
        self.assertFalse(share_a_key('p2', rule, an_event(host='h1')))

    def test_case_of_a_resource_id_matters(self):
        rule = a_rule(('traits.host', 'eq', 'aB'))
        self.assertFalse(share_a_key('p1', rule, an_event(host='Ab')))
        self.assertTrue(share_a_key('p1', rule, an_event(host='aB')))

    def test_pinned_alarm_is_found_by_the_resource_alone(self):
        pinned = a_rule(('traits.instance_id', 'eq', 'vm1'),
                        event_type='compute.instance.update')
        self.assertFalse(
            share_a_key('p1', pinned, an_event(instance_id='vm2')))

    def test_most_telling_resource_is_the_key(self):
        rule = match.compile_rule(a_rule(
            ('traits.host', 'eq', 'h1'), ('traits.instance_id', 'eq', 'vm1')))
        self.assertEqual('vm1', rule.raises.pin)

    def test_refined_by_what_else_must_be_equal(self):
        key, = match.keys_of_alarm('p1', a_rule(
            ('traits.host', 'eq', 'h1'), ('traits.role', 'eq', 'db'),
            ('traits.n', 'eq', '7'), ('traits.m', 'eq', '7', 'string'),
            ('traits.up', 'eq', 'true'), ('traits.x', 'gt', 'a'),
            event_type='a.b'))
        # 7 and "true" equal other spellings as well, so they can not tell
        self.assertEqual(('', 'm', 'role'), key.names)
        self.assertEqual(('a.b', '7', 'db'), key.values)

    names = st.sampled_from(
        ['host', 'instance_id', 'resource_id', 'state', 'n', 'port_id'])
    texts = st.one_of(
        st.sampled_from(['a', 'A', '1', '01', '1.0', 'true', 'True', '',
                         '2026-11-20T12:00:00']),
        st.text(max_size=8))
    values = st.one_of(
        texts, st.integers(), st.booleans(), st.floats(), st.none(),
        st.datetimes(timezones=st.just(datetime.timezone.utc)))
    queries = st.lists(st.tuples(
        st.builds(lambda prefix, name: prefix + name,
                  st.sampled_from(['', 'traits.']), names),
        st.sampled_from(sorted(condition.OPERATORS)), texts,
        st.sampled_from(condition.TYPES)), max_size=3)
    types = st.sampled_from(
        ['a.b', 'a.*', '*', 'a.?', 'a', '[a].b', 'a.b.c'])

    @given(types, queries, queries, st.dictionaries(names, values),
           st.sampled_from(['a.b', 'a.b.c', 'x']),
           st.sampled_from([None, 'project', 'cloud']),
           st.sampled_from([None, 'a', '1']), st.sampled_from([None, 9]))
    def test_a_match_implies_a_common_key(
            self, event_type, query, clear, traits, fired_type, scope,
            resource_id, timeout):
        rule = a_rule(*query, event_type=event_type, clear={
            'event_type': event_type, 'query': a_rule(*clear)['query']})
        rule.update(scope=scope, resource_id=resource_id)
        if timeout:
            rule.update(timeout=timeout, after=rule.pop('clear'))
        try:
            compiled = match.compile_rule(rule)
        except exception.InvalidRule:
            return
        fired = an_event(fired_type, **traits)
        if compiled.verdict(fired):
            self.assertTrue(share_a_key('p1', rule, fired))
