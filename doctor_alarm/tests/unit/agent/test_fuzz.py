# SPDX-License-Identifier: Apache-2.0
"""Whatever a bus says, the agent makes an event of it or puts it aside."""

import copy
import datetime
import json
import pathlib
import threading
import types

import fixtures
import hypothesis
from hypothesis import strategies as st
import yaml

from doctor_alarm.agent import definitions
from doctor_alarm.agent import endpoint
from doctor_alarm.agent import intake
from doctor_alarm.agent import nova_format
from doctor_alarm.agent import normalise
from doctor_alarm.agent import pipeline
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.timezone.utc)
ANY = fuzzing.docs(leaves=8)
NAMES = st.sampled_from((
    'message_id', 'event_type', 'publisher_id', 'priority', 'timestamp',
    'payload', 'nova_object.data', 'nova_object.name', 'nova_object.version',
    'masakari_object.data', 'uuid', 'instance_id', 'host', 'state', 'port',
    'tenant_id', 'project_id', 'flavor', 'request_spec', 'fixed_ips',
    'metadata', 'volume_attachment', 'resource_info')) | fuzzing.TEXTS
DEFINITION = st.fixed_dictionaries(
    {'event_type': fuzzing.TEXTS | st.lists(fuzzing.TEXTS, max_size=3)},
    optional={'traits': st.dictionaries(fuzzing.TEXTS, fuzzing.docs(
        st.sampled_from(('fields', 'type', 'plugin', 'name', 'parameters')),
        st.sampled_from(('payload.host', 'payload.[*].a', 'int', 'split',
                         'datetime', '$..a', '(payload|ctxt).x', '?', None,
                         7)) | fuzzing.TEXTS), max_size=4)})
PIPELINE_NAMES = st.sampled_from((
    'sources', 'sinks', 'name', 'events', 'publishers', 'transformers'))


@st.composite
def mutated(draw):
    """Return a captured notification with some of its parts replaced."""
    message, ctxt = notifications.load(
        draw(st.sampled_from(notifications.names())))
    message = copy.deepcopy(message)
    for _ in range(draw(st.integers(1, 4))):
        place, key = message, draw(st.sampled_from(sorted(message)))
        while isinstance(place[key], dict) and place[key] and draw(
                st.integers(0, 3)):
            place = place[key]
            key = draw(st.sampled_from(sorted(place)))
        place[key] = draw(ANY)
    return message, draw(st.just(ctxt) | st.dictionaries(
        st.sampled_from(normalise.CONTEXT_KEYS), ANY, max_size=3))


MESSAGES = mutated() | st.tuples(
    st.fixed_dictionaries({}, optional=dict.fromkeys((
        'message_id', 'event_type', 'publisher_id', 'priority', 'timestamp',
        'payload'), fuzzing.docs(NAMES))), st.just({}))


class Letters:
    """Keeps the reasons; what is put must be JSON."""

    def __init__(self):
        self.reasons = []

    def put(self, reason, message_id, source, body):
        json.dumps(body)
        self.reasons.append(reason)


class TestNotifications(base.TestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def setUp(self):
        super().setUp()
        self.conf = configuration.prepare(event__store_raw=['info', 'error'])
        self.transformer = endpoint.Transformer(self.conf)

    @fuzzing.settings
    @hypothesis.given(MESSAGES)
    def test_an_event_or_malformed(self, taken):
        message, ctxt = taken
        try:
            events = self.transformer.events(message, ctxt, NOW)
        except exception.InvalidEvent:
            json.dumps(normalise.redacted(message)).encode()
            return
        for event in events:
            # The evaluator takes what the agent says.
            wire = json.dumps(event.to_wire())
            again = event_mod.Event.from_wire(
                json.loads(wire), received=NOW, clean=True)
            self.assertEqual(wire, json.dumps(again.to_wire()))

    @fuzzing.settings
    @hypothesis.given(MESSAGES, st.sampled_from(
        ('unversioned', 'versioned', 'both')))
    def test_a_choice_of_format(self, taken, wanted):
        message, ctxt = taken
        try:
            found = normalise.normalise(message, ctxt)
        except exception.InvalidEvent:
            return
        self.assertIn(nova_format.Choice(wanted).takes(found), (True, False))

    @fuzzing.settings
    @hypothesis.given(st.lists(MESSAGES | st.tuples(ANY, st.just({})),
                               max_size=4))
    def test_every_message_is_acknowledged(self, messages):
        done, letters, published = [], Letters(), []
        output = types.SimpleNamespace(
            name='alarms', chosen=lambda events: events,
            publishers=[types.SimpleNamespace(publish=published.extend)])
        taken = intake.Intake(
            '', self.transformer, [output], stopping=threading.Event(),
            dead_letters=letters)
        taken._aside = types.SimpleNamespace(
            submit=lambda item: taken._put_aside([item]))
        taken.process([types.SimpleNamespace(
            message=message, ctxt=ctxt,
            acknowledge=lambda number=number: done.append(number))
            for number, (message, ctxt) in enumerate(messages)])
        self.assertEqual(list(range(len(messages))), sorted(done))
        # Nothing is there that nobody foresaw.
        self.assertEqual([], [reason for reason in letters.reasons
                              if reason.startswith('broke')])


class TestFiles(base.TestCase):
    """A file is read, or refused in one line that says where it is wrong."""

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'file.yaml')

    def refused(self, read, text):
        """Return what was read, or None."""
        self.path.write_text(text, encoding='utf-8', errors='replace')
        try:
            return read(str(self.path))
        except exception.ConfigurationError as exc:
            self.assertIn(str(self.path), str(exc))

    @fuzzing.settings
    @hypothesis.given(
        st.lists(DEFINITION | ANY, max_size=3) | ANY, ANY)
    def test_definitions(self, doc, payload):
        found = self.refused(definitions.read, yaml.safe_dump(doc))
        for definition in found or ():
            definition.traits_of({'payload': payload, 'ctxt': {}})

    @fuzzing.settings
    @hypothesis.given(fuzzing.docs(PIPELINE_NAMES, st.sampled_from((
        '*', '!a', 'a', 's', 'direct://', 'alarm', 'http://[', '!', 7,
        None))))
    def test_pipeline(self, doc):
        self.refused(pipeline.read, yaml.safe_dump(doc))

    @fuzzing.settings
    @hypothesis.given(st.text(alphabet='-:{}[]\'"&*!|>%@`\n\t #,?ab1'))
    def test_any_text(self, text):
        self.refused(definitions.read, text)
        self.refused(pipeline.read, text)
