# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-monitor: looks for faults and posts them to the event API."""
from __future__ import annotations

import sys

from oslo_config import cfg

from doctor_alarm import conf as conf_mod
from doctor_alarm import exception
from doctor_alarm.monitors import service as monitors
from doctor_alarm import service

CLI_OPTS = [
    cfg.MultiStrOpt(
        'plugin', positional=True, default=[],
        help='Which monitors to run: ping, nova_service, libvirt, or others '
             'that are installed.'),
]


def main() -> int:
    """Run until told to end; return the exit status."""
    try:
        conf = conf_mod.prepare(
            sys.argv[1:], name='doctor-alarm-monitor', cli_opts=CLI_OPTS)
        names = list(dict.fromkeys(conf.plugin))
        if not names:
            raise exception.ConfigurationError(
                where='doctor-alarm-monitor',
                reason='which monitor? Installed are: %s' % ', '.join(
                    monitors.installed()))
        worker = monitors.MonitorService(conf, names)
    except exception.DoctorAlarmException as exc:
        return service.fail(exc)
    return service.run(conf, worker)


if __name__ == '__main__':
    sys.exit(main())
