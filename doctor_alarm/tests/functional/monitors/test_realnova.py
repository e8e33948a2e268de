# SPDX-License-Identifier: Apache-2.0
"""The monitor of heartbeats, on a real nova."""

import threading

from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm.monitors import nova_service
from doctor_alarm.tests.realnova import base
from doctor_alarm.tests.unit.monitors import recorder

GROUP = 'monitor_nova_service'
#: Seconds: nova's service_down_time is a minute.
PATIENCE = 240


class HeartbeatTest(base.TestCase):

    DEFAULT_TIMEOUT = 900

    def setUp(self):
        super().setUp()
        self.dying, self.other = self.nova.hosts
        # Just started, nova may show heartbeats of an earlier life.
        self.wait_until(lambda: {'up'} == {
            self.nova.service(host)['state'] for host in self.nova.hosts},
            PATIENCE)
        self.reporter = recorder.Recorder()
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[])
        options = {**self.nova.credentials, 'auth_type': 'password',
                   'interface': 'public', 'interval': 1, 'hold_down': 0}
        for name, value in options.items():
            if name in self.conf[GROUP]:
                self.conf.set_override(name, value, group=GROUP)
        monitor = nova_service.NovaServiceMonitor(self.conf, self.reporter)
        stopping = threading.Event()
        thread = threading.Thread(
            target=monitor.run, args=(stopping,), daemon=True)
        thread.start()
        self.addCleanup(thread.join, 60)
        self.addCleanup(stopping.set)

    def expect(self, *told):
        self.wait_until(
            lambda: self.reporter.told == [
                ('host/' + host, state) for host, state in told],
            PATIENCE, lambda: self.reporter.told)

    def test_a_compute_is_killed_forced_down_and_started(self):
        # given: somebody who has forced down the other one by hand
        self.force_down(self.other)
        compute = self.nova.compute(self.dying)
        self.addCleanup(self._alive, compute)
        compute.kill()
        self.expect((self.dying, 'down'))

        # when: what an inspector does
        self.force_down(self.dying)
        compute.start()

        # then: nova says down, its heartbeat says up
        self.expect((self.dying, 'down'), (self.dying, 'up'))
        self.assertEqual('down', self.nova.service(self.dying)['state'])

    def _alive(self, compute):
        if not compute.running:
            compute.start()
