# SPDX-License-Identifier: Apache-2.0

import json

import hypothesis
from hypothesis import strategies as st

from doctor_alarm import composite
from doctor_alarm import exception
from doctor_alarm.tests import base

LEAVES = st.builds(lambda n: {'type': 'alarm', 'alarm_id': 'a%d' % n},
                   st.integers(0, 5))


def _joined(below):
    return st.tuples(st.sampled_from(composite.JOINS), st.lists(
        below, min_size=1, max_size=4)).map(lambda pair: dict([pair]))


RULES = _joined(st.recursive(LEAVES, _joined, max_leaves=12))


def model(node, in_alarm):
    """What a rule means, in the plainest words."""
    if 'and' in node:
        return False not in [model(one, in_alarm) for one in node['and']]
    if 'or' in node:
        return True in [model(one, in_alarm) for one in node['or']]
    return node['alarm_id'] in in_alarm


class TreeTest(base.TestCase):

    @hypothesis.given(RULES, st.sets(st.integers(0, 5)))
    def test_a_rule_holds_where_the_model_does(self, rule, numbers):
        in_alarm = {'a%d' % n for n in numbers}
        tree = composite.compiled(json.dumps(rule))

        self.assertEqual(
            [leaf for _path, leaf in composite.leaves(rule)],
            list(tree.leaves))
        states = [leaf['alarm_id'] in in_alarm for leaf in tree.leaves]
        self.assertEqual(model(rule, in_alarm), tree.holds(states))
        # The form is the rule as Python would write it.
        names = {'rule%d' % (i + 1): state for i, state in enumerate(states)}
        self.assertEqual(model(rule, in_alarm), eval(tree.form, {}, names))
        self.assertEqual(in_alarm & {
            leaf['alarm_id'] for leaf in tree.leaves}, {
                leaf['alarm_id'] for leaf in composite.causes(
                    tree, states, 'alarm').values()})

    @hypothesis.given(RULES)
    def test_references_have_a_path(self, rule):
        for alarm_id, path in composite.references(rule).items():
            self.assertEqual(alarm_id, eval(
                'rule' + path.replace('.and', '["and"]').replace(
                    '.or', '["or"]'), {'rule': rule})['alarm_id'])

    def test_what_no_rule_is(self):
        deep = {'type': 'event'}
        for _ in range(40):
            deep = {'and': [deep]}
        for wrong in ('', '[]', '3', '{}', '{"and": 3}', '{"and": [3]}',
                      '{"type": "event"}', '{"and": [], "or": []}',
                      json.dumps(deep)):
            self.assertRaises(
                exception.InvalidRule, composite.compiled, wrong)

    def test_what_receivers_see(self):
        tree = composite.compiled(json.dumps({'and': [
            {'type': 'event'}, {'or': [{'type': 'alarm'}]}]}))
        rules = composite.causes(tree, [True, False], 'ok')

        self.assertEqual(
            'Composite rule alarm with composition form: (rule1 and (rule2)) '
            'transition to ok, due to rules: rule2',
            composite.reason(tree, 'alarm', 'ok', rules))
        self.assertEqual({
            'type': 'composite', 'composition_form': '(rule1 and (rule2))',
            'causative_rules': {'rule2': {'type': 'alarm'}}},
            json.loads(composite.reason_data(tree, rules)))
