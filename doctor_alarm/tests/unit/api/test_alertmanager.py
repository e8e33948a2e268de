# SPDX-License-Identifier: Apache-2.0
"""Alerts of Prometheus Alertmanager, as version 0.25 sent them."""

import copy
import datetime
import json
import os
import pathlib
import textwrap

import fixtures
import hypothesis
from hypothesis import strategies as st

from doctor_alarm.api import alertmanager
from doctor_alarm import document
from doctor_alarm import exception
from doctor_alarm import fault
from doctor_alarm.tests import base as tests_base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.api import base

DATA = pathlib.Path(__file__).parents[2] / 'data' / 'alertmanager'
PATH = '/v1/events/alertmanager'
BEGAN = datetime.datetime(2026, 11, 20, 16, 53, 5, 900871, datetime.UTC)
ENDED = datetime.datetime(2026, 11, 20, 16, 53, 8, 919918, datetime.UTC)


def captured(name):
    """Return a body: two hosts are down, then the first one is up."""
    return json.loads((DATA / ('%s.json' % name)).read_text())


class Posting(base.ApiTestCase):

    def sent(self, doc, who=base.MONITOR):
        self.events.accepted.clear()
        self.call('post', PATH, doc, who, 202)
        self.assertEqual([event.message_id for event in self.events.accepted],
                         self.answer.json['message_ids'])
        return list(self.events.accepted)

    def alert(self, status='firing', **labels):
        doc = captured('firing')
        doc['alerts'] = doc['alerts'][:1]
        doc['alerts'][0].update(
            status=status, labels={'alertname': 'Other', **labels})
        return self.sent(doc)[0]


class CapturedTest(Posting):

    def prepare(self):
        # What was captured stays in time.
        self.conf.set_override('max_event_age', 10 ** 9, group='evaluator')

    def test_hosts_that_are_down(self):
        events = self.sent(captured('firing'))

        self.assertEqual([fault.HOST_DOWN] * 2,
                         [event.event_type for event in events])
        self.assertEqual(['compute-1', 'compute-2'],
                         [event.resource_id for event in events])
        event = events[0]
        self.assertEqual('alertmanager', event.publisher_id)
        self.assertEqual(BEGAN, event.generated)
        self.assertTrue(event.trusted)
        self.assertEqual({
            'hostname': 'compute-1', 'host': 'compute-1', 'status': 'down',
            'severity': 'critical', 'cause': 'compute-1 does not answer',
            'source': 'alertmanager', 'monitor_id': 'alertmanager',
            'monitor_event_id': '56164d62fd011bb7',
            'starts_at': '2026-11-20T16:53:05.900871369Z',
            'labels.alertname': 'HostDown', 'labels.job': 'node',
            'labels.instance': 'compute-1:9100',
            'labels.severity': 'critical',
            'annotations.summary': 'compute-1 does not answer',
            'project_id': 'service'}, dict(event.traits))

    def test_one_of_them_is_up_again(self):
        down = self.sent(captured('firing'))

        up, still_down = self.sent(captured('resolved'))

        self.assertEqual(
            (fault.HOST_UP, 'up', 'compute-1', ENDED),
            (up.event_type, up.traits['status'], up.resource_id,
             up.generated))
        self.assertEqual('2026-11-20T16:53:08.919918702Z',
                         up.traits['ends_at'])
        # It tells of the other one again: that is no news.
        self.assertEqual(down[1].message_id, still_down.message_id)
        self.assertNotIn(up.message_id, [e.message_id for e in down])
        self.assertEqual(up.publisher_id, down[0].publisher_id)

    def test_another_of_several_alertmanagers(self):
        first = self.sent(captured('firing'))
        doc = captured('firing')
        doc['externalURL'], doc['groupKey'] = 'http://other:9093', 'x'

        self.assertEqual([event.message_id for event in first],
                         [event.message_id for event in self.sent(doc)])

    def test_the_next_time(self):
        first = self.sent(captured('firing'))[0]
        doc = captured('firing')
        doc['alerts'][0]['startsAt'] = '2026-11-20T17:00:00Z'

        self.assertNotEqual(first.message_id, self.sent(doc)[0].message_id)

    def test_without_what_others_leave_out(self):
        doc = captured('resolved')
        for name in ('endsAt', 'generatorURL', 'fingerprint', 'annotations'):
            del doc['alerts'][0][name]
        alone = {'alerts': doc['alerts'][:1]}
        before = datetime.datetime.now(datetime.UTC)

        event = self.sent(alone)[0]

        # Nobody says when it ended.
        self.assertGreaterEqual(event.generated, before)
        self.assertNotIn('monitor_event_id', event.traits)
        self.assertEqual(event.message_id, self.sent(alone)[0].message_id)
        alone['alerts'][0]['labels']['instance'] = 'other'
        self.assertNotEqual(event.message_id,
                            self.sent(alone)[0].message_id)


class DefaultRulesTest(Posting):

    def test_one_that_has_been_firing_for_long(self):
        doc = captured('firing')
        doc['alerts'][0]['startsAt'] = '2020-01-01T00:00:00Z'
        event = self.sent(doc)[0]

        now = datetime.datetime.now(datetime.UTC)
        self.assertGreater(event.generated, now - datetime.timedelta(
            seconds=self.conf.evaluator.max_event_age))
        self.assertLess(event.generated, now - datetime.timedelta(days=1))
        self.assertEqual('2020-01-01T00:00:00Z', event.traits['starts_at'])

    def test_any_other_alert(self):
        event = self.alert(instance='db-1', job='mysql')

        self.assertEqual(('prometheus.Other', 'firing'),
                         (event.event_type, event.traits['status']))
        event = self.alert('resolved', instance='db-1', job='mysql')
        self.assertEqual(('prometheus.Other', 'resolved'),
                         (event.event_type, event.traits['status']))

    def test_an_exporter_that_is_down_is_no_host_that_is_down(self):
        self.assertEqual('prometheus.InstanceDown', self.alert(
            alertname='InstanceDown', instance='compute-1:9100').event_type)

    def test_an_alert_that_says_which_event_it_is(self):
        labels = {'event_type': 'compute.host.nic.error',
                  'event_type_resolved': 'compute.host.nic.ok'}
        self.assertEqual('compute.host.nic.error',
                         self.alert(**labels).event_type)
        self.assertEqual('compute.host.nic.ok',
                         self.alert('resolved', **labels).event_type)

    def test_host_and_server(self):
        for labels, expected in [
                ({'instance': 'c1:9100'}, 'c1'), ({'instance': 'c1'}, 'c1'),
                ({'instance': '192.0.2.7:9100'}, '192.0.2.7'),
                ({'instance': '[2001:db8::7]:9100'}, '2001:db8::7'),
                ({'instance': 'x:1', 'nodename': 'c2'}, 'c2'),
                ({'instance': '', 'node': 'c3'}, 'c3')]:
            self.assertEqual(
                expected, self.alert(**labels).traits['hostname'], labels)
        self.assertNotIn('hostname', self.alert().traits)
        self.assertEqual('vm1', self.alert(
            instance='c1', instance_id='vm1').resource_id)

    def test_owner(self):
        self.assertEqual('p2', self.alert(project_id='p2').project_id)
        doc = captured('firing')
        doc['alerts'][0]['labels']['project_id'] = 'p2'
        self.fault(403, 'post', PATH, doc)
        doc['alerts'][0]['labels']['project_id'] = 'p1'
        self.assertFalse(self.sent(doc, base.ALICE)[0].trusted)


class MalformedTest(Posting):

    def test_what_is_wrong_has_its_place(self):
        for change, words in [
                ({'status': 'pending'}, 'alerts[1].status'),
                ({'labels': {}}, 'alerts[1].labels'),
                ({'labels': {'a': 1}}, 'alerts[1].labels.a'),
                ({'labels': None}, 'alerts[1].labels'),
                ({'annotations': []}, 'alerts[1].annotations'),
                ({'startsAt': 'today'}, 'alerts[1].startsAt'),
                ({'startsAt': None}, 'alerts[1].startsAt'),
                ({'endsAt': 'never'}, 'alerts[1].endsAt'),
                ({'fingerprint': 7}, 'alerts[1].fingerprint'),
                ({'labels': {'project_id': 'x' * 129}},
                 'alerts[1].details.project_id')]:
            doc = captured('firing')
            doc['alerts'][1].update(change)
            sentence = self.fault(400, 'post', PATH, doc, base.MONITOR)
            self.assertIn(words, sentence)
            self.assertNotIn('alerts[0]', sentence)
        self.assertEqual([], self.events.accepted)

    def test_bodies_that_are_none(self):
        for doc, words in [
                ([], 'an object'), ({}, 'alerts'), ({'alerts': []}, 'empty'),
                ({'alerts': {}}, 'a list'), ({'alerts': [7]}, 'alerts[0]'),
                ({'event': {}}, 'alerts')]:
            self.assertIn(words, self.fault(
                400, 'post', PATH, doc, base.MONITOR))

    def test_huge(self):
        doc = captured('firing')
        doc['alerts'][1]['annotations']['description'] = 'x' * 70000
        self.assertIn('alerts[1]: ', self.fault(
            413, 'post', PATH, doc, base.MONITOR))
        self.assertEqual([], self.events.accepted)

    def test_only_post(self):
        self.fault(405, 'put', PATH, captured('firing'), base.MONITOR)

    @fuzzing.settings
    @hypothesis.given(st.data())
    def test_whatever_comes_has_an_answer(self, data):
        names = st.sampled_from((
            'alerts', 'status', 'labels', 'annotations', 'startsAt',
            'endsAt', 'fingerprint', 'alertname', 'instance')) | fuzzing.TEXTS
        anything = fuzzing.docs(names)
        doc = copy.deepcopy(captured('resolved'))
        alert = doc['alerts'][0]
        for name in data.draw(st.lists(
                st.sampled_from(sorted(alert)), max_size=3)):
            alert[name] = data.draw(anything)
        alert['labels'] = data.draw(st.just(alert['labels']) | (
            st.dictionaries(names, fuzzing.TEXTS)))
        for body in (doc, data.draw(anything)):
            answer = self.app.post_json(
                PATH, body, headers=base.MONITOR, expect_errors=True)
            self.assertIn(answer.status_int, (202, 400, 413), body)


class RulesTest(Posting):
    """Rules of the operator."""

    def prepare(self):
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'rules.yaml')
        self.conf.set_override(
            'alertmanager_cfg_file', self.path, group='event')
        self.write('''
            - match:
                alertname: ['Node*', 'Host?']
                job: node
              firing: {type: compute.host.down, status: down}
              resolved: {type: compute.host.up}
              details:
                hostname: labels.rack
                severity: {value: critical}
                where: externalURL
                cause: [annotations.none, annotations.summary]
                short:
                  fields: [labels.alertname, labels.job]
                  pattern: '[a-z]+'
            - match: {vm: '?*'}
              firing: {type: 'vm.{vm}.{missing}'}
            ''')

    def write(self, text):
        with open(self.path, 'w') as rules:
            rules.write(textwrap.dedent(text))

    def labels(self, status='firing', **labels):
        doc = captured('firing')
        doc['alerts'][0].update(status=status, labels=labels)
        return self.sent({**doc, 'alerts': doc['alerts'][:1]})

    def test_the_first_that_fits(self):
        event, = self.labels(alertname='Node7', job='node', rack='r1')
        self.assertEqual(fault.HOST_DOWN, event.event_type)
        self.assertLessEqual({
            'hostname': 'r1', 'severity': 'critical', 'status': 'down',
            'where': 'http://alertmanager.example:9093', 'short': 'node',
            'cause': 'compute-1 does not answer'}.items(),
            event.traits.items())
        event, = self.labels('resolved', alertname='HostX', job='node')
        self.assertEqual((fault.HOST_UP, 'resolved'),
                         (event.event_type, event.traits['status']))

    def test_names_in_a_type(self):
        event, = self.labels(vm='a')
        self.assertEqual(('vm.a.unknown', 'firing'),
                         (event.event_type, event.traits['status']))
        event, = self.labels('resolved', vm='a' * 300)
        self.assertEqual((255, 'resolved'), (
            len(event.event_type), event.traits['status']))

    def test_what_no_rule_fits_is_left_out(self):
        self.assertEqual([], self.labels(alertname='Node7', job='other'))
        doc = captured('firing')
        doc['alerts'][0]['labels'] = {'vm': 'a'}
        self.assertEqual(1, len(self.sent(doc)))

    def test_read_again(self):
        self.write("[{match: {}, firing: {type: new}}]")
        self.conf.mutate_config_files()
        self.assertEqual('new', self.labels(x='y')[0].event_type)

    def test_a_mistake_changes_nothing(self):
        log = self.useFixture(fixtures.FakeLogger())
        for text in ('nonsense', None):
            if text:
                self.write(text)
            else:
                os.unlink(self.path)
            self.conf.mutate_config_files()
            self.assertEqual('vm.a.unknown', self.labels(vm='a')[0].event_type)
        self.assertIn('stay as they were: %s:1: a list of rules' % self.path,
                      log.output)
        self.assertIn('file not found', log.output)


class FileTest(tests_base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'rules.yaml')

    def refused(self, line, words, text):
        with open(self.path, 'w') as rules:
            rules.write(textwrap.dedent(text).lstrip())
        error = str(self.assertRaises(
            exception.ConfigurationError, alertmanager.read, self.path))
        self.assertTrue(
            error.startswith('%s:%d: ' % (self.path, line)), error)
        self.assertIn(words, error)
        self.assertNotIn('\n', error)

    def test_mistakes(self):
        self.refused(1, 'a list of rules', 'a: b')
        self.refused(1, 'a rule has match', '- 7')
        self.refused(1, 'match must be a mapping', '- firing: {type: a}')
        self.refused(1, 'firing must be a mapping', '- match: {}')
        self.refused(2, 'type is required', '''
            - match: {}
              firing: {status: a}''')
        self.refused(2, "unknown key 'typ'", '''
            - match: {}
              firing: {typ: a}''')
        self.refused(3, "unknown key 'detail'", '''
            - match: {}
              firing: {type: a}
              detail: {}''')
        self.refused(2, 'alertname must be', '''
            - match:
                alertname: 7
              firing: {type: a}''')
        for line, words, detail in [
                (4, 'label.a is not labels.<name>', 'a: label.a'),
                (4, 'labels is not', 'a: labels'),
                (4, 'labels. is not', 'a: [labels.]'),
                (4, 'a must be a text or a list', 'a: 7'),
                (4, 'fields is required', 'a: {pattern: b}'),
                (4, "unknown key 'field'", 'a: {field: labels.b}'),
                (4, 'detail a: pattern: ',
                 'a: {fields: labels.b, pattern: "("}'),
                (4, 'detail a: value must be', 'a: {value: [1]}'),
                (4, 'value stands alone', 'a: {value: b, pattern: c}')]:
            self.refused(line, words, '''
                - match: {}
                  firing: {type: a}
                  details:
                    %s''' % detail)

    def test_the_packaged_ones(self):
        package = pathlib.Path(document.__file__).parent
        self.assertEqual(3, len(alertmanager.read(
            str(package / alertmanager.PACKAGED))))

    def test_the_sample_is_the_packaged_one(self):
        package = pathlib.Path(document.__file__).parent
        self.assertEqual(
            (package / alertmanager.PACKAGED).read_text(),
            (package.parent / 'etc' / 'doctor-alarm' / 'alertmanager.yaml'
             ).read_text())
