# SPDX-License-Identifier: Apache-2.0
"""Whatever comes over the wire is an event or malformed, and stays itself."""

import datetime
import json

import hypothesis
from hypothesis import strategies as st

from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone.utc)
NAMES = st.sampled_from(event_mod.IDENTITY_TRAITS + (
    'state', 'project_id', 'tenant_id', 'generated_original', 'password',
    'auth_token', 'memory_mb')) | fuzzing.TEXTS
TIMES = st.datetimes().map(datetime.datetime.isoformat) | st.tuples(
    st.datetimes(), st.sampled_from(('Z', '+00:00', '-11:30', '+14:00', '+')),
    ).map(lambda parts: parts[0].isoformat() + parts[1])
ANY = fuzzing.docs(leaves=5)
TRAITS = st.lists(
    st.tuples(NAMES | ANY, st.integers(0, 5) | ANY, TIMES | ANY).map(list)
    | ANY, max_size=8)
GOOD_TRAITS = st.lists(st.one_of(
    st.tuples(NAMES, st.just(1), fuzzing.TEXTS),
    st.tuples(NAMES, st.just(2), st.integers()),
    st.tuples(NAMES, st.just(3), st.floats()),
    st.tuples(NAMES, st.just(4), TIMES)).map(list), max_size=8)
WIRE = st.fixed_dictionaries(
    {'message_id': fuzzing.TEXTS, 'event_type': fuzzing.TEXTS,
     'generated': TIMES, 'traits': GOOD_TRAITS},
    optional={'project_id': fuzzing.TEXTS, 'publisher_id': fuzzing.TEXTS,
              'raw': st.dictionaries(fuzzing.TEXTS, ANY, max_size=3),
              'transformed_at': st.integers(), 'more': ANY})
BROKEN = st.fixed_dictionaries({}, optional={
    'message_id': fuzzing.TEXTS | ANY, 'event_type': fuzzing.TEXTS | ANY,
    'generated': TIMES | ANY, 'traits': TRAITS | ANY, 'project_id': ANY,
    'publisher_id': ANY, 'raw': ANY, 'transformed_at': ANY})
QUERY = st.fixed_dictionaries(
    {'field': NAMES.map('traits.{}'.format) | fuzzing.TEXTS,
     'value': fuzzing.SCALARS},
    optional={'op': st.sampled_from(('eq', 'ne', 'lt', 'le', 'gt', 'ge')),
              'type': st.sampled_from((
                  '', 'string', 'integer', 'float', 'boolean', 'datetime'))})
PATTERN = {'event_type': fuzzing.TEXTS, 'query': st.lists(QUERY, max_size=3)}
RULES = st.fixed_dictionaries(PATTERN, optional={
    'clear': st.fixed_dictionaries({}, optional=PATTERN)})


def read(doc, **kwargs):
    """Return the event, or None: it is malformed."""
    try:
        return event_mod.Event.from_wire(doc, received=NOW, **kwargs)
    except exception.InvalidEvent:
        return None


class TestEvent(base.TestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    @fuzzing.settings
    @hypothesis.given(WIRE | BROKEN | ANY, st.booleans())
    def test_it_stays_the_same_on_every_hop(self, doc, clean):
        event = read(doc, clean=clean)
        if event is None:
            return
        wire = json.dumps(event.to_wire())
        wire.encode()
        # The first hop may have cleaned it; after that nothing changes.
        again = read(json.loads(wire), clean=True)
        self.assertIsNotNone(again, wire)
        self.assertEqual(wire, json.dumps(again.to_wire()))
        self.assertEqual(event.identities, again.identities)
        self.assertEqual(event.generated_us, again.generated_us)
        self.assertEqual(event.message_id, again.message_id)

    @fuzzing.settings
    @hypothesis.given(WIRE)
    def test_bounds(self, doc):
        event = read(doc)
        hypothesis.assume(event is not None)
        self.assertRegex(event.message_id, r'\A[\x21-\x7e]{1,64}\Z')
        self.assertLessEqual(event.generated, NOW + event_mod.MAX_AHEAD)
        self.assertLessEqual(len(event.publisher_id), 255)
        for name, value in event.traits.items():
            self.assertNotIn('\0', name + str(value))
            (name + str(value)).encode()

    @fuzzing.settings
    @hypothesis.given(RULES, WIRE)
    def test_a_rule_that_compiles_has_a_verdict(self, rule, doc):
        event = read(doc)
        hypothesis.assume(event is not None)
        try:
            compiled = match.compile_rule(rule)
        except exception.InvalidRule:
            return
        verdict = compiled.verdict(event)
        self.assertIn(verdict, (match.RAISE, match.CLEAR, None))
        if verdict and event.project_id:
            # What hits is found.
            plain = match.keys_of_event(event)
            self.assertTrue(any(
                key.plain in plain and key.refined in match.refined_keys(
                    key.plain, key.names, event)
                for key in match.keys_of_alarm(event.project_id, rule)))
