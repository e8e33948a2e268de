# SPDX-License-Identifier: Apache-2.0
"""The inspector as a process: faults from our hop, what follows onto it.

A message is acknowledged when the broker has confirmed everything that
follows from it. Until then it is the broker's: a killed inspector loses
nothing, and what it does again has the same ids.
"""
from __future__ import annotations

import datetime
import logging
import time
from typing import Any

from oslo_config import cfg
import oslo_messaging

from doctor_alarm import dead_letter
from doctor_alarm import event as event_mod
from doctor_alarm import exception
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import metrics
from doctor_alarm.inspector import stage
from doctor_alarm.inspector import worker
from doctor_alarm import messaging
from doctor_alarm import metrics as process_metrics
from doctor_alarm import redact
from doctor_alarm import service

LOG = logging.getLogger(__name__)

PUBLISHER_ID = 'doctor_alarm.inspector'

#: Messages whose events are published together.
BATCH = 50
#: Seconds that a SIGTERM waits for the batch in work.
DRAIN = 20.0


class InspectorService(service.Service):
    """Listens beside the evaluators, and publishes to them.

    :raises ConfigurationError: policy or map are wrong
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf
        self._stage = stage.Stage(conf)
        self._batches = messaging.Batcher('inspector', self._process, BATCH)
        self._server: messaging.BatchServer | None = None
        self._publisher: messaging.Publisher | None = None
        self._letters: dead_letter.QueueDeadLetters | None = None
        self._actions: messaging.BatchServer | None = None
        self._worker: worker.Worker | None = None
        options = conf.inspector
        if options.auth_type or options.auth_section:
            self._worker = worker.Worker(
                conf, cloud.Cloud(conf), self._publish, self.stopping)

    def check(self) -> None:
        """Stop before a fork where the queue has other settings.

        :raises QueueMismatch: says which
        """
        self._listener().check()
        if self._worker is not None:
            self._action_listener(self._worker).check()

    def open(self) -> None:
        """Connect to the broker and start to listen."""
        transport = messaging.get_own_transport(self._conf)
        self._publisher = messaging.Publisher(
            transport, self._conf.evaluator.event_topic, PUBLISHER_ID)
        self._letters = dead_letter.QueueDeadLetters(
            messaging.get_own_transport(self._conf))
        self._stage.start()
        self._batches.start()
        self._letters.declare_when_up(self.stopping)
        self._server = self._listener()
        self._server.start()
        if self._worker is not None:
            self._worker.start()
            self._actions = self._action_listener(self._worker)
            self._actions.start()
        process_metrics.serve(self._conf)
        LOG.info('The inspector listens')

    def close(self) -> None:
        """Publish what follows from what was taken, disconnect."""
        servers = [server for server in (self._server, self._actions)
                   if server is not None]
        for server in servers:
            server.halt()
        self._batches.stop(DRAIN)
        if self._worker is not None:
            self._worker.stop(DRAIN)
        self._stage.stop()
        for server in servers:
            server.disconnect()

    def reset(self) -> None:
        """Read policy and map again."""
        self._stage.reload()

    def _listener(self) -> messaging.BatchServer:
        return messaging.BatchServer(
            messaging.get_own_transport(self._conf),
            [oslo_messaging.Target(topic=self._conf.evaluator.event_topic)],
            self._batches.submit, pool=self._conf.inspector.event_pool,
            priorities=['sample'])

    def _action_listener(self, to: worker.Worker) -> messaging.BatchServer:
        def submit(incoming: Any) -> None:
            if incoming.message.get('publisher_id') == PUBLISHER_ID:
                to.submit(incoming)
            else:
                incoming.acknowledge()      # the work is in what it derives

        # What waits for nova is not acknowledged: more of it than elsewhere.
        return messaging.BatchServer(
            messaging.get_own_transport(self._conf, messaging.PREFETCH),
            [oslo_messaging.Target(topic=self._conf.evaluator.event_topic)],
            submit, pool=self._conf.inspector.action_pool,
            priorities=['sample'], arguments=messaging.ONE_BY_ONE)

    def _process(self, batch: list[Any]) -> None:
        started = time.monotonic()
        derived: list[event_mod.Event] = []
        done = []
        for incoming in batch:
            try:
                derived += self._inspect(incoming.message)
            except Exception as exc:
                # Not foreseen: this message is at fault, not the others.
                LOG.exception('A message broke the inspector')
                if not self._put_aside(incoming.message, exc):
                    continue
            done.append(incoming)
        if derived:
            if not self._publish(derived):
                return
            metrics.DERIVATION.observe(time.monotonic() - started)
        for incoming in done:
            incoming.acknowledge()

    def _inspect(self, message: dict[str, Any]) -> list[event_mod.Event]:
        publisher_id = str(message.get('publisher_id') or '')
        if publisher_id == PUBLISHER_ID:
            return []       # it was an inspector that derived it
        received = datetime.datetime.now(datetime.timezone.utc)
        payload = message.get('payload')
        derived = []
        for doc in payload if isinstance(payload, list) else [payload]:
            if not (isinstance(doc, dict)
                    and self._stage.concerns(doc.get('event_type'))):
                continue
            try:
                event = event_mod.Event.from_wire(
                    doc, received=received, publisher_id=publisher_id,
                    clean=True)
            except exception.InvalidEvent:
                continue    # the evaluators put it aside
            derived += self._stage.inspect(event)
        return derived

    def _publish(self, derived: list[event_mod.Event]) -> bool:
        publisher = self._publisher
        assert publisher is not None    # noqa: S101
        groups = list(messaging.chunks(event.to_wire() for event in derived))

        def effect() -> None:
            while groups:
                publisher.publish('event', groups[0])
                groups.pop(0)

        return messaging.insist(effect, 'Publishing', self.stopping)

    def _put_aside(self, message: dict[str, Any], exc: Exception) -> bool:
        letters = self._letters
        assert letters is not None      # noqa: S101
        message_id = event_mod.plain_text(
            str(message.get('message_id') or ''))[:255]
        body = redact.tree(message)
        return messaging.insist(lambda: letters.put(
            'broke the inspector: %s' % type(exc).__name__, message_id,
            self._conf.inspector.event_pool, body), 'Putting aside',
            self.stopping)
