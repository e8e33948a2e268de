# SPDX-License-Identifier: Apache-2.0
"""Credentials of receivers: the story of an alarm, and nowhere a trace."""

import base64
import logging
import pathlib

import fixtures
import prometheus_client
import sqlalchemy as sa

from doctor_alarm.db import models
from doctor_alarm.evaluator import engine
from doctor_alarm import event
from doctor_alarm.notifier import dispatcher
from doctor_alarm.objects import purge
from doctor_alarm.tests import receiver
from doctor_alarm.tests.unit.api import base

USER, PASSWORD, TOKEN, OTHER = (
    'trustid-7f3a', 'hush-hush-91', 'b7d2tokenvalue41', 'changed-55c0')
BASIC = base64.b64encode(('%s:%s' % (USER, PASSWORD)).encode()).decode()
SECRETS = (USER, PASSWORD, TOKEN, OTHER, BASIC)


def echo(handler, status):
    """Refuse, and repeat what was asked."""
    body = ('%s %s' % (handler.path, handler.headers['Authorization'])
            ).encode()
    handler.send_response(status)
    handler.send_header('Content-Length', str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class SecrecyTest(base.ApiTestCase):

    def prepare(self):
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        for name, value in (('retry_initial', 0.05), ('retry_max', 0.2),
                            ('sweep_interval', 0.1)):
            self.conf.set_override(name, value, group='notifier')

    def setUp(self):
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        self.shown = []
        made = dispatcher.Dispatcher(self.conf, self.db)
        made.start()
        self.addCleanup(made.stop, 30)
        self.engine = engine.Engine(self.db, made.wake, lease=15)

    def ask(self, *args, **kwargs):
        found = self.call(*args, **kwargs)
        self.shown.append('%s %s' % (self.answer.headers, self.answer.text))
        return found

    def an_action(self, path, password=PASSWORD):
        return 'http://%s:%s@127.0.0.1:%d/%s?token=%s' % (
            USER, password, self.receiver.port, path, TOKEN)

    def fire(self, number):
        self.engine.process([event.build(event.Parts(
            message_id='m%d' % number, event_type=base.RULE['event_type'],
            generated=event.from_us(self.db.now()), publisher_id='nova',
            project_id='p1', traits={'instance_id': 'vm1'}),
            received=event.from_us(self.db.now()))])

    def deliveries(self, status, count):
        def found():
            with self.db.reader() as conn:
                return conn.execute(
                    sa.select(models.delivery).where(
                        models.delivery.c.status == status,
                        models.delivery.c.attempts > 0)).all()
        return self.wait_until(
            lambda: rows if len(rows := found()) >= count else None)

    def stored(self):
        """All that the database keeps, bytes that it forgot too."""
        with self.db.reader() as conn:
            rows = [repr(tuple(row)).encode()
                    for table in models.metadata.sorted_tables
                    for row in conn.execute(sa.select(table))]
        if self.db.dialect == 'sqlite':
            name = pathlib.Path(self.db.engine.url.database)
            rows += [path.read_bytes()
                     for path in name.parent.glob(name.name + '*')]
        return rows

    def assert_no_trace(self):
        rows = self.stored()
        self.assertTrue(any(b'vm1 down' in row for row in rows))
        metrics = prometheus_client.generate_latest()
        self.assertIn(b'doctor_alarm_deliveries', metrics)
        self.assertIn('Attempt of', self.log.output)
        for where, texts in (
                ('database', rows), ('metrics', [metrics]),
                ('log', [self.log.output.encode()]),
                ('answer', [text.encode() for text in self.shown])):
            for text in texts:
                for secret in SECRETS:
                    self.assertNotIn(secret.encode(), text, where)

    def test_from_create_to_purge(self):
        created = self.ask('post', '/v2/alarms', self.alarm(
            repeat_actions=True, alarm_actions=[
                self.an_action('a'), self.an_action('b')]))
        path = '/v2/alarms/' + created['alarm_id']

        # it is delivered
        self.fire(1)
        self.deliveries('delivered', 2)
        self.assertEqual({'Basic ' + BASIC}, {
            headers['Authorization'] for headers in self.receiver.headers})
        self.assertEqual({'/a?token=' + TOKEN, '/b?token=' + TOKEN}, {
            body['_path'] for body in self.receiver.bodies})

        # it fails, loudly
        self.receiver.manner, self.receiver.status = echo, 500
        self.fire(2)
        for row in self.deliveries('pending', 2):
            self.assertIn('HTTP 500', row.last_error)
        self.receiver.status = 400
        self.deliveries('dead', 2)
        self.ask('get', path + '/deliveries')
        self.ask('get', '/v2/deliveries?status=dead')

        # it is changed, and refused
        changed = self.ask('put', path, {
            **created, 'ok_actions': created['alarm_actions'][:1],
            'alarm_actions': [self.an_action('c', OTHER)]})
        self.ask('put', path, {**changed, 'alarm_actions': [
            self.an_action('d').replace('http:', 'smtp:')]}, status=400)
        self.ask('put', path, {**changed, 'alarm_actions': [
            self.an_action('d') + ' ']}, status=400)
        for where in (path, '/v2/alarms', path + '/history'):
            self.ask('get', where)
        self.receiver.manner, self.receiver.status = None, 204
        self.fire(3)
        self.wait_until(lambda: '/c?token=' + TOKEN in {
            body['_path'] for body in list(self.receiver.bodies)})
        self.assert_no_trace()

        # it is forgotten
        self.ask('delete', path)
        self.deliveries('delivered', 3)
        self.assertLess(0, purge.purge(self.db, 0)['delivery'])
        self.ask('get', '/v2/alarms')
        self.create(alarm_actions=[self.an_action('e')])
        self.assert_no_trace()
