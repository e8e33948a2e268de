# SPDX-License-Identifier: Apache-2.0
"""One round against one service: latency, call-backs, drained events."""

import contextlib
import os
import re
import signal
import time

import psutil

import sender

#: The id of the message is in that of the request, see :mod:`seeds`.
_NAME = re.compile(rb'req-([0-9a-f-]{36})')

#: Seconds between lone events.
PAUSE = 0.2
#: Seconds without a call-back after which the rest is taken for lost.
PATIENCE = 60


class Costs:
    """CPU of every process during a measurement."""

    def __init__(self, servers, system, receiver):
        self._servers, self._system = servers, system
        self._receiver, self._receiver_cpu = receiver, receiver.cpu
        self._before = self._now()

    def per_event(self, events):
        """Return milliseconds of CPU per event of each process."""
        spent = {'receiver': self._receiver.cpu - self._receiver_cpu}
        for (name, pid), seconds in self._now().items():
            spent[name] = (spent.get(name, 0) + seconds
                           - self._before.get((name, pid), 0))
        return {name: seconds * 1e3 / events
                for name, seconds in spent.items()}

    def _now(self):
        found = {}
        for name, member in (*self._servers.members(),
                             *self._system.members()):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                found[name, member.pid] = times.user + times.system
        return found


class Bench:
    """A service, who sends to it and who is called back.

    :param server: which one of the receiver's; ``None``: all of them
    :param own_publisher: onto the hop between agent and evaluator
    """

    def __init__(self, servers, system, publisher, receiver, server,
                 own_publisher=None):
        self.servers, self.system = servers, system
        self._publisher, self.receiver = publisher, receiver
        self._own_publisher = own_publisher
        self._server = server

    def send(self, event):
        self._publisher.publish(*self.system.message(event))

    def send_list(self, events):
        """Send events in one message, as an agent does."""
        self._own_publisher.publish('event', events)

    @property
    def called(self):
        """Call-backs so far."""
        return self.receiver.counted(self._server)

    def warm_up(self, events, seconds=300):
        """Send events until it calls back: it has started by then."""
        before = self.called
        for event in events:
            self.send(event)
        deadline = time.monotonic() + seconds
        while self.called < before + len(events):
            self.system.check()
            if time.monotonic() > deadline:
                raise TimeoutError('%s does not call back' % self.system.name)
            time.sleep(0.01)

    def callbacks(self, events):
        """Return call-backs/s and the costs of a backlog of events.

        :param events: (event, whether it calls back)
        """
        before = self.called
        wanted = sum(calls for _event, calls in events)
        costs, started = self._filled([event for event, _calls in events])
        last = self.arrived(before + wanted)
        calls = self.called - before
        return {'per_s': calls / (last - started),
                'cpu_ms': costs.per_event(len(events)),
                'events': len(events), 'lost': wanted - calls,
                'load': load()}

    def arrived(self, expected):
        """Wait for call-backs; return when the last one came."""
        while True:
            before = self.called
            with contextlib.suppress(TimeoutError):
                return self.receiver.wait(expected, PATIENCE, self._server)
            if self.called == before:
                return self.receiver.last_of(self._server)

    def drained(self, events, seconds=300):
        """Return events/s and the costs of events that hit nothing."""
        costs, started = self._filled(events)
        deadline = started + seconds
        left = 1
        while left:
            left, when = self.servers.wait_drained(self.system.queue, 5)
            if time.time() > deadline:
                raise TimeoutError('%d events left' % left)
        return {'per_s': len(events) / (when - started),
                'cpu_ms': costs.per_event(len(events)), 'events': len(events),
                'load': load()}

    def _filled(self, events):
        """Fill the queue while the service sleeps; then let it loose."""
        self.system.signal(signal.SIGSTOP)
        try:
            for event in events:
                self.send(event)
            costs = Costs(self.servers, self.system, self.receiver)
        finally:
            started = time.time()
            self.system.signal(signal.SIGCONT)
        return costs, started

    def latencies(self, events):
        """Return milliseconds to the call-back of lone events."""
        return self.paced(events, 1 / PAUSE)['latencies']

    def paced(self, events, rate):
        """Send events at a steady rate; return how long each took.

        All of them have to call back. ``latencies`` are milliseconds from
        sending to the call-back, ``late_ms`` how much later than planned the
        slowest hundredth was sent.
        """
        before, sent, late = self.called, {}, []
        quick = sender.Sender(self.servers.broker.url, self.system)
        with self.kept() as found, contextlib.closing(quick):
            costs = Costs(self.servers, self.system, self.receiver)
            started = time.time()
            for number, event in enumerate(events):
                due = started + number / rate
                time.sleep(max(0.0, due - time.time()))
                sent[event['message_id']] = now = time.time()
                late.append((now - due) * 1e3)
                quick.send(*self.system.message(event))
            spent = time.time() - started
            self.arrived(before + len(sent))
            cpu = costs.per_event(len(sent))
        latencies = [(when - sent[name]) * 1e3
                     for when, name, _body in found if name in sent]
        return {'latencies': latencies, 'sent_per_s': len(sent) / spent,
                'late_ms': sorted(late)[int(len(late) * 0.99)],
                'lost': len(sent) - len(latencies),
                'cpu_ms': cpu, 'load': load()}

    @contextlib.contextmanager
    def kept(self):
        """Give a list that has (when, message id, body) in the end."""
        found = []
        self.receiver.keep(True)
        try:
            yield found
        finally:
            self.receiver.keep(False)
            found += taken(self.receiver)

    def memory(self):
        """Return MB of the largest process of each part."""
        found = {}
        for part, member in self.system.members():
            found[part] = max(found.get(part, 0),
                              member.memory_info().rss / 2 ** 20)
        return found

    def peak(self):
        """Return MB that the largest process of each part ever had."""
        found = {}
        for part, member in self.system.members():
            with open('/proc/%d/status' % member.pid) as status:
                size = re.search(r'VmHWM:\s+(\d+)', status.read())
            found[part] = max(found.get(part, 0), int(size[1]) / 1024)
        return found


def taken(receiver):
    """Yield (when, message id, body) of what a receiver kept."""
    for _server, when, body in receiver.kept():
        yield when, _NAME.search(body).group(1).decode(), body


def load():
    """Return the load average of the last minute."""
    return os.getloadavg()[0]
