# SPDX-License-Identifier: Apache-2.0

import json

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.agent import normalise
from doctor_alarm import exception
from doctor_alarm import redact
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.agent import notifications

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.floats(allow_nan=False),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(
        st.text(max_size=10), children, max_size=4), max_leaves=20)


def nested(levels, kind=dict):
    value = 'deep'
    for _level in range(levels):
        value = {'a': value} if kind is dict else [value]
    return value


class TestFlattening(base.TestCase):

    def payload_of(self, payload):
        return normalise.normalise(
            notifications.message(payload=payload)).payload

    def test_a_captured_instance(self):
        message, ctxt = notifications.load(
            'captured-error-02-v-instance.update')
        found = normalise.normalise(message, ctxt)
        self.assertTrue(found.versioned)
        self.assertEqual(
            {'old_state': 'active', 'state': 'error', 'old_task_state': None,
             'new_task_state': None}, found.payload['state_update'])
        self.assertEqual(64, found.payload['flavor']['memory_mb'])
        self.assertNotIn('nova_object', json.dumps(found.body))
        self.assertEqual((), found.unknown_objects)

    def test_envelopes_in_lists(self):
        self.assertEqual(
            {'ip_addresses': [{'port_uuid': 'p1'}, {'port_uuid': 'p2'}]},
            self.payload_of(notifications.envelope({'ip_addresses': [
                notifications.envelope({'port_uuid': port}, 'IpPayload', '1.0')
                for port in ('p1', 'p2')]})))

    def test_other_services_have_envelopes_too(self):
        payload = {'masakari_object.name': 'NotificationPayload',
                   'masakari_object.version': '1.0',
                   'masakari_object.data': {'type': 'COMPUTE_HOST'}}
        self.assertEqual({'type': 'COMPUTE_HOST'}, self.payload_of(payload))

    def test_an_unversioned_payload_stays(self):
        message, ctxt = notifications.load(
            'captured-error-01-u-compute.instance.update')
        found = normalise.normalise(message, ctxt)
        self.assertFalse(found.versioned)
        self.assertEqual(message['payload'], found.payload)

    def test_an_envelope_inside_of_an_unversioned_payload(self):
        found = normalise.normalise(notifications.message(payload={
            'request_spec': notifications.envelope(
                {'project_id': 'p'}, 'RequestSpec', '1.14')}))
        self.assertFalse(found.versioned)
        self.assertEqual({'project_id': 'p'}, found.payload['request_spec'])

    def test_unknown_versions_are_taken_and_told(self):
        for name, version in (('InstanceUpdatePayload', '3.0'),
                              ('SurprisePayload', '1.0')):
            found = normalise.normalise(notifications.message(
                payload=notifications.envelope({'host': 'h'}, name, version)))
            self.assertEqual({'host': 'h'}, found.payload)
            self.assertEqual((name,), found.unknown_objects)

    def test_malformed_envelopes(self):
        for payload, reason in (
                ({'nova_object.name': 'X', 'nova_object.version': '1.0'},
                 'an object without nova_object.data'),
                (notifications.envelope([1]), 'not list'),
                (notifications.envelope(None), 'not null'),
                (notifications.envelope({}, name=7), 'must be texts'),
                (notifications.envelope({}, version=None), 'must be texts'),
                (notifications.envelope({'flavor': {
                    'nova_object.data': 'x'}}), 'must be an object, not str')):
            error = self.assertRaises(
                exception.InvalidEvent, self.payload_of, payload)
            self.assertIn(reason, str(error))


class TestSecrets(base.TestCase):

    def test_the_token_in_a_scheduler_notification(self):
        # given what nova's unversioned form says of a request
        token = 'f00dcafe' * 8
        message = notifications.message(
            'scheduler.select_destinations.start', {'request_spec': {
                'instance_properties': {'uuid': 'i1', 'user_data': 'IyEv'},
                'context': {'auth_token': token, 'user_id': 'u'},
                'deep': [{'x': [{'admin_password': 'pw'}]}]}})
        # when it is normalised
        found = normalise.normalise(message, {'auth_token': token})
        # then nothing of it is left
        text = repr(found)
        for secret in (token, 'IyEv', "'pw'"):
            self.assertNotIn(secret, text)
        self.assertEqual('i1', found.payload['request_spec'][
            'instance_properties']['uuid'])

    def test_secrets_that_are_not_there_stay_absent(self):
        found = normalise.normalise(notifications.message(
            payload={'user_data': None, 'password': ''}))
        self.assertEqual({'user_data': None, 'password': ''}, found.payload)

    def test_the_context_is_not_forwarded(self):
        found = normalise.normalise(notifications.message(), {
            'request_id': 'req-1', 'user_id': 'u1', 'auth_token': 'secret1',
            'project_id': 'p1', 'tenant': 'p1', 'service_catalog': ['c'],
            'user': {'not': 'a text'}})
        self.assertEqual({'request_id': 'req-1', 'user_id': 'u1'},
                         found.body['ctxt'])

    def test_the_id_of_a_trust(self):
        found = normalise.normalise(notifications.message(
            'identity.OS-TRUST:trust.created', {
                'resource_info': 'the-trust', 'target': {'id': 'the-trust'}}))
        self.assertNotIn('the-trust', repr(found))

    @fuzzing.settings
    @hypothesis.given(JSON, st.sampled_from(['auth_token', 'adminPass']))
    def test_a_secret_at_any_depth(self, filling, key):
        payload = {'filling': filling, 'l': [{'m': [{key: 'ThE-SeCrEt'}]}]}
        found = normalise.normalise(notifications.message(payload=payload))
        self.assertNotIn('ThE-SeCrEt', repr(found))


class TestMalformed(base.TestCase):

    def assertMalformed(self, reason, message):
        error = self.assertRaises(
            exception.InvalidEvent, normalise.normalise, message)
        self.assertIn(reason, str(error))

    def test_no_notification(self):
        for message in (None, [], 'text', 7):
            self.assertMalformed('a notification is an object', message)

    def test_payload(self):
        message = notifications.message()
        del message['payload']
        self.assertMalformed('payload is missing', message)
        for payload, name in ((None, 'null'), ([], 'list'), ('x', 'str'),
                              (7, 'int')):
            message['payload'] = payload
            self.assertMalformed('not %s' % name, message)

    def test_nesting(self):
        for kind in (dict, list):
            for levels in (normalise.MAX_DEPTH, 900, 100000):
                self.assertMalformed(
                    'nested deeper',
                    notifications.message(payload={'a': nested(levels, kind)}))
        normalise.normalise(notifications.message(
            payload=nested(normalise.MAX_DEPTH - 1)))

    def test_nested_envelopes(self):
        payload = {}
        for _level in range(100):
            payload = notifications.envelope(payload)
        self.assertMalformed('nested deeper',
                             notifications.message(payload=payload))

    def test_size(self):
        for payload in ({'text': 'x' * 10_000_000},
                        {'list': list(range(1_000_000))},
                        {str(number): number for number in range(100_000)},
                        {'x' * 1_000_000: 1}):
            self.assertMalformed('larger than',
                                 notifications.message(payload=payload))

    def test_binary(self):
        self.assertMalformed('binary', notifications.message(
            payload={'blob': b'\x00\xff'}))

    @fuzzing.settings
    @hypothesis.given(JSON)
    def test_any_payload_is_taken_or_refused(self, payload):
        try:
            found = normalise.normalise(notifications.message(payload=payload))
        except exception.InvalidEvent:
            return
        json.dumps(found.body).encode('utf-8')

    @fuzzing.settings
    @hypothesis.given(st.dictionaries(st.sampled_from([
        'message_id', 'event_type', 'publisher_id', 'priority', 'timestamp',
        'payload']), JSON))
    def test_any_message_is_taken_or_refused(self, message):
        try:
            normalise.normalise(message)
        except exception.InvalidEvent:
            json.dumps(normalise.redacted(message))


class TestRedacted(base.TestCase):

    def test_a_dead_letter_keeps_the_form_but_no_secret(self):
        message = notifications.message(
            payload=notifications.envelope({'adminPass': 'pw'}, version=7))
        kept = normalise.redacted(message)
        self.assertEqual(
            redact.MASK, kept['payload']['nova_object.data']['adminPass'])
        self.assertEqual(7, kept['payload']['nova_object.version'])

    def test_what_is_too_large_is_left_out(self):
        message = notifications.message(payload={'a': 'x' * 10_000_000})
        kept = normalise.redacted(message)
        self.assertEqual(message['message_id'], kept['message_id'])
        self.assertIn('left out', kept['payload'])

    def test_what_is_no_notification(self):
        self.assertEqual('text', normalise.redacted('text'))
        self.assertIn('left out', normalise.redacted(nested(1000, list)))
