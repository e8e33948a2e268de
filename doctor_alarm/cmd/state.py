# SPDX-License-Identifier: Apache-2.0
"""Which service the commands of an operator are about."""
from __future__ import annotations

import os
from typing import Any

from oslo_config import cfg

from doctor_alarm import exception
from doctor_alarm import standalone

PATH = cfg.StrOpt(
    'state-path', help='Folder of a standalone service, instead of database '
    'and broker of the configuration.')

DEFAULTS: dict[tuple[str, str | None], Any] = {
    # What they do goes to the terminal, not to the log.
    ('log_file', None): '/dev/null',
    # Who waits at the terminal can try again himself.
    ('max_retries', 'database'): 1,
    ('retry_interval', 'database'): 0,
}


def use(conf: cfg.ConfigOpts, new: bool = False) -> None:
    """Work on the standalone service of ``--state-path``, if it is given.

    :param new: it may be a folder that nobody ever used
    :raises Invalid: there is no such service
    """
    if not conf.state_path:
        return
    if not new and not os.path.exists(
            os.path.join(conf.state_path, 'doctor-alarm.sqlite')):
        raise exception.Invalid(
            'No standalone service has its state in %s' % conf.state_path)
    for (option, group), value in standalone.DEFAULTS.items():
        conf.set_default(option, value, group=group)
    conf.set_override(
        'connection', standalone.database_url(conf.state_path),
        group='database')
