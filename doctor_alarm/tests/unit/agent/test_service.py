# SPDX-License-Identifier: Apache-2.0

import pathlib
from unittest import mock

import fixtures

from doctor_alarm.agent import service
from doctor_alarm.cmd import agent as command
from doctor_alarm import exception
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.agent import configuration

PIPELINE = '''\
sources:
  - {name: all, events: ["*"], sinks: [alarms, aodh, mixed]}
sinks:
  - {name: alarms, publishers: ["alarm://"]}
  - {name: aodh, publishers: ["notifier://?topic=alarm.all"]}
  - {name: mixed, publishers: ["alarm://", "notifier://", "notifier://a"]}
'''


class TestRoutes(base.TestCase):

    def routes(self, text=PIPELINE, **overrides):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'p'
        path.write_text(text)
        agent = service.AgentService(configuration.prepare(
            event_pipeline_cfg_file=str(path), **overrides), mock.Mock())
        return [(route.queue, [(output.name, len(output.publishers))
                               for output in route.outputs])
                for route in agent._routes]

    def test_alarms_share_a_queue_and_others_have_their_own(self):
        self.assertEqual([
            ('', [('alarms', 1), ('mixed', 1)]),
            ('doctor_alarm-aodh', [('aodh', 1)]),
            ('doctor_alarm-mixed', [('mixed', 2)])], self.routes())

    def test_pools(self):
        self.assertEqual(
            ['mine', 'mine-aodh', 'mine-mixed'],
            [queue for queue, _outputs in self.routes(agent__pool='mine')])
        self.assertEqual(
            ['', 'doctor_alarm-aodh', 'doctor_alarm-mixed'],
            [queue for queue, _outputs in self.routes(agent__pool='')])

    def test_without_alarms(self):
        self.assertEqual([('doctor_alarm-aodh', [('aodh', 1)])], self.routes(
            PIPELINE.replace('[alarms, aodh, mixed]', '[aodh]')))

    def test_a_bad_pipeline(self):
        error = self.assertRaises(
            exception.ConfigurationError, self.routes,
            PIPELINE.replace('notifier://?topic', 'notifier://?tpoic'))
        self.assertIn('/p:5: unknown option tpoic', str(error))


class TestCommand(base.TestCase):

    def run_command(self, **files):
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, text in files.items():
            (directory / name.replace('__', '.')).write_text(text)
        (directory / 'x.conf').write_text(
            '[DEFAULT]\ntransport_url = rabbit://127.0.0.1:1/\n')
        stderr = self.useFixture(fixtures.StringStream('stderr')).stream
        self.useFixture(fixtures.MonkeyPatch('sys.stderr', stderr))
        self.useFixture(fixtures.MonkeyPatch('sys.argv', [
            'doctor-alarm-agent', '--config-file',
            str(directory / 'x.conf')]))
        status = command.main()
        stderr.seek(0)
        return status, stderr.read().replace(str(directory), 'DIR')

    def test_bad_files_end_it_with_one_clear_line(self):
        for name, text, line in (
                ('event_definitions__yaml', '- event_type: a\n',
                 'ERROR: DIR/event_definitions.yaml:1: traits is required\n'),
                ('event_pipeline__yaml', 'sources: {}\n',
                 'ERROR: DIR/event_pipeline.yaml:1: sinks must be a list '
                 'that is not empty\n')):
            status, output = self.run_command(**{name: text})
            self.assertEqual(1, status)
            self.assertEqual(line, output.splitlines(keepends=True)[-1])
