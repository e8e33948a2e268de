# SPDX-License-Identifier: Apache-2.0
"""Every command of Aodh's clients, as it is, against a running service."""

import json

from doctor_alarm.tests.functional.api import commands
from doctor_alarm.tests.functional import test_standalone

#: Subcommands of ``openstack`` that the alarm client installs; each has to
#: appear below.
OPENSTACK_COMMANDS = {
    'alarm create', 'alarm delete', 'alarm list', 'alarm metrics',
    'alarm quota set', 'alarm quota show', 'alarm show', 'alarm state get',
    'alarm state set', 'alarm update', 'alarm-history search',
    'alarm-history show', 'alarming capabilities list'}


class CommandTestCase(test_standalone.StandaloneTest):

    def setUp(self):
        super().setUp()
        self.given_running()
        self.client = self.useFixture(commands.Client(self.command))
        self.used = set()

    def run_client(self, *arguments, status=0):
        found, output, errors = self.client.run(
            *self.credentials(), *arguments)
        self.assertEqual(status, found, errors)
        return output or errors

    def ask(self, command, *arguments):
        """Run a command; return what it shows."""
        self.used.add(command)
        shown = self.run_client(
            *command.split(), *arguments, '-f', 'json')
        return json.loads(shown) if shown.strip() else None

    def do(self, command, *arguments):
        """Run a command that shows nothing."""
        self.used.add(command)
        self.run_client(*command.split(), *arguments)

    def refused(self, command, *arguments):
        """Run a command that fails; return what it says."""
        return self.run_client(*command.split(), *arguments, status=1)


class OpenStackTest(CommandTestCase):
    """``openstack --os-auth-type none --os-endpoint URL alarm ...``"""

    command = 'openstack'

    def credentials(self):
        return ('--os-auth-type', 'none', '--os-endpoint', self.service.url)

    def names(self, *arguments):
        return [alarm['name'] for alarm in self.ask('alarm list', *arguments)]

    def create(self, name, *arguments):
        return self.ask(
            'alarm create', '--type', 'event', '--name', name,
            '--event-type', 'compute.instance.*', *arguments)

    def test_every_command(self):
        first = self.create(
            'vm1 down', '--query', 'traits.instance_id=string::vm1',
            '--alarm-action', 'http://127.0.0.1:9/', '--severity', 'critical',
            '--time-constraint',
            "name=always;start='0 0 * * *';duration=86400",
            '--description', 'mine', '--repeat-actions', 'True',
            '--project-id', 'p1', '--user-id', 'u')
        self.assertEqual(
            ('vm1 down', 'critical', 'traits.instance_id = vm1', 'p1'),
            tuple(first[name] for name in (
                'name', 'severity', 'query', 'project_id')))
        self.create('vm2 down', '--state', 'ok', '--enabled', 'False')
        self.create('vm3 down', '--ok-action', 'http://127.0.0.1:9/')
        self.the_list(first['alarm_id'])
        self.one_alarm(first['alarm_id'])
        self.the_history(first['alarm_id'])
        self.the_service(first['alarm_id'])
        self.do('alarm delete', 'vm2 down')
        self.do('alarm delete', first['alarm_id'])
        self.assertEqual(['vm3 down'], self.names())
        self.assertIn('not found', self.refused('alarm show', 'vm2 down'))
        self.assertEqual(OPENSTACK_COMMANDS, self.used)

    def the_list(self, first):
        self.assertEqual(['vm3 down', 'vm2 down', 'vm1 down'], self.names())
        self.assertEqual(['vm1 down'], self.names(
            '--filter', 'severity=critical'))
        self.assertEqual(['vm2 down'], self.names(
            '--filter', 'state=ok', '--filter', 'enabled=False'))
        self.assertEqual(['vm1 down'], self.names(
            '--filter', 'project_id=p1', '--filter', 'name=vm1 down'))
        self.assertEqual(['vm1 down', 'vm2 down'], self.names(
            '--sort', 'severity:desc', '--sort', 'name:asc', '--limit', '2'))
        self.assertEqual(['vm2 down', 'vm3 down'], self.names(
            '--sort', 'name:asc', '--marker', first))
        self.assertEqual(['vm1 down'], self.names(
            '--query', 'name="vm1 down" or state=alarm'))
        self.assertEqual(['vm3 down', 'vm2 down'], self.names(
            '--query', 'not severity=critical'))
        for arguments, words in [
                (('--filter', 'colour=red'), 'q.field must be one of'),
                (('--sort', 'name:up'), 'asc or desc'),
                (('--marker', 'nope'), 'Marker nope not found'),
                (('--limit', '-1'), 'limit must be'),
                (('--query', 'colour=red'), '"colour"')]:
            self.assertIn(words, self.refused('alarm list', *arguments))

    def one_alarm(self, first):
        for argument in (first, 'vm1 down'):
            self.assertEqual(first, self.ask(
                'alarm show', argument)['alarm_id'])
        updated = self.ask('alarm update', 'vm1 down', '--severity', 'low',
                           '--event-type', 'compute.*')
        self.assertEqual(('low', 'compute.*', 'mine', 'insufficient data'), (
            updated['severity'], updated['event_type'],
            updated['description'], updated['state']))
        self.assertEqual({'state': 'alarm'}, self.ask(
            'alarm state set', '--state', 'alarm', 'vm1 down'))
        self.assertEqual({'state': 'alarm'}, self.ask(
            'alarm state get', first))

    def the_history(self, first):
        shown = self.ask('alarm-history show', first)
        self.assertEqual(['state transition', 'rule change', 'creation'],
                         [record['type'] for record in shown])
        self.assertEqual(shown[1:2], self.ask(
            'alarm-history show', first, '--limit', '1', '--marker',
            shown[0]['event_id'], '--sort', 'timestamp:desc'))
        self.assertEqual(5, len(self.ask('alarm-history search')))
        self.assertEqual([first], [
            record['alarm_id'] for record in self.ask(
                'alarm-history search', '--query',
                'type="rule change" or type="state transition" and '
                'user_id=nobody')])

    def the_service(self, first):
        self.assertEqual({'alarms': -1}, self.ask('alarm quota show'))
        self.assertEqual({'alarms': 2}, self.ask(
            'alarm quota set', 'admin', '--alarm', '2'))
        self.assertEqual({'alarms': 2}, self.ask(
            'alarm quota show', '--project', 'admin'))
        self.assertIn('quota exceeded', self.refused(
            'alarm create', '--type', 'event', '--name', 'vm4 down'))
        self.assertTrue(self.ask('alarming capabilities list')['api'][
            'alarms:history:query:complex'])
        # An event of the project leads its alarm somewhere.
        self.do('alarm state set', '--state', 'ok', first)
        self.assertEqual(202, self.post(
            'vm1', 'error', '2036-01-01T00:00:00').status_code)
        self.wait_until(lambda: self.service.api(
            'GET', '/v2/alarms/%s/state' % first).json() == 'alarm', 60)
        self.assertEqual([], self.ask('alarm metrics'))

    def test_composites(self):
        rule = {'and': [{'type': 'event', 'event_type': kind, 'query': []}
                        for kind in ('a', 'b')]}
        created = self.ask(
            'alarm create', '--type', 'composite', '--name', 'both',
            '--composite-rule', json.dumps(rule),
            '--alarm-action', 'http://127.0.0.1:9/')
        self.assertEqual(rule, json.loads(created['composite_rule']))
        self.assertEqual([('composite', 'both')], [
            (row['type'], row['name']) for row in self.ask('alarm list')])
        rule['and'].append({
            'type': 'alarm', 'alarm_id': self.create('c')['alarm_id']})
        updated = self.ask('alarm update', 'both', '--composite-rule',
                           json.dumps(rule), '--severity', 'critical')
        self.assertEqual((rule, 'critical'), (
            json.loads(updated['composite_rule']), updated['severity']))
        shown = self.ask('alarm show', created['alarm_id'])
        self.assertEqual(updated, shown)
        disabled = self.ask('alarm update', 'both', '--enabled', 'False')
        self.assertEqual(rule, json.loads(disabled['composite_rule']))
        self.assertIn('belong to Aodh', self.refused(
            'alarm update', 'both', '--composite-rule',
            '{"or": [{"type": "gnocchi_resources_threshold"}]}'))
        self.do('alarm delete', 'both')
        self.assertEqual(['c'], self.names())

    def test_foreign_types_are_told_where_they_belong(self):
        error = self.refused(
            'alarm create', '--type', 'gnocchi_resources_threshold',
            '--name', 'cpu', '--metric', 'cpu', '--threshold', '1',
            '--aggregation-method', 'mean', '--resource-type', 'instance',
            '--resource-id', 'x')
        self.assertIn('Aodh', error)


class AodhTest(CommandTestCase):
    """``aodh``, as a member of a project."""

    command = 'aodh'

    def credentials(self):
        return ('--os-auth-type', 'aodh-noauth', '--aodh-endpoint',
                self.service.url, '--user-id', 'u', '--project-id', 'p1',
                '--roles', 'member')

    def test_life_of_an_alarm(self):
        created = self.ask('alarm create', '--type', 'event', '--name', 'a')
        self.assertEqual(('p1', 'u'), (
            created['project_id'], created['user_id']))
        self.assertEqual(['a'], [
            alarm['name'] for alarm in self.ask('alarm list')])
        self.assertEqual(1, len(self.ask('alarm-history search')))
        self.assertTrue(self.ask('capabilities list')['api'][
            'alarms:query:complex'])
        self.assertIn('Not Authorized to access project p2', self.refused(
            'alarm list', '--query', 'project_id=p2'))
        self.assertEqual(202, self.post(
            'vm1', 'error', '2036-01-01T00:00:00').status_code)
        self.wait_until(lambda: self.ask('alarm state get', 'a') == {
            'state': 'alarm'}, 60)
        self.assertEqual([1], [
            row['value'] for row in self.ask('alarm metrics')
            if 'state="{alarm}"' in row['labels']])
        self.do('alarm delete', 'a')
        self.assertEqual([], self.ask('alarm list'))
