# SPDX-License-Identifier: Apache-2.0
"""Imports go one way: the table of layers, checked on the source."""

import ast
import pathlib
import subprocess
import sys

import doctor_alarm
from doctor_alarm.tests import base

ROOT = pathlib.Path(doctor_alarm.__file__).parent
PACKAGE = 'doctor_alarm'

LAYERS = (
    # values, the pure heart, options: no I/O of our own
    {'action', 'composite', 'condition', 'conf', 'constraint', 'document',
     'event', 'exception', 'fault', 'match', 'metrics', 'policies', 'redact',
     'schemas', 'signature', 'timeout', 'transition'},
    # the outside world: who asks, the bus, the database, the process
    {'context', 'credential', 'db', 'guard', 'messaging', 'policy', 'service',
     'session'},
    # the nouns and their SQL; dead letters in the queue of the broker
    {'dead_letter', 'objects'},
    # the stages; they meet at a topic, a table or HTTP
    {'agent', 'api', 'evaluator', 'inspector', 'monitors', 'notifier'},
    # what puts them together
    {'cmd', 'local', 'standalone', 'wsgi'},
)
LAYER = {unit: n for n, units in enumerate(LAYERS) for unit in units}

STAGES = LAYERS[3]
# These live on hosts and networks that do not reach the database.
WITHOUT_DATABASE = {'agent', 'inspector', 'monitors'}

# Besides the standard library and oslo, for the units of layer 0
PURE = {'conf': {'keystoneauth1', 'pbr'}, 'constraint': {'croniter'},
        'document': {'yaml'},
        'metrics': {'prometheus_client'},
        'schemas': {'fastjsonschema', 'jsonschema'}}


def modules():
    """Yield (name, path) of every module but the tests."""
    for path in sorted(ROOT.rglob('*.py')):
        parts = path.relative_to(ROOT.parent).with_suffix('').parts
        if parts[1] == 'tests':
            continue
        yield '.'.join(parts), path


def imports_of(name, source):
    """Return the full names that a module imports, wherever it does."""
    package = name.split('.')[:-1]
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = [node.module] if node.module else []
            if node.level:
                origin = package[:len(package) - node.level + 1] + origin
            names.update('.'.join([*origin, alias.name])
                         for alias in node.names)
    return names


def unit_of(name):
    """Return the part of the table that a full name belongs to."""
    parts = name.split('.')
    if len(parts) < 2 or parts[1] == '__init__':
        return ''
    return parts[1]


def complaint(name, imported):
    """Say what is wrong with an import; None if it is allowed."""
    unit, top = unit_of(name), imported.split('.')[0]
    if top == 'eventlet':
        return 'the threading backend has no place for eventlet'
    if top != PACKAGE:
        return foreign_complaint(unit, top)
    target = unit_of(imported)
    if not target or target == unit:
        return None
    if target not in LAYER:
        return '%s is not in the table of layers' % target
    if target in WITHOUT_DATABASE | STAGES and LAYER.get(unit, 4) == 3:
        return 'stages do not import each other'
    if unit in WITHOUT_DATABASE and target in ('db', 'objects'):
        return '%s works without the database' % unit
    if LAYER.get(unit, 4) < LAYER[target]:
        return 'layer %d imports layer %d' % (LAYER[unit], LAYER[target])
    if LAYER.get(unit, 0) == LAYER[target] == 1:
        return 'layer 1 imports layer 0 only'
    return None


def foreign_complaint(unit, top):
    if LAYER.get(unit) != 0 or top in sys.stdlib_module_names:
        return None
    if top.startswith('oslo_') or top in PURE.get(unit, ()):
        return None
    return 'layer 0 does not import %s' % top


class LayersTest(base.TestCase):

    def test_every_module_is_in_the_table(self):
        missing = {unit_of(name) for name, _path in modules()} - {''}

        self.assertEqual(set(), missing - set(LAYER))

    def test_imports_go_one_way(self):
        complaints = [
            '%s imports %s: %s' % (name, imported, reason)
            for name, path in modules()
            for imported in sorted(imports_of(name, path.read_text()))
            if (reason := complaint(name, imported))]

        self.assertEqual([], complaints)


class ComplaintTest(base.TestCase):
    """The rules themselves."""

    def check(self, name, source, *expected):
        name = '%s.%s' % (PACKAGE, name)
        found = [complaint(name, imported)
                 for imported in sorted(imports_of(name, source))]
        self.assertEqual(list(expected), found)

    def test_downwards(self):
        self.check('notifier.lanes', 'from doctor_alarm import match', None)
        self.check('notifier.lanes',
                   'import doctor_alarm.objects.lane as lane', None)
        self.check('cmd.api', 'from doctor_alarm.api import app', None)

    def test_upwards(self):
        self.check('event', 'from doctor_alarm.db import api',
                   'layer 0 imports layer 1')
        self.check('objects.alarm', 'from doctor_alarm import evaluator',
                   'layer 2 imports layer 3')
        self.check('objects.alarm', 'from ..evaluator import engine',
                   'layer 2 imports layer 3')
        self.check('objects.alarm', 'from .. import evaluator',
                   'layer 2 imports layer 3')
        self.check('api.app', 'from doctor_alarm.cmd import api',
                   'layer 3 imports layer 4')

    def test_an_import_inside_a_function_counts(self):
        self.check('match', 'def f():\n    import doctor_alarm.cmd.api',
                   'layer 0 imports layer 4')

    def test_sideways(self):
        self.check('match', 'from doctor_alarm import event', None)
        self.check('policy', 'from doctor_alarm import messaging',
                   'layer 1 imports layer 0 only')
        self.check('api.app', 'from doctor_alarm.evaluator import engine',
                   'stages do not import each other')

    def test_without_the_database(self):
        self.check('agent.endpoint', 'from doctor_alarm.db import models',
                   'agent works without the database')
        self.check('inspector.nova', 'from doctor_alarm import objects',
                   'inspector works without the database')
        self.check('agent.endpoint', 'from doctor_alarm import messaging',
                   None)

    def test_foreign(self):
        self.check('match', 'import fnmatch\nimport oslo_log', None, None)
        self.check('match', 'import sqlalchemy as sa',
                   'layer 0 does not import sqlalchemy')
        self.check('cmd.api', 'import eventlet.green',
                   'the threading backend has no place for eventlet')

    def test_unknown(self):
        self.check('api.app', 'from doctor_alarm import helper',
                   'helper is not in the table of layers')


class WeightTest(base.TestCase):

    def test_standalone_does_without_the_clients_of_the_cloud(self):
        """They are a fifth of the modules, and ten megabytes."""
        found = subprocess.run(
            [sys.executable, '-c', 'import sys, doctor_alarm.standalone\n'
             'print("openstack" in sys.modules)'],
            check=True, stdout=subprocess.PIPE, text=True)
        self.assertEqual('False\n', found.stdout)
