# SPDX-License-Identifier: Apache-2.0
"""Where the commands begin: ready for signals before all else is imported.

That takes a second or two, in which a SIGHUP would end a service, and Ctrl-C
print a traceback.
"""
from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

#: What reads its options again on SIGHUP, once it has read them.
SERVICES = frozenset((
    'agent', 'api', 'evaluator', 'inspector', 'monitor', 'notifier',
    'standalone'))
#: What a shell expects of what Ctrl-C ended.
INTERRUPTED = 128 + signal.SIGINT


def run(name: str) -> int:
    """Run the command of a module of this package; return its status."""
    if name in SERVICES:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interruptible = signal.getsignal(
        signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    command = importlib.import_module('doctor_alarm.cmd.' + name)
    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status: int = command.main()
    except KeyboardInterrupt:
        print('Interrupted', file=sys.stderr)
        return INTERRUPTED
    return status


def _end(*_: Any) -> None:
    # An exception would pass through code of others that may swallow it.
    os.write(2, b'Interrupted\n')
    os._exit(INTERRUPTED)


def agent() -> int:
    """doctor-alarm-agent"""
    return run('agent')


def api() -> int:
    """doctor-alarm-api"""
    return run('api')


def evaluator() -> int:
    """doctor-alarm-evaluator"""
    return run('evaluator')


def inspector() -> int:
    """doctor-alarm-inspector"""
    return run('inspector')


def manage() -> int:
    """doctor-alarm-manage"""
    return run('manage')


def monitor() -> int:
    """doctor-alarm-monitor"""
    return run('monitor')


def notifier() -> int:
    """doctor-alarm-notifier"""
    return run('notifier')


def standalone() -> int:
    """doctor-alarm-standalone"""
    return run('standalone')


def status() -> int:
    """doctor-alarm-status"""
    return run('status')


if __name__ == '__main__':
    # tools/quickstart.sh: the name of the command, then its arguments
    sys.exit(run(sys.argv.pop(1)))
