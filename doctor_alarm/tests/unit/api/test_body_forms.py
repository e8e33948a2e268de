# SPDX-License-Identifier: Apache-2.0
"""One event, in every form in which monitors say it."""

import datetime
import json

import fixtures
import hypothesis
from hypothesis import strategies as st

from doctor_alarm.api import app
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.monitors import base as monitors
from doctor_alarm.schemas import sentence
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.api import base

WHEN = '2026-11-20T08:00:00'
#: As OPNFV Doctor's specification has it.
SPECIFIED = {
    'time': WHEN, 'type': 'compute.host.down', 'details': {
        'hostname': 'compute-1', 'source': 'sample_monitor',
        'cause': 'link-down', 'severity': 'critical', 'status': 'down',
        'monitor_id': 'monitor-1', 'monitor_event_id': '123',
        'related_to': ['a', 'b']}}
#: As Doctor's sample monitor sends it, always with these ids.
SAMPLE_MONITOR = {
    'id': 'monitor_sample_id1', 'time': '2026-11-20T08:00:00.123456',
    'type': 'compute.host.down', 'details': {
        'hostname': 'compute-1', 'status': 'down',
        'monitor': 'monitor_sample',
        'monitor_event_id': 'monitor_sample_event1'}}
PATHS = ('/v1/events', '/v1/event', '/events')
WRAPPERS = {
    'wrapped': lambda doc: {'event': doc},
    'bulk': lambda doc: {'events': [{'event': doc}]},
    'bulk of bare ones': lambda doc: {'events': [doc]},
    'bare': lambda doc: doc,
    'list of bare ones': lambda doc: [doc],
    'list': lambda doc: [{'event': doc}]}
#: Where the event is in each of them.
WHERE = {'wrapped': 'event.', 'bulk': 'events[0].event.',
         'bulk of bare ones': 'events[0].', 'bare': '',
         'list of bare ones': '[0].', 'list': '[0].event.'}

PLAIN = st.text(st.characters(
    codec='utf-8', exclude_characters='\0'), min_size=1, max_size=20)
DETAILS = st.dictionaries(
    st.sampled_from((
        'hostname', 'source', 'cause', 'severity', 'status', 'monitor_id',
        'monitor_event_id', 'anything')), PLAIN)
GOOD = st.fixed_dictionaries(
    {'time': st.datetimes(
        datetime.datetime(2020, 1, 1), datetime.datetime(2026, 1, 1)).map(
            datetime.datetime.isoformat),
     'type': PLAIN}, optional={'details': DETAILS})


class BodyFormsTest(base.ApiTestCase):

    DEFAULT_TIMEOUT = fuzzing.TIMEOUT

    def sent(self, doc, method='post', path='/v1/events', who=base.MONITOR):
        """Return what became of the events of a body."""
        self.events.accepted.clear()
        self.call(method, path, doc, who, 202)
        return list(self.events.accepted)

    def test_every_form_on_every_path_is_the_same_event(self):
        expected = None
        for path in PATHS:
            for method in ('post', 'put'):
                for name, wrap in WRAPPERS.items():
                    found = self.sent(wrap(SPECIFIED), method, path)
                    self.assertEqual(1, len(found), name)
                    event = found[0].as_dict()
                    expected = expected or event
                    self.assertEqual(expected, event, (path, method, name))

    def test_what_it_is(self):
        event = self.sent(SPECIFIED)[0]

        self.assertEqual(fault.HOST_DOWN, event.event_type)
        self.assertEqual('sample_monitor', event.publisher_id)
        self.assertEqual({
            'hostname': 'compute-1', 'host': 'compute-1',
            'source': 'sample_monitor', 'cause': 'link-down',
            'severity': 'critical', 'status': 'down',
            'monitor_id': 'monitor-1', 'monitor_event_id': '123',
            'related_to': '["a", "b"]', 'project_id': 'service'},
            dict(event.traits))

    def test_doctors_sample_monitor(self):
        event = self.sent([SAMPLE_MONITOR], 'put', '/events')[0]

        self.assertEqual(
            ('compute-1', 'down', 'monitor_sample', 'monitor_sample_id1'),
            tuple(event.traits[name] for name in (
                'hostname', 'status', 'monitor', 'id')))
        self.assertEqual(123456, event.generated.microsecond)

    def test_several(self):
        other = {**SPECIFIED, 'type': 'other'}
        for doc in ([SPECIFIED, other], {'events': [SPECIFIED, other]},
                    {'events': [{'event': SPECIFIED}, other]}):
            found = self.sent(doc)
            self.assertEqual([fault.HOST_DOWN, 'other'],
                             [event.event_type for event in found])
            self.assertEqual([event.message_id for event in found],
                             self.answer.json['message_ids'])

    def test_what_is_wrong_has_its_place(self):
        for doc, field in [
                ({**SPECIFIED, 'time': 'x'}, 'time'),
                ({**SPECIFIED, 'time': 7}, 'time'),
                ({**SPECIFIED, 'type': ''}, 'type'),
                ({**SPECIFIED, 'type': 'x' * 256}, 'type'),
                ({**SPECIFIED, 'extra': 1}, 'extra'),
                ({**SPECIFIED, 'id': []}, 'id'),
                ({**SPECIFIED, 'details': 'x'}, 'details'),
                ({**SPECIFIED, 'details': {'hostname': 7}},
                 'details.hostname'),
                ({**SPECIFIED, 'details': {'monitor_id': {}}},
                 'details.monitor_id'),
                ({'type': 'a'}, 'time'), ({'time': WHEN}, 'type')]:
            for name, wrap in WRAPPERS.items():
                sentence = self.fault(
                    400, 'post', '/v1/events', wrap(doc), base.MONITOR)
                self.assertIn(' %s%s' % (WHERE[name], field), sentence)
        self.assertEqual([], self.events.accepted)

    def test_a_list_is_refused_whole(self):
        sentence = self.fault(400, 'put', '/events', [
            SPECIFIED, {**SPECIFIED, 'time': 'x'}, 7, {}, SPECIFIED],
            base.MONITOR)

        for place in (' [1].time.', ' [2].', ' [3].event.'):
            self.assertIn(place, sentence)
        for place in ('[0]', '[4]'):
            self.assertNotIn(place, sentence)
        self.assertEqual([], self.events.accepted)

    def test_bodies_that_are_no_events(self):
        for doc, words in [
                (7, 'an object'), ('x', 'an object'), (None, 'an object'),
                ([], 'not be empty'), ({}, 'event'), ([[]], ' [0].'),
                ({'event': None}, 'event'), ({'event': []}, 'event'),
                ({'event': SPECIFIED, 'time': WHEN}, 'argument data: time'),
                ({'events': [SPECIFIED], 'x': 1}, 'x')]:
            self.assertIn(words, self.fault(
                400, 'post', '/v1/events', doc, base.MONITOR))

    def test_not_every_mistake_of_thousands_is_told(self):
        for path, body, name in (
                ('/v1/events', [{}] * 9999, '[%d]'),
                ('/v1/events', [{'time': 1, 'type': 'x'}] * 9999, '[%d]'),
                ('/v1/events', {'events': [
                    {'time': 'x', 'type': 'x'}] * 9999}, 'events[%d]'),
                ('/v1/events/alertmanager', {
                    'version': '4', 'status': 'firing',
                    'alerts': [{}] * 99}, 'alerts[%d]')):
            said = self.fault(400, 'post', path, body, base.MONITOR)

            self.assertIn(name % 4, said)
            self.assertNotIn(name % 20, said)
            self.assertEqual('And more.', said[-9:])

    def test_what_is_wrong_is_not_looked_for_without_end(self):
        """Thousands would take a thread for seconds."""
        looked = []
        exact = sentence.Checker.errors

        def look(checker, doc, within=''):
            looked.append(within)
            return exact(checker, doc, within)
        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.schemas.sentence.Checker.errors', look))
        for wrong in ({}, {'time': 1, 'type': 'x'},
                      {'time': 'x', 'type': 'x'}):
            del looked[:]
            self.fault(400, 'post', '/v1/events', [wrong] * 10000,
                       base.MONITOR)
            self.assertLess(len(looked), 30)

    def test_an_event_with_thousands_of_mistakes(self):
        said = self.fault(400, 'post', '/v1/events', {'event': {
            **{'x%d' % n: 0 for n in range(9999)}}}, base.MONITOR)
        self.assertLess(len(said), 9999)

    def test_too_many(self):
        self.assertIn('10000 items', self.fault(
            400, 'post', '/v1/events', [1] * 10001, base.MONITOR))

    def test_huge_details(self):
        doc = {**SPECIFIED, 'details': {'a': 'x' * 70000}}

        self.assertIn('[1]: ', self.fault(
            413, 'post', '/v1/events', [SPECIFIED, doc], base.MONITOR))
        # What else is wrong is the client's first concern.
        self.fault(400, 'post', '/v1/events', [{}, doc], base.MONITOR)
        self.assertEqual([], self.events.accepted)

    def test_another_region_is_a_detail(self):
        self.assertEqual('two', self.sent({
            **SPECIFIED, 'details': {'region': 'two'}})[0].traits[
                fault.REGION])

    def test_what_a_monitor_of_ours_reports(self):
        for status, kind in ((fault.DOWN, fault.HOST_DOWN),
                             (fault.UP, fault.HOST_UP)):
            found = monitors.host_finding('h1', status, 'ping')
            event, = self.sent(found.body('m'))
            self.assertEqual(kind, event.event_type)
            self.assertEqual(status, event.traits[fault.STATUS])
            self.assertEqual('ping', event.traits[fault.CAUSE])
            self.assertEqual(('h1', 'm', found.time), (
                event.resource_id, event.publisher_id, event.generated))
            # It may be told again, in a bulk or alone.
            again = self.sent({'events': [found.body('m')] * 2})
            self.assertEqual({event.message_id},
                             {one.message_id for one in again})

    @fuzzing.settings
    @hypothesis.given(st.sampled_from(sorted(WRAPPERS)),
                      st.lists(GOOD, min_size=1, max_size=3))
    def test_what_is_sent_is_what_is_seen(self, name, docs):
        wrap = WRAPPERS[name]
        if name in ('wrapped', 'bare'):
            docs = docs[:1]
        bodies = [wrap(doc) for doc in docs]
        body = bodies[0]
        if isinstance(body, list):
            body = [item for one in bodies for item in one]
        elif 'events' in body:
            body = {'events': [
                item for one in bodies for item in one['events']]}

        found = self.sent(body)

        self.assertEqual(len(docs), len(found))
        for doc, event in zip(docs, found, strict=True):
            self.assertEqual(doc['type'], event.event_type)
            self.assertEqual(
                datetime.datetime.fromisoformat(doc['time']),
                event.generated.replace(tzinfo=None))
            for detail in doc.get('details', {}):
                self.assertIn(detail, event.traits)
            # The evaluator reads what was sent.
            wire = json.dumps(event.to_wire())
            again = event_mod.Event.from_wire(
                json.loads(wire), clean=True,
                received=datetime.datetime.now(datetime.UTC))
            self.assertEqual(wire, json.dumps(again.to_wire()))

    @fuzzing.settings
    @hypothesis.given(
        st.sampled_from(sorted(WRAPPERS)), fuzzing.docs(
            st.sampled_from(('time', 'type', 'details', 'id', 'hostname',
                             'event', 'events')) | fuzzing.TEXTS))
    def test_whatever_is_wrapped_has_an_answer(self, name, doc):
        for wrapped in (WRAPPERS[name](doc), [SPECIFIED, doc]):
            answer = self.app.post_json(
                '/v1/events', wrapped, headers=base.MONITOR,
                expect_errors=True)
            self.assertIn(answer.status_int, (202, 400, 413), wrapped)


class RepetitionsTest(base.ApiTestCase):

    def ids(self, doc, who=base.MONITOR):
        return self.call('post', '/v1/events', doc, who, 202)['message_ids']

    def test_the_same_again_has_the_same_id(self):
        first = self.ids(SPECIFIED)

        self.assertEqual(first, self.ids({'event': SPECIFIED}))
        self.assertEqual(first * 2, self.ids([SPECIFIED, SPECIFIED]))
        for time in (WHEN + 'Z', WHEN + '.000', '2026-11-20T10:00:00+02:00'):
            self.assertEqual(first, self.ids({**SPECIFIED, 'time': time}))
        # Numbers are ids, too.
        details = {**SPECIFIED['details'], 'monitor_event_id': 123}
        self.assertEqual(first, self.ids({**SPECIFIED, 'details': details}))
        details = {**SPECIFIED['details'], 'cause': 'another'}
        self.assertEqual(first, self.ids({**SPECIFIED, 'details': details}))

    def test_anything_else_of_the_key_is_news(self):
        first = self.ids(SPECIFIED)
        for change in ({'type': 'other'}, {'time': WHEN + '.000001'}):
            self.assertNotEqual(first, self.ids({**SPECIFIED, **change}))
        for name in fault.IDENTITY:
            details = {**SPECIFIED['details'], name: 'other'}
            self.assertNotEqual(
                first, self.ids({**SPECIFIED, 'details': details}))

    def test_without_the_whole_key_all_is_news(self):
        for name in fault.IDENTITY:
            for value in (None, ''):
                doc = {**SPECIFIED,
                       'details': {**SPECIFIED['details'], name: value}}
                self.assertEqual(2, len(set(self.ids([doc, doc]))), name)
        self.assertEqual(2, len(set(self.ids([SAMPLE_MONITOR] * 2))))

    def test_nobody_takes_the_id_of_what_another_will_say(self):
        ids = [self.ids(SPECIFIED, who)[0] for who in (
            base.MONITOR, base.ALICE, base.BOB, base.ADMIN)]
        # a member of the same project as the monitor
        ids += self.ids(SPECIFIED, {**base.MONITOR, 'X-Roles': 'member'})
        ids += self.ids({**SPECIFIED, 'details': {
            **SPECIFIED['details'], 'project_id': 'p1'}})

        self.assertEqual(6, len(set(ids)))


class ZoneTest(base.ApiTestCase):

    def prepare(self):
        self.conf.set_override('timezone', 'Europe/Berlin', group='event')

    def test_only_times_without_one_are_local(self):
        for time, hour in [('2026-11-20T10:00:00', 9),
                           ('2026-07-20T10:00:00', 8),
                           ('2026-11-20T10:00:00Z', 10),
                           ('2026-11-20T10:00:00-01:00', 11)]:
            self.call('post', '/v1/events', {'time': time, 'type': 'a'},
                      base.MONITOR, 202)
            self.assertEqual(hour, self.events.accepted[-1].generated.hour)

    def test_the_first_and_the_last_moment(self):
        for time in ('0001-01-01T00:00:00', '9999-12-31T23:59:59'):
            self.app.post_json('/v1/events', {'time': time, 'type': 'a'},
                               headers=base.MONITOR, status=[202, 400])

    def test_one_that_is_none(self):
        for name in ('Europe/Atlantis', '', '../etc', '/etc/passwd'):
            self.conf.set_override('timezone', name, group='event')
            self.assertIn('[event] timezone', str(self.assertRaises(
                exception.ConfigurationError, app.build_app, self.conf,
                self.db, self.events)))
