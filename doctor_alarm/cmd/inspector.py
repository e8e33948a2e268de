# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-inspector: from a faulty host to the servers on it."""
from __future__ import annotations

import sys

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm.inspector import service as inspector
from doctor_alarm import service


def main() -> int:
    """Run the inspector until SIGTERM."""
    try:
        conf = project_conf.prepare(
            sys.argv[1:], name='doctor-alarm-inspector')
        worker = inspector.InspectorService(conf)
        if conf.inspector.workers > 1:
            worker.check()
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker, conf.inspector.workers)


if __name__ == '__main__':
    sys.exit(main())
