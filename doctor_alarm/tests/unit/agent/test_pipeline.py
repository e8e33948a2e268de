# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.agent import pipeline
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import test_definitions

GOOD = '''\
sources:
  - name: all
    events: ["*"]
    sinks: [one]
sinks:
  - name: one
    publishers: [alarm://]
'''


class TestPipeline(test_definitions.FileCase):

    def test_the_packaged_pipeline(self):
        found, = pipeline.load(configuration.prepare())
        self.assertEqual('alarm_sink', found.name)
        self.assertTrue(found.takes('anything'))
        self.assertEqual(['alarm'], [item.scheme for item in found.endpoints])

    def test_sources_and_sinks(self):
        sinks = pipeline.read(self.write('''
            sources:
              - name: servers
                events: ['compute.*', 'instance.*']
                sinks: [alarms, aodh]
              - name: others
                events: ['!compute.*', '!instance.*']
                sinks: [aodh]
              - name: again
                events: ['!*.exists']
                sinks: [alarms]
            sinks:
              - name: alarms
                publishers: ['alarm://']
              - name: aodh
                publishers:
                  - notifier://?topic=alarm.all
                  - notifier
              - name: unused
                publishers: ['alarm://']
            '''))
        self.assertEqual(['alarms', 'aodh'], [sink.name for sink in sinks])
        alarms, aodh = sinks
        self.assertTrue(alarms.takes('compute.instance.exists'))
        self.assertTrue(alarms.takes('port.update'))
        self.assertFalse(alarms.takes('volume.exists'))
        self.assertTrue(aodh.takes('port.update'))
        self.assertTrue(aodh.takes('instance.update'))
        self.assertEqual(
            ['notifier://?topic=alarm.all', 'notifier://'],
            [endpoint.url for endpoint in aodh.endpoints])
        self.assertEqual('%s:17' % self.path, aodh.endpoints[0].where)

    def test_ceilometers_rules_of_filters(self):
        for events, yes, no in (
                (['*'], ['a', 'b.c'], []),
                (['a', 'b.*'], ['a', 'b.c'], ['c', 'ab']),
                (['!a', '!b.*'], ['c'], ['a', 'b.c']),
                (['*', '!a'], ['b'], ['a']),
                (['*.end', '!a.*'], ['b.end'], ['a.end', 'b.start'])):
            found, = pipeline.read(self.write(
                GOOD.replace('["*"]', str(events))))
            for event_type in yes:
                self.assertTrue(found.takes(event_type), event_type)
            for event_type in no:
                self.assertFalse(found.takes(event_type), event_type)


class TestRefused(test_definitions.FileCase):

    read = staticmethod(pipeline.read)

    def test_files(self):
        self.assertRefused(1, 'sources and sinks are expected', '')
        self.assertRefused(1, 'sources and sinks are expected', '[]')
        self.assertRefused(1, 'sinks must be a list', 'sources: []')
        self.assertRefused(2, 'sinks must be a list', 'sources: []\nsinks:')

    def test_content(self):
        for line, reason, old, new in (
                (1, 'sources must be a list', GOOD[:GOOD.index('sinks:\n')],
                 ''),
                (8, "unknown key 'extra'", '[alarm://]\n',
                 '[alarm://]\nextra: 1\n'),
                (2, "events is required", '    events: ["*"]\n', ''),
                (3, 'events must be a list', '["*"]', '"*"'),
                (3, 'events must be a list', '["*"]', '[]'),
                (3, 'events must be texts', '["*"]', '[7]'),
                (3, 'not both', '["*"]', '[a, "!b"]'),
                (3, '"*" includes all', '["*"]', '["*", a]'),
                (3, 'nothing stands behind', '["*"]', '["!"]'),
                (4, 'there is no sink two', '[one]', '[two]'),
                (4, 'sinks must be a list', '[one]', '[]'),
                (2, 'name is required', 'name: all', 'events: [a]'),
                (2, "unknown key 'meters'", 'name: all',
                 'meters: [a]\n    name: all'),
                (6, "unknown key 'publisher'", 'name: one\n',
                 'publisher: []\n    name: one\n'),
                (6, 'name must be a text', 'name: one', 'name: 7'),
                (7, 'publishers must be a list', '[alarm://]', 'alarm://'),
                (7, 'a URL is expected', 'alarm://', '"://x"'),
                (7, 'publisher host:x', 'alarm://',
                 '"notifier://u:secret@host:x"'),
                (7, 'the same publisher twice', 'alarm://',
                 'alarm, alarm://'),
                (8, 'transformers do not exist', '[alarm://]\n',
                 '[alarm://]\n    transformers: [x]\n'),
                (8, 'two sinks are called one', '[alarm://]\n',
                 '[alarm://]\n  - name: one\n')):
            self.assertIn(old, GOOD)
            self.assertRefused(line, reason, GOOD.replace(old, new, 1))
