# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-api: alarm definitions, and events over HTTP."""
from __future__ import annotations

import sys

from doctor_alarm.api import server
from doctor_alarm.api import service as api
from doctor_alarm import conf as conf_mod
from doctor_alarm import exception
from doctor_alarm import service


def main() -> int:
    """Run until told to end; return the exit status."""
    try:
        conf = conf_mod.prepare(sys.argv[1:], name='doctor-alarm-api',
                                defaults=api.DEFAULTS)
        worker = api.ApiService(conf)
        if conf.api.workers > 1:
            server.check_port(conf)
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker, conf.api.workers)


if __name__ == '__main__':
    sys.exit(main())
