# SPDX-License-Identifier: Apache-2.0
"""Whatever a file has: alarms or sentences; and there and back again."""

import json

import hypothesis
from hypothesis import strategies as st
import sqlalchemy as sa

from doctor_alarm.api import alarm_export
from doctor_alarm.api import alarm_import
from doctor_alarm import credential
from doctor_alarm.db import models
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.api import base
from doctor_alarm.tests.unit.api import test_fuzz

ACTIONS = st.lists(st.sampled_from((
    'http://a/', 'http://u:p@a/', 'http://a/?token=x', 'http://\x1f\x1f',
    'http://a/\x1fid\x1fgAAAA', 'http://***@a/')) | fuzzing.TEXTS, max_size=3)
IMPORTED = st.tuples(test_fuzz.GOOD_ALARMS, st.fixed_dictionaries(
    {'project_id': st.sampled_from(('p1', 'p2'))}, optional={
        'alarm_id': test_fuzz.SCALARS, 'user_id': test_fuzz.SCALARS,
        'alarm_actions': ACTIONS, 'ok_actions': ACTIONS,
        'timestamp': test_fuzz.SCALARS,
        'state_reason': test_fuzz.SCALARS})).map(
            lambda parts: {**parts[0], **parts[1]})


class ImportTest(base.ApiTestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def load(self, docs, **terms):
        return alarm_import.load(
            self.db, [json.dumps(doc) for doc in docs], alarm_import.Terms(
                schemes=frozenset(('http', 'https')),
                vault=credential.make(self.conf), **terms))

    def empty(self):
        with self.db.writer() as conn:
            for table in models.metadata.tables.values():
                conn.execute(sa.delete(table))

    def test_anything(self):
        @fuzzing.costly
        @hypothesis.given(st.lists(
            test_fuzz.DOCS | test_fuzz.ALARMS | IMPORTED, max_size=3))
        def check(docs):
            loaded = self.load(docs, partial=True)

            self.assertEqual(len(docs), loaded.count + len(loaded.left_out))
            self.empty()

        check()

    def test_there_and_back(self):
        @fuzzing.costly
        @hypothesis.given(IMPORTED)
        def check(doc):
            if self.load([doc], partial=True).count:
                lines = list(alarm_export.lines(self.db))
                self.empty()
                self.load(map(json.loads, lines))
                self.assertEqual(lines, list(alarm_export.lines(self.db)))
                self.empty()

        check()
