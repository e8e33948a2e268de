# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-agent: notifications of the services to events."""
from __future__ import annotations

import sys

from doctor_alarm.agent import service as agent
from doctor_alarm import conf as conf_mod
from doctor_alarm import dead_letter
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm import service


def main() -> int:
    """Run until told to end; return the exit status."""
    try:
        conf = conf_mod.prepare(sys.argv[1:], name='doctor-alarm-agent')
        worker = agent.AgentService(conf, dead_letter.QueueDeadLetters(
            messaging.get_own_transport(conf)))
        if conf.agent.workers > 1:
            worker.check()
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker, conf.agent.workers)


if __name__ == '__main__':
    sys.exit(main())
