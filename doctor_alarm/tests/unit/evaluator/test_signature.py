# SPDX-License-Identifier: Apache-2.0
"""Events on Ceilometer's topic that somebody else wrote."""

import copy
import types

import fixtures

from doctor_alarm.agent.publishers import notifier
from doctor_alarm.evaluator import service
from doctor_alarm import signature
from doctor_alarm.tests import base
from doctor_alarm.tests import outbox
from doctor_alarm.tests import storage

SECRET = 'the secret of Ceilometer'
KNOWN = {
    'message_id': 'm', 'event_type': 'a', 'generated': '2026-11-20T09:14:41',
    'traits': [['name', 1, 'err\xe9'], ['size', 2, 3], ['load', 3, 0.5]],
    'raw': {'b': {'c': None}, 'a': [True, {'z': 1, 'd': 'x'}]}}


class Committer:
    """Keeps what is put aside."""

    def __init__(self):
        self.letters = []

    def put_aside(self, message_id, reason, payload, source):
        self.letters.append((message_id, reason, source))


class SignatureTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(storage.Storage()).conf
        self.conf.set_override('telemetry_secret', SECRET, group='publisher')
        self.service = service.EvaluatorService(self.conf)
        self.logger = self.useFixture(fixtures.FakeLogger(
            'doctor_alarm.evaluator.service', level=30))

    def decode(self, *docs, ours=False):
        committer = Committer()
        found = self.service._decode(committer, service._Taken(
            types.SimpleNamespace(
                message={'message_id': 'outer', 'payload': list(docs)},
                ctxt={}), ours))
        return [event.message_id for event in found], committer.letters

    def signed(self, secret=SECRET):
        return notifier.to_ceilometer(outbox.an_event(), secret)

    def test_what_the_agent_signs_is_taken(self):
        doc = self.signed()

        self.assertEqual(([doc['message_id']], []), self.decode(doc))

    def test_what_is_not_signed_is_put_aside(self):
        good = self.signed()
        wrong = [self.signed('another'), self.signed(''), self.signed(),
                 self.signed(), self.signed(), self.signed()]
        wrong[2]['traits'].append(['project_id', 1, 'p2'])
        wrong[3]['project_id'] = 'p2'
        del wrong[4]['message_signature']
        wrong[5]['message_signature'] = ['\ud800']

        found, letters = self.decode(*wrong[:3], good, *wrong[3:])

        self.assertEqual([good['message_id']], found)
        self.assertEqual([
            (doc['message_id'], 'Its message_signature is not made with '
             '[publisher] telemetry_secret.', 'alarm.all.sample')
            for doc in wrong], letters)
        # A wrong secret must not flood the log.
        self.assertEqual(1, self.logger.output.count('put aside'))
        self.assertNotIn(SECRET, self.logger.output)

    def test_what_is_no_event(self):
        for doc in (None, 'x', 7, [], {}, {'message_signature': '\xe9'}):
            found, letters = self.decode(doc)
            self.assertEqual(([], 1), (found, len(letters)))

    def test_our_own_hop_needs_none(self):
        doc = outbox.an_event().to_wire()

        self.assertEqual(([doc['message_id']], []),
                         self.decode(doc, ours=True))

    def test_without_a_secret_nothing_is_verified(self):
        self.conf.clear_override('telemetry_secret', group='publisher')
        for doc in (self.signed('another'), self.signed('')):
            self.assertEqual(([doc['message_id']], []), self.decode(doc))

    def test_every_part_is_signed(self):
        doc = {**KNOWN, 'message_signature': signature.of(KNOWN, 's')}
        self.assertTrue(signature.is_valid(doc, 's'))

        for change in (
                lambda d: d.update(extra=''),
                lambda d: d.pop('raw'),
                lambda d: d['raw']['b'].update(c=0),
                lambda d: d['raw']['a'][1].update(d='y'),
                lambda d: d['traits'].reverse(),
                lambda d: d['traits'][1].__setitem__(2, '3'),
                lambda d: d.update(generated='2026-11-20T09:14:42')):
            changed = copy.deepcopy(doc)
            change(changed)
            self.assertFalse(signature.is_valid(changed, 's'))
