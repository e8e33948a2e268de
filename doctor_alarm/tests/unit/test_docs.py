# SPDX-License-Identifier: Apache-2.0
"""The documents name what there is."""

import argparse
import collections
import configparser
import contextlib
import importlib
import importlib.metadata
import io
import pathlib
import pkgutil
import re
import shlex

import fixtures
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator
import prometheus_client

import doctor_alarm
from doctor_alarm.cmd import manage
from doctor_alarm import conf as project_conf
from doctor_alarm import policies
from doctor_alarm.tests import base
from doctor_alarm.tests.unit import test_layers

TOP = pathlib.Path(doctor_alarm.__file__).parents[1]
SOURCE = TOP / 'doc' / 'source'
DOCUMENTS = {
    **{name: (TOP / name).read_text()
       for name in ('README.rst', 'CONTRIBUTING.rst')},
    **{str(path.relative_to(SOURCE)): path.read_text()
       for path in SOURCE.rglob('*.rst')}}
EVERYTHING = '\n'.join(DOCUMENTS.values())


def metric_names():
    """Return the names of all metrics, as Prometheus shows them."""
    for info in pkgutil.walk_packages(
            doctor_alarm.__path__, doctor_alarm.__name__ + '.'):
        if info.name.endswith('metrics') and '.conf.' not in info.name:
            importlib.import_module(info.name)
    return {
        family.name + ('_total' if family.type == 'counter' else '')
        for family in prometheus_client.REGISTRY.collect()
        if family.name.startswith('doctor_alarm_')}


def blocks(text, kind):
    """Yield the contents of code blocks of a kind."""
    for found in re.finditer(
            r'\.\. code-block:: %s\n(?:   :.*\n)*\n((?:    .*\n|\n)+)' % kind,
            text):
        yield re.sub('(?m)^    ', '', found.group(1))


class MetricsTest(base.TestCase):

    def test_every_metric_is_explained(self):
        text = DOCUMENTS['operate.rst']

        self.assertEqual([], [
            name for name in sorted(metric_names())
            if '``%s``' % name not in text])

    def test_every_metric_that_is_named_exists(self):
        named = set(re.findall(r'``(doctor_alarm_\w+)``', EVERYTHING))

        self.assertIn('doctor_alarm_events_total', named)
        self.assertEqual(set(), named - metric_names())


class GuaranteesTest(base.TestCase):

    def test_every_test_that_is_named_exists(self):
        text = re.search(
            r'What breaks each promise on purpose\n.*?\n\n\n?How it was',
            DOCUMENTS['admin/reliability.rst'], re.DOTALL).group()
        path, named = None, []
        for name in re.findall(r'``([\w/]+\.py|test_\w+)``', text):
            if name.endswith('.py'):
                path = TOP / 'doctor_alarm' / 'tests' / name
                self.assertTrue(path.exists(), name)
            else:
                named.append(name)
                self.assertIn('def %s(' % name, path.read_text())
        self.assertGreater(len(named), 30)
        self.assertEqual(
            8, len(re.findall(r'   \* - [A-Z]', text)) - 1)


class CommandsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.parser = argparse.ArgumentParser(
            prog='doctor-alarm-manage', exit_on_error=False)
        self.parser.add_argument('--state-path')
        manage._add_commands(self.parser.add_subparsers(required=True))

    def parse(self, words):
        """Return what the parser complains about, if it does."""
        errors = io.StringIO()
        try:
            with contextlib.redirect_stdout(errors), (
                    contextlib.redirect_stderr(errors)):
                self.parser.parse_args(words)
        except (SystemExit, argparse.ArgumentError) as exc:
            if getattr(exc, 'code', 2):
                return '%s: %s' % (shlex.join(words), errors.getvalue())
        return None

    def test_every_script_is_named(self):
        setup = configparser.ConfigParser()
        setup.read(TOP / 'setup.cfg')
        scripts = [line.partition('=')[0].strip() for line in setup[
            'entry_points']['console_scripts'].splitlines() if line]

        self.assertEqual([], [
            name for name in scripts
            if '``%s``' % name not in DOCUMENTS['install.rst']])

    def test_every_subcommand_that_is_named_exists(self):
        named = {
            tuple(found) for found in re.findall(
                r'doctor-alarm-manage\s+([a-z-]+)\s+([a-z-]*[a-z])',
                EVERYTHING)
            if not found[0].startswith('-')}

        self.assertIn(('db', 'sync'), named)
        self.assertEqual([], [
            wrong for words in sorted(named)
            if (wrong := self.parse([*words, '--help']))])

    def test_every_example_is_understood(self):
        examples = re.findall(
            r'(?m)^ +doctor-alarm-manage (.*)$',
            re.sub(r'\\\n +', '', EVERYTHING))

        self.assertIn('db sync', examples)
        self.assertEqual([], [
            wrong for example in examples
            if (wrong := self.parse(shlex.split(example)))])

    def test_the_parser_does_complain(self):
        self.assertIn('invalid choice', self.parse(['db', 'drop', '--help']))
        self.assertIn('required', self.parse(['event', 'send']))


class ClientTest(base.TestCase):
    """What ``openstack`` is told is what its parser understands."""

    COMMAND = re.compile(
        r'(?m)openstack(?: --os-[a-z-]+ \S+)* '
        r'((?:alarm|alarm-history|alarming) [a-z].*)$')

    def setUp(self):
        super().setUp()
        self.commands = {
            tuple(entry.name.split('_')): entry
            for entry in importlib.metadata.entry_points(
                group='openstack.alarming.v2')}

    def complaint(self, example):
        """Return what is wrong with a command line, or None."""
        try:
            words = shlex.split(example)
        except ValueError:
            return None     # it goes on, in a way that a shell understands
        for end in (3, 2):
            if entry := self.commands.get(tuple(words[:end])):
                parser = entry.load()(None, None).get_parser('openstack')
                break
        else:
            return 'no such command: %s' % example
        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                parser.parse_args(words[end:])
        except SystemExit:
            return '%s: %s' % (example, errors.getvalue())
        return None

    def test_every_example_is_understood(self):
        # Recipes are run, by a test of their own.
        text = '\n'.join(text for name, text in DOCUMENTS.items()
                         if name != 'recipes.rst')
        examples = {
            re.split(r' *[|>)]', found)[0] for found in self.COMMAND.findall(
                re.sub(r'\\\n +', '', re.sub(r'``[^`]*``', '', text)))}

        self.assertIn('alarm list', examples)
        self.assertGreater(len(examples), 10)
        self.assertEqual([], [
            wrong for example in sorted(examples)
            if (wrong := self.complaint(example))])

    def test_the_parser_does_complain(self):
        self.assertIn('no such command', self.complaint('alarm paint it'))
        self.assertIn('--severe', self.complaint(
            'alarm create --name a --type event --severe low'))


class OptionsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)

    def exists(self, group, option):
        where = self.conf if group == 'DEFAULT' else self.conf[group]
        return option in where

    def test_every_option_has_a_help(self):
        self.assertEqual([], [
            '[%s] %s' % (group, opt.name)
            for group, opts in project_conf.groups() for opt in opts
            if not (opt.help or '').strip()])

    def test_every_option_that_is_named_exists(self):
        named = re.findall(r'``\[(\w+)\]\s+(\w+)(?: = [^`]*)?``', EVERYTHING)

        self.assertIn(('evaluator', 'max_event_age'), named)
        self.check(named)

    def test_every_option_of_the_examples_exists(self):
        named = []
        for text in blocks(EVERYTHING, 'ini'):
            parser = configparser.RawConfigParser(default_section='')
            parser.read_string(text)
            named += [(group, option) for group in parser.sections()
                      for option in parser[group]]

        self.assertIn(('database', 'connection'), named)
        self.check(named)

    def check(self, named):
        # Other groups are nova's, systemd's or those of libraries.
        self.assertEqual([], [
            '[%s] %s' % (group, option) for group, option in named
            if (group == 'DEFAULT' or group in self.conf)
            and not self.exists(group, option)])


class SamplesTest(base.TestCase):
    """The generators of samples run with what is in etc/."""

    def generate(self, main, name):
        self.useFixture(fixtures.FakeLogger())
        target = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'sample')
        main(['--config-file', str(TOP / 'etc' / 'doctor-alarm' / name),
              '--output-file', str(target)])
        return target.read_text()

    def test_configuration(self):
        sample = self.generate(config_generator.main,
                               'doctor-alarm-config-generator.conf')

        sections = {
            found.partition(']')[0][1:]: collections.Counter(
                re.findall(r'(?m)^#(\w+) =', found))
            for found in re.split(r'(?m)^(?=\[\w+\]$)', sample)[1:]}
        self.assertEqual([], [
            '[%s] %s' % (group, opt.dest)
            for group, opts in project_conf.groups() for opt in opts
            if sections[group][opt.dest] != 1])

    def test_policies(self):
        sample = self.generate(policy_generator.generate_sample,
                               'doctor-alarm-policy-generator.conf')

        for rule in policies.list_rules():
            self.assertIn('"%s": ' % rule.name, sample)


class LayersTest(base.TestCase):

    def test_every_unit_is_in_the_table(self):
        there = {test_layers.unit_of(name)
                 for name, _path in test_layers.modules()} - {''}

        self.assertEqual([], [
            unit for unit in sorted(there)
            if '``%s``' % unit not in DOCUMENTS['CONTRIBUTING.rst']])
