# SPDX-License-Identifier: Apache-2.0
"""Repeats what a message waits for before it is acknowledged."""
from __future__ import annotations

from collections.abc import Callable
import logging
import threading

from doctor_alarm import exception
from doctor_alarm.messaging import transport
from doctor_alarm import metrics
from doctor_alarm import redact

LOG = logging.getLogger(__name__)

#: Seconds between attempts: the first pause, and the longest one.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


def insist(effect: Callable[[], object], what: str,
           stopping: threading.Event) -> bool:
    """Repeat an effect until it works; False: the service ends first.

    :param what: name of the effect in the log
    """
    pause, failed = FIRST_PAUSE, False
    while True:
        try:
            effect()
        except Exception as exc:
            metrics.RETRIES.labels(effect='publish').inc()
            if not failed:
                LOG.warning('%s fails, trying on: %s', what, _describe(exc))
            failed = True
        else:
            if failed:
                LOG.info('%s works again', what)
            return True
        if stopping.wait(pause):
            return False
        pause = min(2 * pause, LONGEST_PAUSE)


def _describe(exc: BaseException) -> str:
    text = transport.reason_of(exc)
    if not isinstance(exc, exception.DoctorAlarmException):
        text = '%s: %s' % (type(exc).__name__, text)
    return redact.text(text)
