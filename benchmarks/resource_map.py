# SPDX-License-Identifier: Apache-2.0
"""The size of the inspector's resource map, and how fast it answers.

    python benchmarks/resource_map.py [--hosts 1000] [--servers 100]
        [--lookups 2000]

Fills a map as a reading of nova and neutron does, one port for each server,
and lets the bus change servers while somebody asks for hosts. Memory is that
of a process of its own: what tracemalloc counts, and what the resident set
grew by; it slows the process down, so that times come from another one.
"""

import argparse
import gc
import multiprocessing
import random
import statistics
import threading
import time
import tracemalloc
import uuid

import psutil

from doctor_alarm.inspector import resource_map
from doctor_alarm.inspector import sighting

STAMP = 1_790_000_000_000_000
SAYS = (True, True, None)


def ids_of(seed, count):
    chance = random.Random(seed)
    return (str(uuid.UUID(int=chance.getrandbits(128), version=4))
            for _ in range(count))


def sightings(options, shift=0):
    """Yield servers with texts of their own, as an answer of nova has."""
    count = options.hosts * options.servers
    for number, server_id in enumerate(ids_of('server', count)):
        yield sighting.Sighting(
            sighting.Server(
                server_id, 'instance-%08x' % number,
                '%032x' % (number // 20), 'compute-%04d.example.com' % (
                    (number + shift) % options.hosts), 'active'),
            STAMP + number + shift, SAYS)


def ports(options):
    count = options.hosts * options.servers
    for port_id, server_id in zip(
            ids_of('port', count), ids_of('server', count), strict=True):
        yield sighting.PortSighting(port_id, server_id, STAMP)


def filled(options):
    found = resource_map.ResourceMap()
    listing = found.begin()
    found.confirm(listing, sightings(options))
    found.finish(listing, time.monotonic())
    listing = found.begin()
    found.confirm_ports(listing, ports(options))
    found.finish_ports(listing)
    return found


def measure_memory(options, traced):
    gc.collect()
    before = psutil.Process().memory_info().rss
    if traced:
        tracemalloc.start()
    found = filled(options)
    gc.collect()
    rss = psutil.Process().memory_info().rss - before
    megabytes = (tracemalloc.get_traced_memory()[0] if traced else rss) / 1e6
    assert len(found) == options.hosts * options.servers
    return megabytes, rss / 1e6


def in_a_process(function, *args):
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(function, args)


def percentiles(times):
    cut = statistics.quantiles(times, n=100)
    return 'p50 %.3f ms, p99 %.3f ms' % (cut[49] * 1e3, cut[98] * 1e3)


def ask(found, options):
    chance = random.Random(1)
    walls, cpu = [], []
    for _ in range(options.lookups):
        host = 'compute-%04d.example.com' % chance.randrange(options.hosts)
        wall, used = time.perf_counter(), time.thread_time()
        servers = found.servers_of(host)
        cpu.append(time.thread_time() - used)
        walls.append(time.perf_counter() - wall)
        assert servers
    return walls, cpu


def measure_times(options):
    started = time.process_time()
    found = filled(options)
    total = options.hosts * options.servers
    print('filled: %.1f us of CPU for each server and its port' % (
        (time.process_time() - started) / total * 1e6))
    for what, busy in (('idle', False), ('while the bus changes it', True)):
        stopping = threading.Event()
        thread = threading.Thread(
            target=change, args=(found, options, stopping), daemon=True)
        if busy:
            thread.start()
        walls, cpu = ask(found, options)
        stopping.set()
        print('servers_of, %s: %s; CPU %s' % (
            what, percentiles(walls), percentiles(cpu)))
    port_ids = list(ids_of('port', options.lookups))
    started = time.perf_counter()
    for port_id in port_ids:
        assert found.server_of_port(port_id)
    print('server_of_port: %.4f ms' % (
        (time.perf_counter() - started) / len(port_ids) * 1e3))
    thread.join()
    started, count = time.process_time(), 20000
    for _, seen in zip(range(count), sightings(options, 2), strict=False):
        found.apply(seen)
    print('a sighting: %.1f us of CPU' % (
        (time.process_time() - started) / count * 1e6))


def change(found, options, stopping):
    """Move servers, a thousand in a second."""
    for seen in sightings(options, 1):
        if stopping.wait(0.001):
            return
        found.apply(seen)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--hosts', type=int, default=1000)
    parser.add_argument('--servers', type=int, default=100)
    parser.add_argument('--lookups', type=int, default=2000)
    options = parser.parse_args()
    traced, _rss = in_a_process(measure_memory, options, True)
    _same, rss = in_a_process(measure_memory, options, False)
    print('%d hosts, %d servers each: %.0f MB (tracemalloc), %.0f MB of '
          'resident set' % (options.hosts, options.servers, traced, rss))
    in_a_process(measure_times, options)


if __name__ == '__main__':
    main()
