# SPDX-License-Identifier: Apache-2.0
"""What the event API was told to be down, kept over a restart."""
from __future__ import annotations

import contextlib
import json
import logging
import os
import threading

from doctor_alarm import exception
from doctor_alarm.monitors import base

LOG = logging.getLogger(__name__)


class Memory:
    """The subjects that are down, or have a fault, for the event API.

    :param path: of a file; empty: it is all forgotten at the end
    :raises ConfigurationError: the file can not be read or written
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._down: dict[str, None] = {}
        if path:
            self._read()
            self._write()

    def __contains__(self, subject: str) -> bool:
        return subject in self._down

    def told(self, findings: list[base.Finding]) -> None:
        """Take note of what was posted."""
        with self._lock:
            before = set(self._down)
            for finding in findings:
                if finding.status == base.UP:
                    self._down.pop(finding.subject, None)
                else:
                    self._down[finding.subject] = None
            self._keep(before)

    def forget(self, subject: str) -> None:
        """Take note that nobody looks at a subject any more."""
        with self._lock:
            before = set(self._down)
            self._down.pop(subject, None)
            self._keep(before)

    def _keep(self, before: set[str]) -> None:
        if not self._path or before == set(self._down):
            return
        try:
            self._write()
        except exception.ConfigurationError as exc:
            LOG.error('%s', exc)

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                with open(self._path) as file:
                    found = json.load(file)
                self._down = dict.fromkeys(str(name) for name in found)
            except FileNotFoundError:
                raise
            except (OSError, ValueError, TypeError) as exc:
                self._wrong(exc)

    def _write(self) -> None:
        beside = self._path + '.new'
        try:
            with open(beside, 'w') as file:
                json.dump(list(self._down), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        except OSError as exc:
            self._wrong(exc)

    def _wrong(self, exc: Exception) -> None:
        raise exception.ConfigurationError(
            where='[monitor] state_file = %s' % self._path,
            reason=getattr(exc, 'strerror', None)
            or 'is not a list of names') from None
