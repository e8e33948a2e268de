# SPDX-License-Identifier: Apache-2.0
"""Whatever a message says, its good events are evaluated."""

import json
import types

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm.evaluator import service
from doctor_alarm.messaging import wire
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import alarm_bulk
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit import test_fuzz_event as events

ENVELOPES = fuzzing.docs(
    st.sampled_from(('oslo.version', 'oslo.message', '_context_user_id',
                     '_unique_id', '_msg_id', 'message_id', 'payload')),
    fuzzing.SCALARS | st.sampled_from(('2.0', '1.0', '{}', '[]', '{"a": 1}')))


class Committer:
    """Keeps what is put aside."""

    def __init__(self):
        self.letters = []

    def put_aside(self, message_id, reason, payload, source):
        self.letters.append(reason)
        assert len(message_id) <= 255
        json.dumps(payload)


class TestMessages(base.TestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def setUp(self):
        super().setUp()
        stored = self.useFixture(storage.Storage())
        self.conf, self.db = stored.conf, stored.db
        self.engine = engine.Engine(self.db, lambda hint: None, 15)

    def decode(self, message, ours):
        committer = Committer()
        found = service.EvaluatorService(self.conf)._decode(
            committer, service._Taken(types.SimpleNamespace(
                message=message, ctxt={}), ours))
        return found, committer.letters

    @fuzzing.settings
    @hypothesis.given(
        st.fixed_dictionaries({}, optional={
            'payload': st.lists(events.WIRE | events.BROKEN | events.ANY,
                                max_size=4) | events.ANY,
            'publisher_id': events.ANY, 'message_id': events.ANY,
            'timestamp': events.ANY}), st.booleans())
    def test_each_is_an_event_or_put_aside(self, message, ours):
        found, letters = self.decode(message, ours)
        payload = message.get('payload')
        self.assertEqual(len(payload) if isinstance(payload, list) else 1,
                         len(found) + len(letters))
        self.assertEqual([], [reason for reason in letters
                              if reason.startswith('broke')])

    @fuzzing.costly
    @hypothesis.given(st.lists(events.WIRE, min_size=1, max_size=3))
    def test_no_event_is_a_poison(self, docs):
        # given an alarm on everything that the project of an event sees
        project = str(docs[0].get('project_id') or 'p1')
        docs = [{**doc, 'project_id': project} for doc in docs]
        found, _letters = self.decode({'payload': docs}, ours=True)
        hypothesis.assume(found)
        alarm_bulk.import_all(self.db, [alarm_obj.Alarm(
            name='all', type='event', project_id=found[0].project_id,
            user_id='u', alarm_actions=['http://r.example.org/'],
            repeat_actions=True, rule={'event_type': '*', 'query': []})])
        # when they are evaluated, then each is there to be told
        self.engine.process(found)
        delivery, event = models.delivery, models.event
        with self.db.writer() as conn:
            rows = conn.execute(delivery.select().add_columns(
                event.c.body).join_from(
                    delivery, event,
                    delivery.c.message_id == event.c.message_id)).all()
            for table in models.metadata.sorted_tables:
                conn.execute(table.delete())
        self.assertEqual({one.message_id for one in found},
                         {row.message_id for row in rows})
        for row in rows:
            self.assertEqual(row.message_id, json.loads(row.body)[
                'message_id'])

    @fuzzing.settings
    @hypothesis.given(ENVELOPES, st.sampled_from(('utf-8', None, 'binary')),
                      st.binary(max_size=20) | st.none())
    def test_envelopes(self, doc, encoding, noise):
        raw = types.SimpleNamespace(
            body=json.dumps(doc).encode() if noise is None else noise,
            properties={'content_type': 'application/json',
                        'content_encoding': encoding},
            channel=types.SimpleNamespace(message_to_python=lambda raw: (
                types.SimpleNamespace(payload=doc))))
        try:
            message, ctxt = wire.decode(raw)
        except Exception:
            return
        self.assertIsInstance(message, dict)
        self.assertIsInstance(ctxt, dict)
        self.assertEqual([], [key for key in message
                              if key.startswith('_context_')])
