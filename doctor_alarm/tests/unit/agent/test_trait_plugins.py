# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.agent import trait_plugins
from doctor_alarm.tests import base


class TestPlugins(base.TestCase):

    def call(self, name, matches, **parameters):
        return trait_plugins.create(name, parameters)(matches)

    def test_split(self):
        matches = [('payload.x', 'test.foobar.baz')]
        self.assertEqual('test', self.call('split', matches))
        self.assertEqual('foobar', self.call('split', matches, segment=1))
        self.assertEqual('foobar.baz', self.call(
            'split', matches, segment=1, max_split=1))
        self.assertIsNone(self.call('split', matches, segment=9))
        self.assertIsNone(self.call('split', []))
        self.assertEqual('3', self.call(
            'split', [('payload.x', 3)], separator='-'))

    def test_bitfield(self):
        flags = [{'path': 'payload.a', 'bit': 0, 'value': 0},
                 {'path': 'payload.a', 'bit': 1, 'value': 1},
                 {'path': 'payload.b', 'bit': 2}]
        self.assertEqual(8, self.call(
            'bitfield', [], initial_bitfield=8, flags=flags))
        self.assertEqual(8 + 2 + 4, self.call(
            'bitfield', [('payload.a', 1), ('payload.b', 'x')],
            initial_bitfield=8, flags=flags))

    def test_timedelta(self):
        first = ('payload.a', '2026-11-20T09:14:29Z')
        second = ('payload.b', '2026-11-20 09:14:28.500000')
        self.assertEqual(0.5, self.call('timedelta', [first, second]))
        self.assertIsNone(self.call('timedelta', [first]))
        self.assertIsNone(self.call('timedelta', [first, ('c', 'soon')]))

    def test_choose(self):
        cases = [{'path': 'payload.a', 'pattern': True, 'value': 'first'},
                 {'path': 'payload.b', 'pattern': 'AUTO:*', 'value': 2}]
        for matches, expected in [
                ([('payload.a', True), ('payload.b', 'AUTO: x')], 'first'),
                ([('payload.a', False), ('payload.b', 'auto: x')], 2),
                ([('payload.a', False), ('payload.b', 'x')], 'other'),
                ([('payload.a', False)], 'other'), ([], None)]:
            self.assertEqual(expected, self.call(
                'choose', matches, cases=cases, default='other'))
        self.assertIsNone(self.call('choose', [('a', 1)], cases=cases))
        self.assertEqual(1, self.call('choose', [('a', 1)], default=1))
        for wrong in ([7], [{'path': 'a'}], [{**cases[0], 'more': 1}]):
            self.assertRaises(ValueError, trait_plugins.create, 'choose',
                              {'cases': wrong})

    def test_map(self):
        values = {'DOWN': 0, 'ACTIVE': 1}
        self.assertEqual(1, self.call(
            'map', [('payload.status', 'ACTIVE')], values=values))
        self.assertIsNone(self.call(
            'map', [('payload.status', 'active')], values=values))
        self.assertEqual(1, self.call(
            'map', [('payload.status', 'active')], values=values,
            case_sensitive=False))
        self.assertEqual(-1, self.call(
            'map', [('payload.status', 'ODD')], values=values, default=-1))

    def test_what_can_not_be_created(self):
        for name, parameters in (
                ('unheard_of', {}), ('split', {'segmnt': 1}),
                ('split', {'segment': 'x'}), ('split', {'separator': ''}),
                ('bitfield', {'flags': [{'path': 'payload.a'}]}),
                ('bitfield', {'flags': [{'path': 'a', 'bit': 'x'}]}),
                ('bitfield', {'flags': [{'path': 'a', 'bit': 99}]}),
                ('map', {}), ('map', {'values': 3})):
            self.assertRaises(
                ValueError, trait_plugins.create, name, parameters)
