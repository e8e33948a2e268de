# SPDX-License-Identifier: Apache-2.0
"""The agent between nova's queue and our own hop, beside the ceiling.

    python benchmarks/agent.py [--count N] [--rounds N] [--workers N ...]
        [--json FILE]

Notifications of nova as they were captured, each with an id of its own, wait
in ``notifications.info``; the agent is stopped meanwhile and then let loose
until the last one is acknowledged, which is when its event is in the durable
hop. In between, oslo.messaging's batch listener drains the same notifications
and does nothing with them: the ceiling. The rounds alternate. Broker and
sender share the machine.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import kombu
import oslo_messaging
import psutil

from doctor_alarm import dead_letter
from doctor_alarm import messaging
from doctor_alarm.tests.services import rabbitmq
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.agent import notifications
import report

QUEUE = 'notifications.info'
BATCH = 100


class Nova:
    """A broker and the queue that nova fills."""

    def __init__(self):
        self.broker = rabbitmq.RabbitMQ()
        self.broker.setUp()
        self._storage = storage.Storage()
        self._storage.setUp()
        conf = self._storage.conf
        conf.set_override('transport_url', self.broker.url)
        self.transport = messaging.get_transport(conf)
        self._messages = itertools.cycle(
            [notifications.load(one) for one, _v in notifications.PAIRS])
        # Declared as a default nova does.
        self.listen(lambda _messages: None, 0)

    def close(self):
        self.transport.cleanup()
        self.broker.cleanUp()
        self._storage.cleanUp()

    def fill(self, count):
        with kombu.Connection(dead_letter.kombu_url(self.transport)) as link:
            producer = kombu.Producer(link.channel())
            for message, ctxt in itertools.islice(self._messages, count):
                producer.publish(
                    {'oslo.version': '2.0', 'oslo.message': json.dumps({
                        **message, 'message_id': str(uuid.uuid4()),
                        '_unique_id': uuid.uuid4().hex,
                        **{'_context_' + key: value
                           for key, value in ctxt.items()}})},
                    exchange='nova', routing_key=QUEUE)
        self.wait('==', count)

    def wait(self, relation, count, seconds=600):
        """Wait for a number of messages; return when it was reached.

        The broker itself looks, for a client that asks all the time would
        cost more than what is measured.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            started = time.monotonic()
            left, took = self.broker.evaluate(
                '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r('
                '<<"/">>, queue, <<"%s">>)),'
                ' T = erlang:monotonic_time(microsecond),'
                ' F = fun F(Left) ->'
                ' [{messages, N}] = rabbit_amqqueue:info(Q, [messages]),'
                ' if N %s %d; Left =< 0 ->'
                ' {Left, erlang:monotonic_time(microsecond) - T};'
                ' true -> timer:sleep(10), F(Left - 1) end end, F(500)'
                % (QUEUE, relation, count)).strip('{}').split(',')
            if int(left) > 0:
                return started + int(took) / 1e6
        raise TimeoutError('the queue has not %s %d messages' % (
            relation, count))

    def listen(self, take, count):
        """Drain the queue by oslo.messaging's batches; return the end."""
        left, done = [count], threading.Event()

        class Endpoint:
            def info(self, messages):
                take(messages)
                left[0] -= len(messages)
                if left[0] <= 0:
                    done.set()
        server = oslo_messaging.get_batch_notification_listener(
            self.transport,
            [oslo_messaging.Target(topic='notifications', exchange='nova')],
            [Endpoint()], batch_size=BATCH, batch_timeout=1)
        server.start()
        if count and not done.wait(600):
            raise TimeoutError('%d notifications left' % left[0])
        ended = time.monotonic()
        server.stop()
        server.wait()
        return ended


class Agent:
    """The agent, in processes of its own."""

    def __init__(self, nova, workers):
        self._folder = tempfile.TemporaryDirectory()
        config = os.path.join(self._folder.name, 'doctor-alarm.conf')
        self._log = os.path.join(self._folder.name, 'log')
        with open(config, 'w') as target:
            target.write('[DEFAULT]\ntransport_url = %s\n[agent]\n'
                         'workers = %d\n' % (nova.broker.url, workers))
        with open(self._log, 'wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'doctor_alarm.cmd.agent',
                 '--config-file', config], stdout=log, stderr=log)
        while self._said().count('The agent listens') < workers:
            if self._process.poll() is not None:
                raise RuntimeError(self._said()[-2000:])
            time.sleep(0.1)

    def _said(self):
        with open(self._log) as log:
            return log.read()

    def members(self):
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def signal(self, number):
        # The parent first: it replaces workers that seem to have stopped.
        for member in self.members():
            member.send_signal(number)

    def cpu(self):
        return sum(sum(member.cpu_times()[:2]) for member in self.members())

    def close(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            self.signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def ceiling(nova, count):
    nova.fill(count)
    cpu, started = time.process_time(), time.monotonic()
    ended = nova.listen(lambda _messages: None, count)
    return {'per_s': count / (ended - started),
            'cpu_ms': (time.process_time() - cpu) * 1e3 / count}


def drained(nova, agent, count):
    agent.signal(signal.SIGSTOP)
    nova.fill(count)
    cpu, started = agent.cpu(), time.monotonic()
    agent.signal(signal.SIGCONT)
    ended = nova.wait('==', 0)
    return {'per_s': count / (ended - started),
            'cpu_ms': (agent.cpu() - cpu) * 1e3 / count}


def measure(options):
    found = {}
    nova = Nova()
    try:
        for _ in range(options.rounds):
            found.setdefault('ceiling', []).append(
                ceiling(nova, options.count))
            for workers in options.workers:
                agent = Agent(nova, workers)
                try:
                    drained(nova, agent, 200)
                    found.setdefault(workers, []).append(
                        drained(nova, agent, options.count))
                finally:
                    agent.close()
                print(workers, found[workers][-1], found['ceiling'][-1],
                      file=sys.stderr)
    finally:
        nova.close()
    return found


def row(name, several, ceilings):
    return {'what': name,
            'per_s': statistics.median(one['per_s'] for one in several),
            'cpu_ms': statistics.median(one['cpu_ms'] for one in several),
            'ratio': statistics.median(
                one['per_s'] / most['per_s']
                for one, most in zip(several, ceilings, strict=True)),
            'load': os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--count', type=int, default=5000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--json', help='file for the figures')
    options = parser.parse_args()
    found = measure(options)
    ceilings = found.pop('ceiling')
    rows = [row('oslo, lists of %d' % BATCH, ceilings, ceilings)]
    rows += [row('agent, workers = %d' % workers, several, ceilings)
             for workers, several in found.items()]
    report.table([list(one.values()) for one in rows], [
        'what', 'per s', 'CPU ms', 'ratio', 'load'])
    if options.json:
        report.write(options.json, {
            'about': report.about(options), 'rows': rows})


if __name__ == '__main__':
    main()
