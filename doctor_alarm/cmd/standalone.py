# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-standalone: every part in one process, on SQLite."""
from __future__ import annotations

import sys

from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm import service
from doctor_alarm import standalone


def prepare(argv: list[str], name: str = 'doctor-alarm-standalone',
            ) -> cfg.ConfigOpts:
    """Return the configuration of a standalone service."""
    return project_conf.prepare(
        argv, name=name, cli_opts=standalone.CLI_OPTS,
        defaults=standalone.DEFAULTS)


def main() -> int:
    """Run the service until SIGTERM."""
    try:
        conf = prepare(sys.argv[1:])
        worker = standalone.Standalone(conf)
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker)


if __name__ == '__main__':
    sys.exit(main())
