# SPDX-License-Identifier: Apache-2.0
"""The table of Aodh's options names all of them, and ours that exist."""

import csv
import fnmatch
import re

from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm.tests import base
from doctor_alarm.tests.unit import test_docs

OPTION = re.compile(r'``\[(\w+)\] ([\w*]+)``')
OF_AODH = [
    tuple(line.split()) for line in (
        test_docs.TOP / 'doctor_alarm/tests/data/aodh/options.txt'
    ).read_text().splitlines() if not line.startswith('#')]


class AodhOptionsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        with open(test_docs.TOP / 'doc/source/aodh-options.csv') as table:
            self.rows = list(csv.DictReader(table))

    def test_every_option_has_one_row(self):
        named = [' '.join(('[%s]' % group, name)) for row in self.rows
                 for group, name in OPTION.findall(row['aodh.conf'])]

        self.assertGreater(len(OF_AODH), 50)
        self.assertEqual(len(self.rows), len(named))
        rows_of = {option: [
            name for name in named if fnmatch.fnmatchcase(
                '%s %s' % option, name.replace('[', '[[]'))]
            for option in OF_AODH}
        self.assertEqual({}, {
            option: rows for option, rows in rows_of.items()
            if len(rows) != 1})
        self.assertEqual(set(named), {rows[0] for rows in rows_of.values()})

    def test_ours_exist(self):
        conf = cfg.ConfigOpts()
        project_conf.register(conf)
        ours, remarks = (
            {found for row in self.rows for found in OPTION.findall(row[name])}
            for name in ('here', 'remark'))
        remarks -= {(group[1:-1], name) for group, name in OF_AODH}

        self.assertIn(('notifier', 'ca_file'), ours)
        self.assertEqual([], [
            '[%s] %s' % (group, name) for group, name in ours | remarks
            if group not in conf or name not in conf[group]])

    def test_what_is_not_needed_has_a_reason(self):
        self.assertEqual([], [
            row['aodh.conf'] for row in self.rows
            if not (row['here'] or row['remark'])])
