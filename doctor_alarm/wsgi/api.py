# SPDX-License-Identifier: Apache-2.0
"""The API for WSGI servers: ``doctor_alarm.wsgi.api:application``.

There is no command line; ``OS_DOCTOR_ALARM_CONFIG_FILES`` (separated by
semicolons) and ``OS_DOCTOR_ALARM_CONFIG_DIR`` say where the configuration is
when it is not in the usual places.
"""
from __future__ import annotations

from collections.abc import Mapping
import os
import threading
from typing import Any

from doctor_alarm.api import service
from doctor_alarm import conf as conf_mod

_lock = threading.Lock()


def __getattr__(name: str) -> Any:
    # Made when a server asks for it: an import needs no configuration.
    if name != 'application':
        raise AttributeError(name)
    with _lock:
        if 'application' not in globals():
            globals()['application'] = service.make_app(conf_mod.prepare(
                arguments(os.environ), name='doctor-alarm-api',
                defaults=service.DEFAULTS))
    return globals()['application']


def arguments(environ: Mapping[str, str]) -> list[str]:
    """Return the command line that the environment stands for."""
    found = ['--config-file=%s' % path for path in environ.get(
        'OS_DOCTOR_ALARM_CONFIG_FILES', '').split(';') if path.strip()]
    folder = environ.get('OS_DOCTOR_ALARM_CONFIG_DIR', '').strip()
    if folder:
        found.append('--config-dir=%s' % folder)
    return found
