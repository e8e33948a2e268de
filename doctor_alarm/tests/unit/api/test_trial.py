# SPDX-License-Identifier: Apache-2.0

import copy

from doctor_alarm.tests.unit.api import base

RULE = {'event_type': 'compute.instance.*', 'query': [
    {'field': 'traits.state', 'op': 'eq', 'value': 'error'},
    {'field': 'traits.vcpus', 'op': 'gt', 'value': '2', 'type': 'integer'}],
    'clear': {'event_type': 'compute.instance.update', 'query': [
        {'field': 'traits.state', 'op': 'eq', 'value': 'active'}]}}
POSTED = {'type': 'compute.instance.update', 'time': '2026-11-20T10:00:00',
          'details': {'instance_id': 'vm1', 'state': 'error', 'vcpus': 4}}
CALLBACK = {
    'message_id': 'm1', 'event_type': 'compute.instance.update',
    'generated': '2026-11-20T10:00:00', 'traits': [
        ['state', 1, 'active'], ['launched_at', 4, '2026-11-20T09:00:00']]}


class TrialTest(base.ApiTestCase):

    def run_trial(self, event, rule=RULE, who=base.ALICE, **more):
        return self.call('post', '/v2/alarms/test', {
            'event_rule': rule, 'event': event, **more}, who, 200)

    def test_value_by_value(self):
        self.assertEqual({
            'verdict': 'raise', 'event_of_the_project': True,
            'in_time': True,
            'raise': {
                'holds': True, 'resource_id': None,
                'event_type': {'holds': True, 'value': 'compute.instance.*',
                               'found': 'compute.instance.update'},
                'query': [
                    {'holds': True, 'field': 'traits.state', 'op': 'eq',
                     'value': 'error', 'type': '', 'found': 'error',
                     'found_type': 'string'},
                    {'holds': True, 'field': 'traits.vcpus', 'op': 'gt',
                     'value': '2', 'type': 'integer', 'found': 4,
                     'found_type': 'integer'}]},
            'clear': {
                'holds': False, 'resource_id': None,
                'event_type': {
                    'holds': True, 'value': 'compute.instance.update',
                    'found': 'compute.instance.update'},
                'query': [
                    {'holds': False, 'field': 'traits.state', 'op': 'eq',
                     'value': 'active', 'type': '', 'found': 'error',
                     'found_type': 'string'}]},
            'start': None,
        }, self.run_trial(POSTED))

    def test_a_rule_with_a_time_out(self):
        rule = {'event_type': 'compute.instance.update', 'query': [
            {'field': 'traits.state', 'value': 'error'}], 'timeout': 60}
        start = {**rule, 'event_type': 'x', 'after': {'event_type': 'c*'}}
        both = {**rule, 'after': {'event_type': 'c*'}}

        for given, verdict in (
                (rule, 'restart'), (start, 'start'), (both, 'restart'),
                ({**start, 'after': {'event_type': 'y'}}, None),
                ({**rule, 'after': {'event_type': 'y'}}, 'clear')):
            found = self.run_trial(POSTED, given)
            self.assertEqual(verdict, found['verdict'])
            self.assertIsNone(found['raise'])
        self.assertFalse(found['start']['holds'])
        self.assertTrue(found['clear']['holds'])

    def test_an_event_as_receivers_get_it(self):
        found = self.run_trial(CALLBACK)

        self.assertEqual('clear', found['verdict'])
        self.assertEqual(
            {'holds': False, 'field': 'traits.vcpus', 'op': 'gt',
             'value': '2', 'type': 'integer', 'found': None,
             'found_type': None}, found['raise']['query'][1])

    def test_the_resource_of_the_alarm(self):
        for resource_id, verdict in (('vm1', 'raise'), ('vm2', None)):
            found = self.run_trial(POSTED, resource_id=resource_id)

            self.assertEqual(verdict, found['verdict'])
            self.assertEqual(
                {'holds': verdict is not None, 'value': resource_id,
                 'found': ['vm1']}, found['raise']['resource_id'])

    def test_times(self):
        rule = {'query': [{'field': 'traits.launched_at', 'op': 'lt',
                           'value': '2026-11-20T10:00:00',
                           'type': 'datetime'}]}

        item, = self.run_trial(CALLBACK, rule)['raise']['query']

        self.assertEqual((True, '2026-11-20T09:00:00', 'datetime'), (
            item['holds'], item['found'], item['found_type']))

    def test_outside_its_time_nothing_raises_but_a_clear_counts(self):
        night = [{'name': 'night', 'start': '0 22 * * *', 'duration': 60}]
        for event, verdict in ((POSTED, None), (CALLBACK, 'clear')):
            found = self.run_trial(event, time_constraints=night)

            self.assertEqual((False, verdict), (
                found['in_time'], found['verdict']))

    def test_an_event_of_another_project(self):
        foreign = copy.deepcopy(POSTED)
        foreign['details']['project_id'] = 'p2'

        found = self.run_trial(foreign)

        self.assertIsNone(found['verdict'])
        self.assertFalse(found['event_of_the_project'])
        self.assertTrue(found['raise']['holds'])

    def test_nothing_is_stored(self):
        self.run_trial(POSTED, who=base.READER)

        self.assertEqual([], self.call('get', '/v2/alarms'))
        self.assertEqual([], self.events.accepted)

    def test_what_is_wrong_has_a_sentence(self):
        for doc, words in (
                ([], 'data'), ({}, 'event_rule. Value'),
                ({'event_rule': RULE}, 'event. Value'),
                ({'event_rule': {'foo': 1}, 'event': POSTED},
                 'event_rule.foo'),
                ({'event_rule': RULE, 'event': {}}, 'event.type'),
                ({'event_rule': RULE, 'event': {
                    'event_type': 'x', 'traits': 7}}, 'event: '),
                ({'event_rule': RULE, 'event': POSTED,
                  'time_constraints': [{'name': 'x'}]}, 'start')):
            self.assertIn(
                words, self.fault(400, 'post', '/v2/alarms/test', doc))

    def test_a_rule_that_could_not_be_created(self):
        doc = {'event_rule': {**RULE, 'scope': 'cloud'}, 'event': POSTED}

        self.fault(403, 'post', '/v2/alarms/test', doc)
        self.assertTrue(self.call(
            'post', '/v2/alarms/test', doc, base.ADMIN, 200)['raise'])

    def test_it_is_for_readers(self):
        self.fault(403, 'post', '/v2/alarms/test', {}, base.NO_ROLE)
