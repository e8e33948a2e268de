# SPDX-License-Identifier: Apache-2.0
"""Monitors with a name and a password, as the documents connect them."""

import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import time

import fixtures
import requests
import yaml

import doctor_alarm
from doctor_alarm.api import alertmanager
from doctor_alarm import fault
from doctor_alarm import match
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.api import test_basic_auth
from doctor_alarm.tests.functional import shell
from doctor_alarm.tests.functional import test_standalone
from doctor_alarm.tests import receiver
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import test_alertmanager
from doctor_alarm.tests.unit.api import test_body_forms
from doctor_alarm.tests.unit import test_docs

DOCUMENTS = pathlib.Path(doctor_alarm.__file__).parents[1].joinpath(
    'doc', 'source')
PAGE = DOCUMENTS / 'southbound.rst'
GUIDE = DOCUMENTS / 'admin' / 'fault-management.rst'
RULE = {'event_type': fault.HOST_DOWN, 'scope': 'cloud',
        'clear': {'event_type': fault.HOST_UP}}
CONFIG = """
[api]
auth_mode = http_basic
http_basic_users = zabbix:service:monitor, root:admin:admin
[oslo_middleware]
http_basic_auth_user_file = %s
"""


class MonitorCase(base.TestCase):
    """A service, and an alarm that tells of every host."""

    DEFAULT_TIMEOUT = 600

    def setUp(self):
        super().setUp()
        users = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'htpasswd')
        users.write_text(test_basic_auth.line('zabbix', 'PASSWORD')
                         + test_basic_auth.line('root', 'r'))
        self.receiver = self.useFixture(receiver.Receiver())
        self.service = self.useFixture(test_standalone.Standalone(
            CONFIG % users))
        self.service.start()
        self.wait_until(lambda: self.service.up, 180)
        self.now = datetime.datetime.now(datetime.UTC).isoformat()
        self.ask('POST', '/v2/alarms', {
            'name': 'hosts', 'type': 'event', 'event_rule': RULE,
            'repeat_actions': True, 'alarm_actions': [self.receiver.url],
            'ok_actions': [self.receiver.url]}, ('root', 'r'), 201)

    def ask(self, method, path, doc, auth=('zabbix', 'PASSWORD'), status=202):
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method, self.service.url + path, json=doc, auth=auth,
                timeout=60)
        self.assertEqual(status, answer.status_code, answer.text)

    def told(self):
        """Return [(state, host)] of the calls, once all that comes is there.

        The last event is told last.
        """
        self.ask('POST', '/v1/events', {
            'time': self.now, 'type': fault.HOST_DOWN,
            'details': {'hostname': 'the last'}})
        self.wait_until(lambda: self.calls()[-1:] == [('alarm', 'the last')])
        return self.calls()[:-1]

    def calls(self):
        return [(body['current'], {
            name: value for name, _type, value
            in body['reason_data']['event']['traits']}['hostname'])
            for body in self.receiver.bodies]


class SouthboundTest(MonitorCase):

    def test_repetitions_are_told_once(self):
        known, unknown = (
            {**doc, 'time': self.now} for doc in (
                test_body_forms.SPECIFIED, test_body_forms.SAMPLE_MONITOR))
        for _time in range(3):
            for wrap in test_body_forms.WRAPPERS.values():
                self.ask('PUT', '/v1/events', wrap(known))
        # Those without ids are told each time.
        for _time in range(2):
            self.ask('PUT', '/events', [unknown])

        self.assertEqual([('alarm', 'compute-1')] * 3, self.told())

    def test_alertmanager(self):
        for name in ('firing', 'firing', 'resolved', 'resolved'):
            self.ask('POST', test_alertmanager.PATH,
                     test_alertmanager.captured(name))

        # One is still down: the alarm of both is not ok.
        self.assertEqual(
            [('alarm', 'compute-1'), ('alarm', 'compute-2')], self.told())

    def test_who_is_nobody(self):
        for path in (*test_body_forms.PATHS, test_alertmanager.PATH):
            for auth in (None, ('zabbix', 'x')):
                self.ask('POST', path, test_body_forms.SPECIFIED, auth, 401)

    def test_the_commands_of_the_documents(self):
        commands = [text for caption, text in shown(PAGE) if not caption]
        self.assertEqual(3, len(commands))
        user = self.useFixture(shell.Shell(
            ALARMING=self.service.url, AUTH='zabbix:PASSWORD'))

        for text in commands:
            self.assertEqual(['message_ids'], list(json.loads(
                user.run(text))))

        self.assertEqual([
            ('alarm', 'compute-1'), ('ok', 'compute-1'),
            ('alarm', 'compute-2')], self.told())

    def test_the_alarms_of_the_guide(self):
        command, = (text for _caption, text in shown(GUIDE))
        user = self.useFixture(shell.Shell(
            ALARMING=self.service.url, ADMIN='root:r',
            NOC=self.receiver.url))
        user.run(command)

        self.ask('POST', '/v1/events', {
            'time': self.now, 'type': fault.HOST_DOWN,
            'details': {'hostname': 'compute-1'}})

        self.wait_until(lambda: {'hosts', 'faults'} == {
            body['alarm_name'] for body in self.receiver.bodies})


class ScriptsTest(MonitorCase):
    """What Nagios, Zabbix and collectd are given, as they call it."""

    def setUp(self):
        super().setUp()
        self.parts = dict(shown(PAGE))
        # The account of collectd is another one.
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir(
            rootdir=tempfile.gettempdir())).path)
        for name in ('doctor-alarm-event', 'doctor-alarm-zabbix',
                     'doctor-alarm-collectd', 'event.curl'):
            self.folder.joinpath(name).write_text(self.here(name))
            self.folder.joinpath(name).chmod(0o700)
        self.user = self.useFixture(shell.Shell())

    def here(self, name):
        """Return the text as it is where the service is that of the test."""
        return (self.parts[name]
                .replace('/usr/local/bin', str(self.folder))
                .replace('/etc/doctor-alarm', str(self.folder))
                .replace('http://controller:8042', self.service.url))

    def test_nagios(self):
        command = re.search('command_line +(.*)', self.here('Nagios'))[1]
        began = int(time.time()) - 60
        for state, event in (('DOWN', 17), ('DOWN', 17), ('UNREACHABLE', 18),
                             ('UP', 19)):
            self.user.run(replaced(command, {
                '$HOSTNAME$': 'n1', '$HOSTSTATE$': state,
                '$LASTHOSTSTATECHANGE$': began + event,
                '$HOSTEVENTID$': event}))

        self.assertEqual([('alarm', 'n1'), ('ok', 'n1')], self.told())

    def test_zabbix(self):
        now = datetime.datetime.now(datetime.UTC)
        for message in self.here('Zabbix').splitlines():
            self.user.run("%s/doctor-alarm-zabbix '%s'" % (
                self.folder, replaced(message, {
                    '{HOST.HOST}': 'z1', '{EVENT.ID}': 4711,
                    '{EVENT.DATE}': now.strftime('%Y.%m.%d'),
                    '{EVENT.TIME}': now.strftime('%H:%M:%S'),
                    '{EVENT.RECOVERY.DATE}': now.strftime('%Y.%m.%d'),
                    '{EVENT.RECOVERY.TIME}': now.strftime('%H:%M:%S')})))

        self.assertEqual([('alarm', 'z1'), ('ok', 'z1')], self.told())

    def test_collectd(self):
        for severity in ('FAILURE', 'WARNING', 'OKAY'):
            self.user.run("""%s/doctor-alarm-collectd <<'END'
Severity: %s
Time: %.3f
Host: monitor
Plugin: ping
Type: ping_droprate
TypeInstance: c1

Host monitor, plugin ping type ping_droprate (instance c1): Data source ...
END""" % (self.folder, severity, time.time()))

        self.assertEqual([('alarm', 'c1'), ('ok', 'c1')], self.told())


def shown(page):
    """Yield (caption, contents) of the blocks for shells, and named ones."""
    for found in re.finditer(
            r'(?m)^( *)\.\. code-block:: (\w+)\n(?:\1   :caption: (.*)\n)?'
            r'\n((?:\1    .*\n|\n)+)', page.read_text()):
        kind, caption, body = found.group(2, 3, 4)
        if caption != 'Yours' and (caption or kind == 'bash'):
            yield caption or '', textwrap.dedent(body).strip('\n') + '\n'


def replaced(text, values):
    """Return what a program makes of a text with its macros."""
    for macro, value in values.items():
        text = text.replace(macro, str(value))
    return text


class StartTest(base.TestCase):
    """What is wrong is told before the first event comes."""

    def refused(self, option):
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'test.conf')
        path.write_text(
            '[DEFAULT]\ntransport_url = rabbit://127.0.0.1:1/\n'
            '[api]\nauth_mode = noauth\nhost = 127.0.0.1\n'
            '[database]\nconnection = %s\n[event]\n%s\n' % (
                self.useFixture(storage.Storage()).url, option))
        done = subprocess.run(
            [sys.executable, '-m', 'doctor_alarm.cmd.api',
             '--config-file', str(path)],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        return [line for line in done.stderr.splitlines()
                if line.startswith('ERROR: ')]

    def test_rules_for_alerts(self):
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'rules.yaml')
        path.write_text('- match: {}\n  firing: {typ: x}\n')

        self.assertEqual(
            ["ERROR: %s:2: unknown key 'typ', known are: type, status"
             % path], self.refused('alertmanager_cfg_file = %s' % path))

    def test_a_zone(self):
        error, = self.refused('timezone = Mars/Phobos')

        self.assertIn('[event] timezone: ', error)


class PageTest(base.TestCase):
    """What the page says that others have to be configured with."""

    def test_rules_and_alarms(self):
        text = PAGE.read_text()
        receivers, rules = test_docs.blocks(text, 'yaml')
        alarm, = test_docs.blocks(text, 'json')

        self.assertIn(test_alertmanager.PATH, yaml.safe_load(receivers)[
            'receivers'][0]['webhook_configs'][0]['url'])
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'rules.yaml')
        path.write_text(rules)
        self.assertEqual(fault.HOST_UP,
                         alertmanager.read(str(path))[0].resolved.type)
        match.compile_rule(json.loads(alarm))
