# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st
from jsonpath_ng.ext import parser

from doctor_alarm.agent import jsonpath
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing

NAMES = st.sampled_from(
    ['payload', 'a', 'b', 'c1', '_x', 'in', 'true', 'null', 'parent',
     'contains', 'and', 'asc'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(['', 'x']),
    lambda children: st.lists(children, max_size=3)
    | st.dictionaries(NAMES, children, max_size=4), max_leaves=12)


class TestPaths(base.TestCase):

    @fuzzing.settings
    @hypothesis.given(st.lists(NAMES, min_size=1, max_size=4), VALUES)
    def test_plain_paths_find_what_jsonpath_finds(self, names, body):
        text = '.'.join(names)
        try:
            expression = parser.parse(text)
        except Exception:
            self.assertRaises(ValueError, jsonpath.compile_path, text)
            return
        wanted = [match.value for match in expression.find(body)
                  if match.value is not None]
        found = jsonpath.compile_path(text)(body)
        self.assertEqual(wanted, [value for _path, value in found])
        first = next((value for value in wanted if value != ''), None)
        self.assertEqual(first, jsonpath.compile_first([text])(body))

    def test_what_ceilometers_own_definitions_use(self):
        body = {
            'publisher_id': 'compute.node.example', 'payload': {
                'image_meta': {'org.openstack__1__architecture': 'x86_64'},
                'glance_metadata': [{'key': 'size', 'value': 1},
                                    {'key': 'image_id', 'value': 'i7'}],
                'volume_attachment': [{'server_id': 's1'}],
                'port': {'binding:host_id': 'h1'}, 'host': 'h2'}}
        for text, wanted in (
                ('publisher_id.`split(., 1, 1)`', 'node.example'),
                ('publisher_id.`split(., 0, -1)`', 'compute'),
                ("payload.image_meta.'org.openstack__1__architecture'",
                 'x86_64'),
                ('payload.glance_metadata[?key=image_id].value', 'i7'),
                ('payload.volume_attachment[0].server_id', 's1'),
                ("payload.port.'binding:host_id'", 'h1'),
                ('payload[host]', 'h2'),
                ('(payload.missing)|(payload.host)', 'h2')):
            self.assertEqual(wanted, jsonpath.compile_first([text])(body))

    def test_the_first_that_is_there_wins(self):
        find = jsonpath.compile_first(
            ['payload.a', 'payload.b', 'payload.c[0].d', 'payload.e'])
        self.assertIsNone(find({'payload': {}}))
        self.assertEqual(0, find({'payload': {'b': 0, 'e': 5}}))
        self.assertEqual(5, find({'payload': {'a': '', 'b': None, 'e': 5}}))
        self.assertEqual(3, find({'payload': {'c': [{'d': 3}], 'e': 5}}))

    def test_matches_know_their_path(self):
        body = {'payload': {'foo': 't', 'thing': {'bar': 12, 'boing': 13}}}
        self.assertEqual(
            [('payload.foo', 't')], jsonpath.compile_path('payload.foo')(body))
        self.assertEqual(
            [('payload.thing.bar', 12), ('payload.thing.boing', 13)],
            jsonpath.compile_path('payload.thing.*')(body))

    def test_operators_on_values_they_are_not_made_for(self):
        for text in ('payload.x.`split(., 0, 1)`', 'payload.x.`sub(/a/, b)`',
                     'payload.x[?a > 1].b', 'payload.x[0].y'):
            for value in (7, None, 'a', [1, 'b'], {'a': 'c'}):
                jsonpath.compile_first([text])({'payload': {'x': value}})

    def test_no_jsonpath(self):
        for text in ('payload..', 'payload.[', 'a b', '', 'payload.where',
                     "payload.'open"):
            self.assertRaises(ValueError, jsonpath.compile_first, [text])
