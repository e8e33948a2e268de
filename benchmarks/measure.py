# SPDX-License-Identifier: Apache-2.0
"""One round against one service: latency, call-backs, drained events."""

import contextlib
import os
import re
import signal
import time

import psutil

_MESSAGE_ID = re.compile(rb'"message_id": ?"([^"]+)"')

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
    """A service, who sends to it and who is called back."""

    def __init__(self, servers, system, publisher, receiver, server):
        self.servers, self.system = servers, system
        self._publisher, self._receiver = publisher, receiver
        self._server = server

    def send(self, event):
        self._publisher.publish('event', [event])

    def warm_up(self, events, seconds=300):
        """Send events until it calls back: it has started by then."""
        before = self._receiver.counts[self._server]
        for event in events:
            self.send(event)
        deadline = time.monotonic() + seconds
        while self._receiver.counts[self._server] < before + len(events):
            self.system.check()
            if time.monotonic() > deadline:
                raise TimeoutError('%s does not call back' % self.system.name)
            time.sleep(0.01)

    def callbacks(self, events):
        """Return call-backs/s and the costs of a backlog of events.

        :param events: (event, whether it calls back)
        """
        before = self._receiver.counts[self._server]
        wanted = sum(calls for _event, calls in events)
        costs, started = self._filled([event for event, _calls in events])
        last = self._arrived(before + wanted)
        calls = self._receiver.counts[self._server] - before
        return {'per_s': calls / (last - started),
                'cpu_ms': costs.per_event(len(events)),
                'events': len(events), 'lost': wanted - calls,
                'load': os.getloadavg()[0]}

    def _arrived(self, expected):
        """Wait for call-backs; return when the last one came."""
        while True:
            before = self._receiver.counts[self._server]
            with contextlib.suppress(TimeoutError):
                return self._receiver.wait(expected, PATIENCE, self._server)
            if self._receiver.counts[self._server] == before:
                return self._receiver.lasts[self._server]

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
                'load': os.getloadavg()[0]}

    def _filled(self, events):
        """Fill the queue while the service sleeps; then let it loose."""
        self.system.signal(signal.SIGSTOP)
        try:
            for event in events:
                self.send(event)
            costs = Costs(self.servers, self.system, self._receiver)
        finally:
            started = time.time()
            self.system.signal(signal.SIGCONT)
        return costs, started

    def latencies(self, events):
        """Return milliseconds from sending to the call-back of lone events."""
        sent = {}
        expected = self._receiver.counts[self._server] + len(events)
        self._receiver.keep(True)
        for event in events:
            begun = time.monotonic()
            sent[event['message_id']] = time.time()
            self.send(event)
            time.sleep(max(0, PAUSE - (time.monotonic() - begun)))
        self._arrived(expected)
        self._receiver.keep(False)
        arrived = {
            _MESSAGE_ID.search(body).group(1).decode(): when
            for _server, when, body in self._receiver.kept()}
        return [(arrived[name] - sent[name]) * 1e3
                for name in sent if name in arrived]

    def memory(self):
        """Return MB of the largest process of each part."""
        found = {}
        for part, member in self.system.members():
            found[part] = max(found.get(part, 0),
                              member.memory_info().rss / 2 ** 20)
        return found
