# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-manage, as an operator calls it."""

import json
import os
import queue
import subprocess
import sys

import fixtures
import oslo_messaging

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.objects import alarm_list
from doctor_alarm.objects import dead_letter as dead_letter_obj
from doctor_alarm.objects import query
from doctor_alarm.tests import base
from doctor_alarm.tests.functional.api import test_clients
from doctor_alarm.tests.services import mariadb
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import base as api_base

NOTIFICATION = {
    'message_id': '47d2e7a1', 'event_type': 'compute.instance.update',
    'publisher_id': 'compute.h1', 'priority': 'INFO',
    'timestamp': '2026-11-20 09:14:41.626598', '_context_user': 'u',
    '_unique_id': 'x', 'payload': {'instance_id': 'vm1', 'tenant_id': 'p1',
                                   'state': 'error'}}
VERSIONED = {
    'event_type': 'service.update', 'publisher_id': 'nova-compute:h1',
    'priority': 'ERROR', 'payload': {
        'nova_object.name': 'ServiceStatusPayload',
        'nova_object.namespace': 'nova', 'nova_object.version': '1.1',
        'nova_object.data': {'host': 'h1', 'forced_down': True}}}


class Managed:
    """Calls the command as a process of its own."""

    def prepare(self, **options):
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.config = self.write('doctor-alarm.conf', ''.join(
            '[%s]\n%s = %s\n' % (group, *value)
            for group, value in options.items()))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def run_command(self, *arguments, status=0, text=''):
        done = subprocess.run(
            [sys.executable, '-m', 'doctor_alarm.cmd.manage',
             '--config-file', self.config, *arguments], input=text,
            capture_output=True, text=True, timeout=120)
        self.assertEqual(status, done.returncode, done.stderr)
        return done.stdout if status == 0 else done.stderr


class DatabaseTest(Managed, base.TestCase):

    def setUp(self):
        super().setUp()
        self.url = self.useFixture(mariadb.Database()).url
        self.prepare(database=('connection', self.url))

    def test_schema_and_purge(self):
        self.assertEqual('no schema\n', self.run_command('db', 'version'))
        self.assertEqual('0001\n', self.run_command('db', 'sync'))
        self.assertEqual('0001\n', self.run_command('db', 'version'))
        said = self.run_command('db', 'purge')
        self.assertIn('delivery: 0', said)
        self.assertIn('dead_letter: 0', said)
        self.assertIn('max_event_age', self.run_command(
            'db', 'purge', '--days', '3', status=1))

    def test_a_database_that_is_away(self):
        self.prepare(database=(
            'connection', 'mysql+pymysql://u:secret@127.0.0.1:1/x'))
        said = self.run_command('db', 'version', status=1)

        self.assertEqual(1, len(said.splitlines()), said)
        self.assertNotIn('secret', said)


class ImportTest(Managed, base.TestCase):

    def setUp(self):
        super().setUp()
        database = self.useFixture(mariadb.Database())
        self.server, url = database.server, database.url
        self.prepare(database=('connection', url))
        self.db = self.useFixture(storage.Storage(url)).db

    def lines(self, count):
        return [json.dumps({
            'name': str(n), 'type': 'event', 'event_rule': api_base.RULE,
            'alarm_actions': ['http://192.0.2.1:9/'], 'project_id': 'p1'})
            for n in range(count)]

    def statements(self):
        (_name, count), = self.server.execute(
            "SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(count)

    def test_import(self):
        count = 10000
        path = self.write('alarms', '\n'.join(self.lines(count)))

        before = self.statements()
        said = self.run_command('alarm', 'import', path)

        self.assertEqual('%d alarms\n' % count, said)
        # Many alarms a statement: that is what makes it quick.
        self.assertLess(self.statements() - before, count // 50)
        with self.db.reader() as conn:
            self.assertEqual(count, len(alarm_list.find(
                conn, None, query.Page())))

    def test_a_bad_line_imports_nothing(self):
        lines = self.lines(700)
        lines[650] = '{"name": "a"}'

        said = self.run_command('alarm', 'import', '-', status=1,
                                text='\n'.join(lines))

        self.assertIn('ERROR: line 651:', said)
        with self.db.reader() as conn:
            self.assertEqual([], alarm_list.find(conn, None, query.Page()))


class BusTest(Managed, base.TestCase):

    def setUp(self):
        super().setUp()
        self.url = self.useFixture(rabbitmq.VirtualHost()).url
        self.prepare(DEFAULT=('transport_url', self.url))
        self.conf = self.useFixture(storage.Storage()).conf
        self.conf.set_override('transport_url', self.url)

    def listen(self):
        """Return a queue of what a consumer of nova's notifications gets."""
        heard = queue.SimpleQueue()

        def on_message(incoming):
            heard.put((incoming.ctxt, incoming.message))
            incoming.acknowledge()

        listener = messaging.BatchServer(
            messaging.get_transport(self.conf), [
                oslo_messaging.Target(topic=topic, exchange='nova')
                for topic in ('notifications', 'versioned_notifications')],
            on_message)
        listener.start()
        self.addCleanup(listener.disconnect)
        self.addCleanup(listener.halt)
        return heard

    def test_notifications_go_where_nova_sends_them(self):
        heard = self.listen()
        path = self.write('captured', json.dumps(
            {'exchange': 'nova', 'message': NOTIFICATION})
            + json.dumps(VERSIONED))

        said = self.run_command('event', 'send', path)

        self.assertEqual(2, len(said.splitlines()))
        found = {message['event_type']: (ctxt, message)
                 for ctxt, message in (heard.get(timeout=30)
                                       for _ in range(2))}
        ctxt, message = found['compute.instance.update']
        self.assertEqual('u', ctxt['user'])
        for name in ('message_id', 'publisher_id', 'timestamp', 'payload'):
            self.assertEqual(NOTIFICATION[name], message[name])
        _ctxt, message = found['service.update']
        self.assertEqual(VERSIONED['payload'], message['payload'])
        self.assertEqual('ERROR', message['priority'])
        self.assertTrue(message['message_id'] and message['timestamp'])

    def test_now(self):
        heard = self.listen()

        self.run_command('event', 'send', '--now', '-',
                         text=json.dumps(NOTIFICATION))

        _ctxt, message = heard.get(timeout=30)
        for name in ('message_id', 'timestamp'):
            self.assertNotEqual(NOTIFICATION[name], message[name])
        self.assertEqual(NOTIFICATION['payload'], message['payload'])

    def test_dead_letters(self):
        own = messaging.get_own_transport(self.conf)
        letters = dead_letter.QueueDeadLetters(own)
        letters.put('because', 'm1', 'doctor_alarm.event.sample',
                    {'message_id': 'm1', 'payload': ['kept']})
        letter, = letters.list()

        listed = self.run_command('dead-letter', 'list')
        shown = json.loads(self.run_command('dead-letter', 'show', letter.id))

        for words in (letter.id, 'because', 'm1'):
            self.assertIn(words, listed)
        self.assertEqual(['kept'], shown['body']['payload'])
        self.assertEqual('ERROR: Dead letter x not found\n', self.run_command(
            'dead-letter', 'show', 'x', status=1))

    def test_a_broker_that_is_away(self):
        self.prepare(DEFAULT=('transport_url', 'rabbit://u:secret@127.0.0.1:1'
                              ))

        said = self.run_command('event', 'send', '-', status=1,
                                text=json.dumps(NOTIFICATION))

        self.assertEqual(1, len(said.splitlines()), said)
        self.assertNotIn('secret', said)

    def test_what_is_no_notification(self):
        said = self.run_command('event', 'send', '-', status=1, text='{} x')

        self.assertIn('document 1', said)


class ApiTest(Managed, test_clients.ServedTestCase):
    """Without a broker: to the API of a standalone service."""

    def setUp(self):
        super().setUp()
        self.prepare(database=('connection', str(self.db.engine.url)),
                     DEFAULT=('transport_url', ''))

    def test_notifications_become_events(self):
        said = self.run_command(
            'event', 'send', '--url', self.url, '-',
            text=json.dumps(NOTIFICATION) + json.dumps(
                dict(NOTIFICATION, publisher_id='doctor_alarm.x')))

        self.assertIn('sent compute.instance.update 47d2e7a1', said)
        self.assertIn('left out compute.instance.update', said)
        event, = self.events.accepted
        self.assertEqual(('p1', 'vm1'), (event.project_id, event.resource_id))
        self.assertEqual('error', event.traits['state'])

    def test_a_dead_letter_is_played_again(self):
        letters = dead_letter_obj.TableDeadLetters(self.db)
        letters.put('because', 'm1', 'standalone', {'payload': [{
            'message_id': 'm1', 'event_type': 'a', 'traits': [
                ['instance_id', 1, 'vm1']], 'project_id': 'p1',
            'generated': '2026-11-20T10:00:00'}]})
        letter, = letters.list()

        self.assertIn('--url', self.run_command(
            'dead-letter', 'replay', letter.id, status=1))
        self.run_command('dead-letter', 'replay', letter.id,
                         '--url', self.url)

        event, = self.events.accepted
        self.assertEqual(('a', 'p1', 'vm1'), (
            event.event_type, event.project_id, event.resource_id))
        self.assertEqual([], letters.list())

    def test_an_api_that_refuses(self):
        said = self.run_command(
            'event', 'send', '--url', self.url + '/nope', '-', status=1,
            text=json.dumps(NOTIFICATION))

        self.assertIn('Unknown path', said)
