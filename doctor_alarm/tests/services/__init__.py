# SPDX-License-Identifier: Apache-2.0
"""Real brokers and databases for the functional tests.

Each is a private instance on free loopback ports with its data in a temporary
directory. Most tests want a clean corner of the instance that their worker
process shares::

    self.bus = self.useFixture(rabbitmq.VirtualHost())      # .url
    self.database = self.useFixture(mariadb.Database())     # .url

and a test that takes the server away may do so, for the next user of the
shared instance finds it started again::

    self.bus.server.kill()
    self.bus.server.start()
"""

import atexit
import os

import fixtures

from doctor_alarm.tests.services import process

_shared: dict[tuple[int, type], process.Service | process.ServiceFailed] = {}


def shared(kind: type[process.Service]) -> process.Service:
    """The instance of this worker process, running.

    :raises ServiceFailed: also on every later call, without a new attempt
    """
    key = (os.getpid(), kind)
    if key not in _shared:
        _shared[key] = _start(kind)
    service = _shared[key]
    if isinstance(service, process.ServiceFailed):
        raise service
    if not service.running:
        service.start()
    return service


def _start(kind):
    service = kind()
    try:
        service.setUp()
    except fixtures.MultipleExceptions as errors:
        # what went wrong, and the details that a test would show
        return process.ServiceFailed(str(errors.args[0][1]))
    atexit.register(service.cleanUp)
    return service
