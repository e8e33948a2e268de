# SPDX-License-Identifier: Apache-2.0
"""A receiver of call-backs in a process of its own.

It understands as much HTTP as clients send here and answers at once, so that
what is measured is who calls it: about 40 us per call, where a web framework
takes 250.
"""

import asyncio
import multiprocessing
import time

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'


class Receiver:
    """HTTP servers on loopback that count what they answer.

    :ivar counts, lasts: for each server, how many calls came and when the
        last one did, in seconds since the epoch
    :ivar cpu: seconds of CPU that the process used
    """

    def __init__(self, servers=1):
        context = multiprocessing.get_context('spawn')
        self.counts = context.Array('q', servers, lock=False)
        self.lasts = context.Array('d', servers, lock=False)
        self._cpu = context.Value('d', 0.0, lock=False)
        self._keep = context.Value('b', 0, lock=False)
        self._kept, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_receive, daemon=True, args=(
                self.counts, self.lasts, self._cpu, self._keep, theirs))
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
        while (there := self._count(server)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError('%d of %d call-backs after %d s' % (
                    there, count, seconds))
            time.sleep(0.0005)
        return self.last if server is None else self.lasts[server]

    def _count(self, server):
        return self.count if server is None else self.counts[server]

    def keep(self, wanted):
        """Keep the bodies from now on, or no more."""
        self._keep.value = wanted

    def kept(self):
        """Yield (server, seconds since the epoch, body) of what was kept."""
        while self._kept.poll():
            yield self._kept.recv()

    def stop(self):
        self._process.terminate()
        self._process.join()


class _Server(asyncio.Protocol):
    def __init__(self, arrived):
        self._arrived = arrived
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
            self._arrived(rest[:length])
            self._data = rest[length:]
            self._transport.write(_ANSWER)


def _receive(counts, lasts, cpu, keep, parent):
    def counter(server):
        def arrived(body):
            lasts[server] = now = time.time()
            counts[server] += 1
            cpu.value = time.process_time()
            if keep.value:
                parent.send((server, now, body))
        return arrived

    async def serve():
        loop = asyncio.get_running_loop()
        ports = []
        for server in range(len(counts)):
            arrived = counter(server)
            listening = await loop.create_server(
                lambda arrived=arrived: _Server(arrived), '127.0.0.1', 0,
                backlog=1024)
            ports.append(listening.sockets[0].getsockname()[1])
        parent.send(ports)
        await asyncio.Event().wait()

    asyncio.run(serve())
