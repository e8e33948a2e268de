# SPDX-License-Identifier: Apache-2.0
"""The notifier as a worker: listens for wake-ups, sweeps, delivers."""
from __future__ import annotations

import logging
from typing import Any

from oslo_config import cfg
import oslo_messaging

from doctor_alarm.db import api as db_api
from doctor_alarm.db import schema
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm import metrics
from doctor_alarm.notifier import dispatcher
from doctor_alarm.notifier import retention
from doctor_alarm import service

LOG = logging.getLogger(__name__)


class NotifierService(service.Service):
    """Works without the bus as well, if later: the sweep finds everything."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf
        self._db: db_api.Database | None = None
        self._dispatcher: dispatcher.Dispatcher | None = None
        self._server: messaging.BatchServer | None = None
        self._retention: retention.Retention | None = None

    def open(self) -> None:
        """Start to deliver, then to listen."""
        metrics.serve(self._conf)
        self._db = db_api.Database(self._conf)
        schema.check(self._db)
        bus = messaging.get_hint_transport(self._conf)
        options = self._conf.notifier
        self._dispatcher = dispatcher.Dispatcher(
            self._conf, self._db, on_failure=self.failed,
            neighbourhood=messaging.name_of(bus, options.wakeup_topic)
            if options.wakeup_by_neighbours and not options.wakeup_pool
            else '')
        self._retention = retention.Retention(self._conf, self._db)
        self._dispatcher.start()
        self._retention.start()
        self._server = messaging.BatchServer(
            bus, [oslo_messaging.Target(
                exchange=messaging.HINT_EXCHANGE,
                topic=options.wakeup_topic)],
            self._on_message, pool=options.wakeup_pool, priorities=['sample'],
            arguments=messaging.HINT_BOUNDS.arguments)
        self._server.start()
        LOG.info('The notifier listens')

    def close(self) -> None:
        """Finish what is under way, give back the rest, take no wake-ups."""
        if self._retention is not None:
            self._retention.stop()
        if self._dispatcher is not None:
            # What comes meanwhile it gives back: the broker would give it to
            # somebody who may not believe it.
            self._dispatcher.stop()
        if self._server is not None:
            self._server.halt()
            self._server.disconnect()
        if self._db is not None:
            self._db.dispose()

    def _on_message(self, incoming: Any) -> None:
        try:
            assert self._dispatcher is not None     # noqa: S101
            redelivered = _redelivered(incoming)
            if redelivered:
                # Who got it before may be calling now: nobody else may, until
                # the lease is over.
                LOG.debug('A wake-up that somebody got before is left to the '
                          'sweep')
            else:
                self._dispatcher.wake(incoming.message['payload'],
                                      first=redelivered is not None)
        except (exception.Invalid, KeyError, TypeError):
            LOG.warning('A malformed wake-up was ignored')
        finally:
            # It is a hint: what was not taken is found by the sweep.
            incoming.acknowledge()


def _redelivered(incoming: Any) -> bool | None:
    """Whether somebody may have got a message before; None: who knows."""
    info: dict[str, bool] = getattr(incoming, 'delivery_info', {})
    return info.get('redelivered')
