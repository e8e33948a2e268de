# SPDX-License-Identifier: Apache-2.0

import dataclasses
import datetime
import json

from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm.tests import base

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone.utc)


def build(**kwargs):
    return event.build(event.Parts(**{
        'message_id': 'm1', 'event_type': 't', 'generated': NOW,
        'traits': {}, **kwargs}), received=NOW)


class TestBuild(base.TestCase):

    def test_times_of_every_form_become_utc(self):
        for text in ('2026-11-20T12:00:00', '2026-11-20 12:00:00.000000',
                     '2026-11-20T12:00:00Z', '2026-11-20T12:00:00+00:00',
                     '2026-11-20T13:00:00+01:00'):
            self.assertEqual(NOW, build(generated=text).generated, text)

    def test_the_future_is_clamped_and_the_original_kept(self):
        fired = build(generated='2099-01-01T00:00:00')
        self.assertEqual(NOW, fired.generated)
        self.assertEqual('2099-01-01T00:00:00',
                         fired.traits['generated_original'])

    def test_the_owner_is_taken_from_the_traits(self):
        self.assertEqual('p', build(traits={'tenant_id': 'p'}).project_id)
        self.assertEqual('q', build(traits={
            'tenant_id': 'p', 'project_id': 'q'}).project_id)
        self.assertIsNone(build().project_id)

    def test_long_or_odd_ids_get_a_stable_stand_in(self):
        for odd in ('x' * 65, 'ünï', 'a b', '\n'):
            made = build(message_id=odd).message_id
            self.assertEqual(36, len(made))
            self.assertEqual(made, build(message_id=odd).message_id)
        self.assertEqual('x' * 64, build(message_id='x' * 64).message_id)

    def test_what_is_missing_or_wrong_is_named(self):
        for field, value in (('message_id', None), ('message_id', 3),
                             ('event_type', ''), ('event_type', 'x' * 256),
                             ('generated', 'soon'), ('generated', None),
                             ('raw', 'text')):
            error = self.assertRaises(
                exception.InvalidEvent, build, **{field: value})
            self.assertIn(field, str(error))

    def test_secrets_do_not_become_traits(self):
        fired = build(traits={
            'auth_token': 'gAAAA', 'adminPass': 'x', 'state': 'error',
            'cause': 'GET http://bob:hush@h/ failed'})
        self.assertEqual(
            {'state': 'error', 'cause': 'GET http://***@h/ failed'},
            fired.traits)

    def test_traits_have_a_bound(self):
        build(traits={'a': 'x' * (event.MAX_SIZE - 1)})
        self.assertRaises(exception.InvalidEvent, build,
                          traits={'a': 'x' * event.MAX_SIZE})

    def test_the_resource_is_the_first_identity(self):
        self.assertEqual('i', build(traits={
            'host': 'h', 'instance_id': 'i'}).resource_id)
        self.assertEqual('', build(traits={'state': 'x'}).resource_id)

    def test_identities_are_text(self):
        self.assertEqual({'7', 'h'}, build(traits={
            'host': 'h', 'instance_id': 7}).identities)


class TestWire(base.TestCase):

    def test_ceilometers_form(self):
        fired = event.Event.from_wire({
            'message_id': 'm1', 'event_type': 't',
            'generated': '2026-11-20T12:00:00', 'raw': {},
            'message_signature': None, 'traits': [
                ['a', 1, 'x'], ['n', 2, 3], ['f', 3, 0.5],
                ['d', 4, '2026-11-20T12:00:00'], ['tenant_id', 1, 'p']]},
            received=NOW, publisher_id='telemetry')
        self.assertEqual(
            {'a': 'x', 'n': 3, 'f': 0.5, 'd': NOW, 'tenant_id': 'p'},
            fired.traits)
        self.assertEqual(('p', 'telemetry'),
                         (fired.project_id, fired.publisher_id))

    def test_malformed_is_refused_with_a_reason(self):
        good = {'message_id': 'm', 'event_type': 't', 'traits': [],
                'generated': '2026-11-20T12:00:00'}
        for bad in (None, 3, [], dict(good, traits='x'),
                    dict(good, traits=[['a', 1]]),
                    dict(good, traits=[['a', 9, 'x']]),
                    dict(good, traits=[['a', 2, 'x']]),
                    dict(good, traits=[['n', 2, 1.5]]),
                    dict(good, traits=[[['a'], 1, 'x']]),
                    dict(good, traits=[['d', 4, 'soon']]),
                    dict(good, raw=[1]), dict(good, generated=3)):
            self.assertRaises(exception.InvalidEvent, event.Event.from_wire,
                              bad, received=NOW)

    values = st.one_of(
        st.text(max_size=20), st.integers(), st.booleans(),
        st.floats(), st.none(), st.lists(st.integers(), max_size=2),
        st.datetimes(timezones=st.just(datetime.timezone.utc),
                     min_value=datetime.datetime(1971, 1, 1),
                     max_value=datetime.datetime(2200, 1, 1)))

    @given(st.dictionaries(st.text(min_size=1, max_size=10), values,
                           max_size=5))
    def test_what_goes_out_comes_in(self, traits):
        fired = build(traits=traits, project_id='p', publisher_id='x',
                      raw={'a': 1}, transformed_at=5)
        wire = json.loads(json.dumps(fired.to_wire()))
        self.assertEqual(fired, event.Event.from_wire(wire, received=NOW))

    json_values = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(),
                  st.text(max_size=8)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(
            st.text(max_size=4), inner, max_size=3)), max_leaves=10)

    @given(st.one_of(json_values, st.fixed_dictionaries({
        'message_id': json_values, 'event_type': json_values,
        'generated': json_values, 'traits': json_values})))
    def test_whatever_comes_in_is_an_event_or_invalid(self, doc):
        try:
            event.Event.from_wire(doc, received=NOW)
        except exception.InvalidEvent:
            return
        self.assertIsInstance(doc, dict)


class TestTrust(base.TestCase):
    """What a tenant posted stays that, over every hop and replay."""

    def over_the_wire(self, found):
        doc = json.loads(json.dumps(found.to_wire()))
        return event.Event.from_wire(doc, received=NOW)

    def test_it_is_kept(self):
        told = dataclasses.replace(build(), trusted=False)

        self.assertEqual(told, self.over_the_wire(told))
        self.assertEqual(build(), self.over_the_wire(build()))
        self.assertFalse(self.over_the_wire(self.over_the_wire(
            told)).trusted)

    def test_others_do_not_know_of_it(self):
        doc = build().to_wire()
        self.assertNotIn('trusted', doc)

        for nonsense in (0, None, 'true', [], 1):
            self.assertFalse(event.Event.from_wire(
                {**doc, 'trusted': nonsense}, received=NOW).trusted)
