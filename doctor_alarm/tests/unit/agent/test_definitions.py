# SPDX-License-Identifier: Apache-2.0

import datetime
import pathlib
import textwrap

import fixtures

from doctor_alarm.agent import definitions
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import configuration

BODY = {'publisher_id': 'thing.host1', 'ctxt': {'user_id': 'u1'},
        'payload': {'tenant_id': 't1', 'a': 'x', 'n': '7', 'f': 1.5,
                    'when': '2026-11-20T09:14:29Z', 'yes': True,
                    'empty': '', 'long': 'y' * 300}}


class FileCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'file.yaml'

    def write(self, text):
        self.path.write_text(textwrap.dedent(text))
        return str(self.path)

    def assertRefused(self, line, reason, text):
        error = self.assertRaises(
            exception.ConfigurationError, self.read, self.write(text))
        where = '%s:%d' % (self.path, line) if line else str(self.path)
        self.assertEqual(where, error.kwargs['where'], str(error))
        self.assertIn(reason, str(error))
        self.assertNotIn('\n', str(error))


class TestTraits(FileCase):

    def traits(self, text, body=BODY):
        found = definitions.read(self.write(text))[0].traits_of(body)
        return {name: value for name, value in found.items()
                if name not in definitions.DEFAULT_TRAITS}

    def test_types(self):
        self.assertEqual({
            'text': 'x', 'number': 7, 'as_text': '1.5', 'float': 1.5,
            'bool': 'True', 'long': 'y' * 300,
            'when': datetime.datetime(2026, 11, 20, 9, 14, 29,
                                      tzinfo=datetime.timezone.utc),
        }, self.traits('''
            - event_type: '*'
              traits:
                text: {fields: payload.a}
                number: {fields: payload.n, type: int}
                as_text: payload.f
                float: {fields: [payload.f], type: float}
                bool: {fields: payload.yes}
                long: {fields: payload.long}
                when: {fields: payload.when, type: datetime}
                empty: {fields: payload.empty, type: datetime}
                empty_text: {fields: payload.empty}
                missing: {fields: payload.missing}
            '''))

    def test_a_value_of_another_type_costs_its_trait_only(self):
        self.assertEqual({'a': 'x'}, self.traits('''
            - event_type: '*'
              traits:
                a: {fields: payload.a}
                b: {fields: payload.a, type: int}
                c: {fields: payload.a, type: datetime}
                d: {fields: payload, type: float}
            '''))

    def test_plugins(self):
        self.assertEqual({'piece': 'host1', 'bits': 5}, self.traits('''
            - event_type: '*'
              traits:
                piece:
                  fields: publisher_id
                  plugin: {name: split, parameters: {segment: 1}}
                gone:
                  fields: payload.a
                  plugin: timedelta
                bits:
                  type: int
                  fields: [payload.a, payload.n]
                  plugin:
                    name: bitfield
                    parameters:
                      flags:
                        - {path: payload.a, bit: 0}
                        - {path: payload.n, bit: 1, value: 8}
                        - {path: payload.n, bit: 2, value: '7'}
            '''))

    def test_default_traits(self):
        text = '''
            - event_type: '*'
              traits: {user_id: payload.a}
            '''
        found = definitions.read(self.write(text))[0].traits_of(BODY)
        self.assertEqual(
            {'service': 'thing.host1', 'project_id': 't1', 'tenant_id': 't1',
             'user_id': 'x'}, found)


class TestMatching(FileCase):

    def found(self, text, event_type, **kwargs):
        found = definitions.Definitions(
            definitions.read(self.write(text)), **kwargs).find(event_type)
        if found is None:
            return None
        return found.traits_of(BODY).get('mark', 0)

    TEXT = '''
        - event_type: '*'
          traits: {mark: {fields: 1}}
        - event_type: [compute.*, '!compute.instance.exists', '!*.start']
          traits: {mark: {fields: 2}}
        - event_type: compute.instance.update
          traits: {mark: {fields: 3}}
        '''

    def test_the_last_match_wins(self):
        for event_type, mark in (
                ('port.update.end', '1'), ('compute.x', '2'),
                ('compute.instance.exists', '1'), ('compute.x.start', '1'),
                ('compute.instance.update', '3'), ('Compute.x', '1')):
            self.assertEqual(mark, self.found(self.TEXT, event_type))

    def test_only_exclusions(self):
        text = '''
            - event_type: '!image.*'
              traits: {mark: {fields: 1}}
            '''
        self.assertEqual('1', self.found(text, 'compute.x'))
        self.assertEqual(0, self.found(text, 'image.delete'))

    def test_without_a_match(self):
        text = '''
            - event_type: image.*
              traits: {mark: {fields: 1}}
            '''
        self.assertEqual(0, self.found(text, 'compute.x'))
        self.assertIsNone(
            self.found(text, 'compute.x', keep_unmatched=False))

    def test_merged_traits(self):
        text = '''
            - event_type: a.*
              traits: &base
                mark: {fields: 1}
                other: {fields: payload.a}
            - event_type: a.b
              traits:
                <<: *base
                mark: {fields: 2}
            '''
        self.assertEqual('2', self.found(text, 'a.b'))
        self.assertEqual('1', self.found(text, 'a.c'))

    def test_what_was_found_is_remembered_within_bounds(self):
        found = definitions.Definitions([])
        for number in range(3 * definitions._CACHED):
            found.find('type.%d' % number)
        self.assertLessEqual(len(found._cache), definitions._CACHED)


class TestRefused(FileCase):

    read = staticmethod(definitions.read)

    def test_files(self):
        self.assertRefused(1, 'a list of definitions', '{a: b}')
        self.assertRefused(1, 'a list of definitions', '')
        self.assertRefused(3, 'invalid YAML', '- a: 1\n  b: 2\n c: {')
        self.assertRefused(1, 'invalid YAML', '- a: 1\x01')
        self.path.write_bytes(b'- \xff\xfe')
        self.assertRaises(exception.ConfigurationError, self.read, self.path)
        self.path.unlink()
        error = self.assertRaises(
            exception.ConfigurationError, self.read, str(self.path))
        self.assertEqual('%s: No such file or directory' % self.path,
                         str(error))

    def test_definitions(self):
        for line, reason, text in (
                    (2, 'a definition has event_type, traits', '''\
                     - {event_type: a, traits: {}}
                     - text
                     '''),
                    (1, 'event_type is required', '- traits: {}'),
                    (1, 'traits is required', '- event_type: a'),
                    (2, 'event_type must be a text or a list', '''\
                     - traits: {}
                       event_type: {}
                     '''),
                    (4, 'event_type must be texts', '''\
                     - traits: {}
                       event_type:
                         - a
                         - 7
                     '''),
                    (2, 'traits must be a mapping', '''\
                     - event_type: a
                       traits: [a]
                     '''),
                    (3, "unknown key 'trait'", '''\
                     - event_type: a
                       traits: {}
                       trait: {}
                     ''')):
            self.assertRefused(line, reason, text)

    def test_traits(self):
        for line, reason, trait in (
                (3, 'fields is required', 'x: {type: int}'),
                (3, 'type must be one of text, int, float, datetime',
                 'x: {type: integer, fields: payload.a}'),
                (3, 'fields must be a path', 'x: {fields: []}'),
                (3, 'fields must be a path', 'x: {fields: [7]}'),
                (3, 'fields must be a path', 'x: null'),
                (3, 'Parse error', "x: {fields: 'payload.['}"),
                (3, 'unknown key', 'x: {fields: payload.a, plug: split}'),
                (3, "unknown plugin 'spilt'",
                 'x: {fields: payload.a, plugin: spilt}'),
                (3, 'plugin needs a name',
                 'x: {fields: payload.a, plugin: {parameters: {}}}'),
                (3, 'plugin split', 'x: {fields: payload.a, plugin: '
                 '{name: split, parameters: {sep: x}}}'),
                (3, 'parameters must be a mapping',
                 'x: {fields: payload.a, plugin: '
                 '{name: split, parameters: [x]}}')):
            self.assertRefused(
                line, reason,
                '- event_type: a\n  traits:\n    %s\n' % trait)

    def test_the_line_is_that_of_the_fault(self):
        self.assertRefused(7, 'unknown plugin', '''\
            - event_type: a
              traits:
                good:
                  fields: payload.a
                bad:
                  fields: payload.a
                  plugin: nope
            ''')


class TestFiles(FileCase):

    def test_the_packaged_file_is_the_default(self):
        found = definitions.load(configuration.prepare())
        self.assertIn('forced_down', [
            trait.name for trait in found.find('service.update').traits])

    def test_a_file_next_to_the_configuration(self):
        directory = self.path.parent
        (directory / 'event_definitions.yaml').write_text(
            '- event_type: "*"\n  traits: {mark: {fields: 1}}\n')
        (directory / 'x.conf').write_text('')
        found = definitions.load(configuration.prepare(
            '--config-file', str(directory / 'x.conf')))
        self.assertEqual('1', found.find('a').traits_of(BODY)['mark'])

    def test_a_chosen_file_must_exist(self):
        conf = configuration.prepare(
            event__definitions_cfg_file='nowhere.yaml')
        error = self.assertRaises(
            exception.ConfigurationError, definitions.load, conf)
        self.assertEqual('[event] definitions_cfg_file: file not found: '
                         'nowhere.yaml', str(error))

    def test_a_chosen_file(self):
        conf = configuration.prepare(event__definitions_cfg_file=self.write(
            '- {event_type: "*", traits: {mark: {fields: 2}}}'))
        found = definitions.load(conf)
        self.assertEqual('2', found.find('a').traits_of(BODY)['mark'])

    def test_dropping_the_unmatched(self):
        conf = configuration.prepare(event__drop_unmatched_notifications=True)
        found = definitions.load(conf)
        self.assertIsNone(found.find('never.heard.of'))
        self.assertIsNotNone(found.find('service.update'))
