# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-evaluator: events to transitions and deliveries."""
from __future__ import annotations

import sys

from doctor_alarm import conf as project_conf
from doctor_alarm.evaluator import service as evaluator
from doctor_alarm import exception
from doctor_alarm import service


def main() -> int:
    """Run the evaluator until SIGTERM."""
    try:
        conf = project_conf.prepare(
            sys.argv[1:], name='doctor-alarm-evaluator')
        worker = evaluator.EvaluatorService(conf)
        if conf.evaluator.workers > 1:
            worker.check()
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker, conf.evaluator.workers)


if __name__ == '__main__':
    sys.exit(main())
