# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-notifier: delivers notifications to their receivers."""
from __future__ import annotations

import sys

from doctor_alarm import conf as conf_mod
from doctor_alarm import exception
from doctor_alarm.notifier import service as notifier
from doctor_alarm import service


def main() -> int:
    """Run until told to end; return the exit status."""
    try:
        conf = conf_mod.prepare(sys.argv[1:], name='doctor-alarm-notifier')
        worker = notifier.NotifierService(conf)
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker, conf.notifier.workers)


if __name__ == '__main__':
    sys.exit(main())
