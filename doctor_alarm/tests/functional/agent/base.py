# SPDX-License-Identifier: Apache-2.0
"""The agent as a process, between a real broker and a listening evaluator."""

import os
import pathlib
import signal
import subprocess
import sys
import threading

import fixtures
import kombu
import oslo_messaging
from testtools import content

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.tests import base
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests.unit.agent import configuration
from doctor_alarm.tests.unit.agent import notifications


class AgentCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.virtual_host = self.useFixture(rabbitmq.VirtualHost())
        self.bus = self.virtual_host.url
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.conf = configuration.prepare(transport_url=self.bus)

    # given

    def start_agent(self, agent='', pipeline=None, more='', wait=True):
        """Start an agent with these lines in [agent]."""
        if pipeline:
            (self.directory / 'event_pipeline.yaml').write_text(pipeline)
        config = self.directory / 'doctor-alarm.conf'
        config.write_text('[DEFAULT]\ntransport_url = %s\ndebug = true\n'
                          '[agent]\n%s\n%s\n' % (self.bus, agent, more))
        log = self.directory / 'agent.log'
        with open(log, 'wb') as stream:
            child = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.agent',
                 '--config-file', str(config)], stdin=subprocess.DEVNULL,
                stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True)
        self.addCleanup(self._end, child)
        self.addOnException(self._attach_log)
        if wait:
            self.wait_until(lambda: 'The agent listens' in self.log(),
                            timeout=60, message='the agent does not listen')
        return child

    def log(self):
        return (self.directory / 'agent.log').read_text()

    def _attach_log(self, _exc_info):
        self.addDetailUniqueName(
            'agent-log', content.text_content(self.log()[-10000:]))

    def _end(self, child):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def evaluator(self, topic=None, url=None):
        """Start to take events; returns the list they come to."""
        taken = []
        lock = threading.Lock()

        def take(incoming):
            with lock:
                taken.extend(incoming.message['payload'])
            incoming.acknowledge()

        transport = (messaging.get_transport(self.conf, url) if topic
                     else messaging.get_own_transport(self.conf))
        server = messaging.BatchServer(
            transport, [oslo_messaging.Target(
                topic=topic or self.conf.evaluator.event_topic,
                exchange=topic and 'ceilometer')],
            take, priorities=['sample'])
        server.start()
        self.addCleanup(server.disconnect)
        self.addCleanup(server.halt)
        return taken

    def service(self, url=None, exchange='nova'):
        """Return the notification transport of an OpenStack service."""
        conf = configuration.prepare(control_exchange=exchange)
        transport = oslo_messaging.get_notification_transport(
            conf, url or self.bus)
        self.addCleanup(transport.cleanup)
        return transport

    # when

    def send(self, transport, message, ctxt=None, topic='notifications'):
        """Emit a notification as it is, over oslo's own driver."""
        target = oslo_messaging.Target(
            topic='%s.%s' % (topic, message.get('priority', 'INFO').lower()))
        transport._send_notification(target, ctxt or {}, message,
                                     version=2.0, retry=3)

    def send_captured(self, transport, names):
        for name in names:
            message, ctxt = notifications.load(name)
            self.send(transport, message, ctxt, (
                'versioned_notifications' if '-v-' in name
                or name == notifications.FORCE_DOWN else 'notifications'))

    # then

    def connection(self):
        transport = messaging.get_transport(self.conf)
        return kombu.Connection(dead_letter.kombu_url(transport))

    def waiting(self, queue):
        """Number of messages that are ready in a queue."""
        with self.connection() as connection:
            return connection.channel().queue_declare(
                queue, passive=True).message_count

    def unread(self):
        """Number of notifications that are ready in nova's queues."""
        return sum(self.waiting('%s.%s' % (topic, priority))
                   for topic in ('notifications', 'versioned_notifications')
                   for priority in ('info', 'error'))

    def dead_letters(self):
        return dead_letter.QueueDeadLetters(
            messaging.get_own_transport(self.conf)).list()
