# SPDX-License-Identifier: Apache-2.0
"""The agent as a worker: its listeners, one per bus and kind of sink.

The publishers that feed alarms share the main listener. Every other sink has
a listener, a queue and an acknowledgement of its own, so that one that is
down stops nobody.
"""
from __future__ import annotations

import dataclasses
import logging
import queue
import threading

from oslo_config import cfg
import oslo_messaging

from doctor_alarm.agent import endpoint
from doctor_alarm.agent import intake
from doctor_alarm.agent import pipeline
from doctor_alarm.agent.publishers import base
from doctor_alarm import messaging
from doctor_alarm import metrics
from doctor_alarm import service

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """What is read from one queue, and where it goes."""

    queue: str
    outputs: list[intake.Output]


class AgentService(service.Service):
    """Notifications from the buses to the publishers.

    :param dead_letters: where malformed notifications are put
    :param accept: takes events in place of the bus of ``alarm://``
    :raises ConfigurationError: definitions, pipeline or options are wrong
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 dead_letters: intake.DeadLetters,
                 accept: base.Accept | None = None) -> None:
        super().__init__()
        self._conf = conf
        self._dead_letters = dead_letters
        self._routes = routes(pipeline.load(conf),
                              base.Loader(conf, accept), conf.agent.pool)
        # Each route has its own: what a transformer keeps is not shared
        # between threads.
        self._transformers = [
            endpoint.Transformer(conf, counts=not number)
            for number in range(len(self._routes))]
        self._intakes: list[intake.Intake] = []
        self._servers: list[messaging.BatchServer] = []

    def check(self) -> None:
        """Stop before a fork where the queues have other settings.

        :raises QueueMismatch: says which
        """
        for url in self._urls():
            for route in self._routes:
                self._server(url, route, None).check()

    def open(self) -> None:
        """Start to listen on every bus; none waits for another."""
        metrics.serve(self._conf)
        for publisher in [found for route in self._routes
                          for output in route.outputs
                          for found in output.publishers]:
            publisher.start()
        results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        urls = self._urls()
        for url in urls:
            threading.Thread(target=self._open_bus, args=(url, results),
                             name='open bus', daemon=True).start()
        for _url in urls:
            failure = results.get()
            if failure is not None:
                raise failure

    def close(self) -> None:
        """Take nothing more, publish what was taken, acknowledge it."""
        for server in self._servers:
            server.halt()
        for taken in self._intakes:
            taken.stop()
        for server in self._servers:
            server.disconnect()

    def _urls(self) -> list[str | None]:
        return list(self._conf.agent.messaging_urls) or [None]

    def _open_bus(self, url: str | None,
                  results: queue.SimpleQueue[BaseException | None]) -> None:
        try:
            for number, route in enumerate(self._routes):
                taken = intake.Intake(
                    route.queue, self._transformers[number], route.outputs,
                    stopping=self.stopping,
                    # All routes see the same messages: the first one tells.
                    dead_letters=None if number else self._dead_letters,
                    batch_size=self._conf.agent.batch_size)
                taken.start()
                self._intakes.append(taken)
                server = self._server(url, route, taken)
                self._servers.append(server)
                server.start()
        except BaseException as exc:
            results.put(exc)
        else:
            LOG.info('The agent listens')
            results.put(None)

    def _server(self, url: str | None, route: Route,
                taken: intake.Intake | None) -> messaging.BatchServer:
        options = self._conf.agent
        targets = [
            oslo_messaging.Target(topic=topic, exchange=exchange)
            for exchange in dict.fromkeys(options.exchanges)
            for topic in dict.fromkeys(options.topics)]
        return messaging.BatchServer(
            messaging.get_transport(self._conf, url), targets,
            taken.submit if taken else _ignore, pool=route.queue)


def routes(sinks: list[pipeline.Sink], loader: base.Loader, pool: str,
           ) -> list[Route]:
    """Share out the sinks of a pipeline: the alarms first, each other alone.

    :raises ConfigurationError: a URL has no publisher, or wrong options
    """
    main: list[intake.Output] = []
    others: list[Route] = []
    for sink in sinks:
        publishers = [loader.load(found) for found in sink.endpoints]
        alarms = [found for found in publishers if found.feeds_alarms]
        rest = [found for found in publishers if not found.feeds_alarms]
        if alarms:
            main.append(intake.Output(sink, alarms))
        if rest:
            others.append(Route(
                '%s-%s' % (pool or 'doctor_alarm', sink.name),
                [intake.Output(sink, rest)]))
    return ([Route(pool, main)] if main else []) + others


def _ignore(_incoming: object) -> None:
    """Take nothing: only the queues are declared."""
