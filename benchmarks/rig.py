# SPDX-License-Identifier: Apache-2.0
"""A broker, a database, a receiver, and services beside each other on them."""

import contextlib
import signal
import sys
import tempfile
import time

from doctor_alarm.tests import storage
import measure
import receiver as receiver_mod
import systems


class Rig(contextlib.ExitStack):
    """What all services of a run share; it goes with the block.

    :param receivers: servers of the receiver
    """

    def __init__(self, receivers=1, database='mariadb'):
        super().__init__()
        self._count = 0
        # Ended from outside, nothing stays behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.servers = systems.Servers(database)
        self.callback(self.servers.close)
        self.receiver = receiver_mod.Receiver(receivers)
        self.callback(self.receiver.stop)
        plain = storage.Storage()
        plain.setUp()
        self.callback(plain.cleanUp)
        self.conf = plain.conf

    def add(self, seeds, server=0, url=None, **kwargs):
        """Return a bench of a service that has its alarms, not started.

        :param server: of the receiver; ``None``: all of them, see ``url``
        :param url: function from the number of an alarm to its receiver
        """
        directory = self.enter_context(tempfile.TemporaryDirectory())
        system = systems.Ours(
            self.servers, directory, self._count, **kwargs)
        self._count += 1
        started = time.monotonic()
        system.store(seeds, url or self.receiver.url(server))
        say('%d alarms stored in %.0f s' % (
            seeds.count, time.monotonic() - started))
        self.callback(system.drop)
        self.callback(system.stop)
        return measure.Bench(
            self.servers, system,
            systems.publisher(self.servers, system, self.conf),
            self.receiver, server,
            systems.own_publisher(self.servers, system, self.conf))


def say(text):
    """Tell how far the run is."""
    print('%s %s' % (time.strftime('%H:%M:%S'), text), file=sys.stderr,
          flush=True)
