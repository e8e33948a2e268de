# SPDX-License-Identifier: Apache-2.0
"""Forgets what is older than it is to be kept, once a day."""
from __future__ import annotations

import logging
import random
import threading

from oslo_config import cfg

from doctor_alarm.db import api as db_api
from doctor_alarm import exception
from doctor_alarm.objects import purge
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

#: Seconds within which the first time comes: services that start together, or
#: again and again, do it one after another, and do it.
FIRST = 3600.0
DAY = 86400


def check(conf: cfg.ConfigOpts) -> None:
    """Look for options that contradict each other.

    :raises ConfigurationError: names them
    """
    days = conf.retention.days
    if days and days * DAY < conf.evaluator.max_event_age:
        raise exception.ConfigurationError(
            where='[retention] days', reason=(
                'must not be less than [evaluator] max_event_age: what is '
                'kept tells a repeated message from a new one'))


class Retention:
    """A thread that purges; any number of them may work on one database."""

    def __init__(self, conf: cfg.ConfigOpts, db: db_api.Database) -> None:
        """Do nothing yet.

        :raises ConfigurationError: see :func:`check`
        """
        check(conf)
        self._days = conf.retention.days
        self._db = db
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='retention', daemon=True)

    def start(self) -> None:
        """Start the thread, if anything is to be forgotten."""
        if self._days:
            self._thread.start()

    def stop(self) -> None:
        """End it; a purge that is under way is left where it is."""
        self._stopping.set()

    def _run(self) -> None:
        pause = random.uniform(0, FIRST)    # noqa: S311
        while not self._stopping.wait(pause):
            self._purge()
            pause = DAY

    def _purge(self) -> None:
        try:
            counts = purge.purge(self._db, self._days)
        except Exception as exc:
            # Another one may be at it, or the database away: the next time.
            LOG.warning('What is older than %d days could not be deleted: %s',
                        self._days, redact.text(' '.join(str(exc).split())))
            return
        LOG.info('Deleted what is older than %d days: %s', self._days,
                 ', '.join('%s %d' % item for item in counts.items()))
