# SPDX-License-Identifier: Apache-2.0
"""The API as a process."""
from __future__ import annotations

import logging
from typing import Any

from oslo_config import cfg

from doctor_alarm.api import app
from doctor_alarm.api import events
from doctor_alarm.api import server
from doctor_alarm.db import api as db_api
from doctor_alarm.db import schema
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm import service

LOG = logging.getLogger(__name__)

PUBLISHER_ID = 'doctor_alarm.api'

#: While the database is away, clients are told so at once.
DEFAULTS: dict[tuple[str, str | None], Any] = {
    ('max_retries', 'database'): 1, ('retry_interval', 'database'): 0}


def make_app(conf: cfg.ConfigOpts) -> Any:
    """Return the application of the distributed service.

    Broker and database are connected to by the first request that needs
    them, hence after a fork.

    :raises ConfigurationError: it can not work as configured
    """
    check(conf)
    db = db_api.Database(conf)
    schema.check(db)
    db.dispose()
    publisher = messaging.Publisher(
        messaging.get_own_transport(conf), conf.evaluator.event_topic,
        PUBLISHER_ID, deadline=conf.api.publish_timeout)
    return app.build_app(conf, db, events.BusEvents(publisher))


def check(conf: cfg.ConfigOpts) -> None:
    """Look for what nobody can want.

    :raises ConfigurationError: names it
    """
    if conf.api.auth_mode == 'noauth' and not server.is_loopback(
            str(conf.api.host)):
        raise exception.ConfigurationError(
            where='[api] auth_mode = noauth', reason=(
                'anybody who reaches [api] host %s would be an administrator'
                % conf.api.host))


class ApiService(service.Service):
    """The application behind its own HTTP server."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._server = server.Server(conf, make_app(conf))

    def open(self) -> None:
        """Listen."""
        self._server.start()
        LOG.info('The API listens on %s', self._server.url)

    def close(self) -> None:
        """Answer what was asked and end."""
        self._server.stop()
