# SPDX-License-Identifier: Apache-2.0
"""Notifiers with real receivers, in this process or in their own."""

import os
import subprocess
import sys

from doctor_alarm.notifier.plugins import http
from doctor_alarm.tests import dispatching
from doctor_alarm.tests import receiver

#: A notifier that delivers until it is killed: database, options.
_NOTIFIER = """
import json, sys, time
from doctor_alarm.notifier import dispatcher
from doctor_alarm.tests import storage
given = storage.Storage(sys.argv[1])
given.setUp()
for name, value in json.loads(sys.argv[2]).items():
    given.conf.set_override(name, value, group='notifier')
dispatcher.Dispatcher(given.conf, given.db).start()
print('ready', flush=True)
time.sleep(600)
"""
_OPTIONS = ('{"timeout": 0.5, "lease": 2.0, "sweep_interval": 0.1,'
            ' "retry_initial": 0.1, "retry_max": 0.5}')


class NotifierTests(dispatching.DispatcherTests):
    """Mixed into a test case."""

    def http(self):
        """Start a dispatcher that delivers over HTTP."""
        return self.a_dispatcher({'http': http.HttpNotifier(self.conf)})

    def a_receiver(self, **kwargs):
        return self.useFixture(receiver.Receiver(**kwargs))

    def lanes_to(self, hook, count, alarm_id=None):
        return [self.outbox.lane('%s%d' % (hook.url, i), alarm_id)
                for i in range(count)]

    def a_process(self):
        """Start a notifier that can be killed."""
        child = subprocess.Popen(
            [sys.executable, '-c', _NOTIFIER, self.storage.url, _OPTIONS],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=dict(os.environ))
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.addCleanup(child.stdout.close)
        self.assertEqual(b'ready\n', child.stdout.readline())
        return child
