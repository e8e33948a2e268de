# SPDX-License-Identifier: Apache-2.0
"""A receiver of call-backs in a process of its own.

It understands as much HTTP as clients send here and answers at once, so that
what is measured is who calls it: about 40 us per call, where a web framework
takes 250. Each of its servers may be told to misbehave instead.
"""

import asyncio
import multiprocessing
import sys
import time

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
_ERROR = b'HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n'

#: How a server behaves: answers, never does, with 500, or after a second.
GOOD, HANGS, FAILS, SLOW = range(4)
SLOWNESS = 1.0
#: Bodies that are handed over at once
_CHUNK = 500


class Receiver:
    """HTTP servers on loopback that count what they answer.

    :ivar counts, lasts: for each server, how many calls it took and when the
        last one came, in seconds since the epoch; those that it left without
        an answer, or refused, do not count
    :ivar cpu: seconds of CPU that the process used
    """

    def __init__(self, servers=1):
        context = multiprocessing.get_context('spawn')
        self.counts = context.Array('q', servers, lock=False)
        self.lasts = context.Array('d', servers, lock=False)
        self._cpu = context.Value('d', 0.0, lock=False)
        self._keep = context.Value('b', 0, lock=False)
        self._modes = context.Array('b', servers, lock=False)
        self._kept, theirs = context.Pipe()
        self._process = context.Process(
            target=_receive, daemon=True, args=(
                self.counts, self.lasts, self._modes, self._cpu, self._keep,
                theirs))
        self._process.start()
        theirs.close()      # else its end would go unnoticed
        self.ports = self._kept.recv()

    @property
    def pid(self):
        return self._process.pid

    @property
    def count(self):
        return sum(self.counts)

    @property
    def last(self):
        return max(self.lasts)

    @property
    def cpu(self):
        return self._cpu.value

    def url(self, server=0):
        return 'http://127.0.0.1:%d/' % self.ports[server]

    def wait(self, count, seconds=300, server=None):
        """Wait for so many calls; return when the last one came."""
        deadline = time.monotonic() + seconds
        while (there := self.counted(server)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError('%d of %d call-backs after %d s' % (
                    there, count, seconds))
            time.sleep(0.0005)
        return self.last_of(server)

    def counted(self, server=None):
        """Return the calls that a server took, or all of them."""
        return self.count if server is None else self.counts[server]

    def last_of(self, server=None):
        """Return when a server, or any of them, took its last call."""
        return self.last if server is None else self.lasts[server]

    def keep(self, wanted):
        """Keep the bodies from now on, or no more."""
        self._keep.value = wanted

    def kept(self):
        """Yield (server, seconds since the epoch, body) of what was kept."""
        self._kept.send(None)
        while chunk := self._kept.recv():
            yield from chunk

    def behave(self, server, mode):
        """Let a server do something else from its next call on."""
        self._modes[server] = mode

    def stop(self):
        self._process.terminate()
        self._process.join()


class _Server(asyncio.Protocol):
    def __init__(self, arrived, mode):
        self._arrived, self._mode = arrived, mode
        self._data = b''

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._data = self._data + data if self._data else data
        while self._data:
            head, found, rest = self._data.partition(b'\r\n\r\n')
            if not found:
                return
            length = int(head.lower().partition(
                b'content-length:')[2].partition(b'\r')[0])
            if len(rest) < length:
                return
            self._data = rest[length:]
            self._answer(rest[:length])

    def _answer(self, body):
        mode = self._mode()
        if mode == HANGS:
            return
        if mode == FAILS:
            self._transport.write(_ERROR)
            return
        self._arrived(body)
        if mode == SLOW:
            asyncio.get_running_loop().call_later(
                SLOWNESS, self._transport.write, _ANSWER)
        else:
            self._transport.write(_ANSWER)


def _receive(counts, lasts, modes, cpu, keep, parent):
    kept = []

    def counter(server):
        def arrived(body):
            lasts[server] = now = time.time()
            counts[server] += 1
            cpu.value = time.process_time()
            if keep.value:
                kept.append((server, now, body))
        return arrived

    def hand_over():
        try:
            parent.recv()
        except EOFError:
            sys.exit(0)     # nobody is there any more
        for start in range(0, len(kept), _CHUNK):
            parent.send(kept[start:start + _CHUNK])
        parent.send([])
        kept.clear()

    async def serve():
        loop = asyncio.get_running_loop()
        ports = []
        for server in range(len(counts)):
            arrived = counter(server)
            listening = await loop.create_server(
                lambda arrived=arrived, server=server: _Server(
                    arrived, lambda: modes[server]), '127.0.0.1', 0,
                backlog=1024)
            ports.append(listening.sockets[0].getsockname()[1])
        parent.send(ports)
        loop.add_reader(parent.fileno(), hand_over)
        await asyncio.Event().wait()

    asyncio.run(serve())
