# SPDX-License-Identifier: Apache-2.0
"""The monitor of libvirt, on a real libvirt with its test driver."""

import logging
import os
import threading

import fixtures
import libvirt
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm.monitors import libvirt as monitor
from doctor_alarm.tests import base
from doctor_alarm.tests.services import libvirtd
from doctor_alarm.tests.unit.monitors import recorder


class LibvirtTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.reporter = recorder.Recorder()
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[])

    def start(self, uri, **options):
        for name, value in {
                'uri': uri, 'host': 'compute-1', 'hold_down': 0,
                'retry_max': 0.5, 'keepalive_interval': 1,
                **options}.items():
            self.conf.set_override(name, value, group='monitor_libvirt')
        self.monitor = monitor.LibvirtMonitor(self.conf, self.reporter)
        self.monitor.open()
        stopping = threading.Event()
        thread = threading.Thread(
            target=self.monitor.run, args=(stopping,), daemon=True)
        before = self.log.output.count('Listening')
        thread.start()
        self.addCleanup(thread.join, 60)
        self.addCleanup(stopping.set)
        self.listening(before + 1)

    def listening(self, times):
        self.wait_until(
            lambda: self.log.output.count('Listening') == times)

    def expect(self, *told):
        self.wait_until(
            lambda: [f.type for f in self.reporter.findings] == list(told),
            message=lambda: self.reporter.findings)

    def domain(self, uri):
        """Return the one domain, on a connection of somebody else."""
        connection = libvirt.open(uri)
        self.addCleanup(connection.close)
        return connection.lookupByName('test')

    def crash(self, domain):
        """Let the guest crash, as the test driver can."""
        path = os.path.join(self.folder, 'core')
        domain.coreDump(path, libvirt.VIR_DUMP_CRASH)
        self.assertEqual(libvirt.VIR_DOMAIN_SHUTOFF, domain.state()[0])


class InProcessTest(LibvirtTest):
    """test:///default, without a daemon."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def test_a_server_crashes_and_is_started(self):
        self.start('test:///default')
        domain = self.domain('test:///default')
        self.crash(domain)
        self.expect('compute.vm.down')
        domain.create()
        self.expect('compute.vm.down', 'compute.vm.up')

        finding = self.reporter.findings[0]
        self.assertEqual({
            'hostname': 'compute-1', 'instance_id': domain.UUIDString(),
            'reason': 'crashed'}, finding.details)


class DaemonTest(LibvirtTest):
    """With a libvirtd in between, as on a compute host."""

    def setUp(self):
        super().setUp()
        self.libvirtd = self.useFixture(libvirtd.Libvirtd())
        # where both of us may write
        self.folder = str(self.libvirtd.directory)

    def test_a_server_crashes_and_is_started(self):
        self.start(self.libvirtd.url)
        domain = self.domain(self.libvirtd.url)
        for number in range(3):
            self.crash(domain)
            self.expect(*['compute.vm.down', 'compute.vm.up'] * number,
                        'compute.vm.down')
            domain.create()
            self.expect(*['compute.vm.down', 'compute.vm.up'] * (number + 1))

    def test_what_somebody_wants_is_no_fault(self):
        self.start(self.libvirtd.url)
        domain = self.domain(self.libvirtd.url)
        domain.destroy()
        domain.create()
        domain.suspend()
        domain.resume()
        domain.shutdown()
        domain.create()

        # then: what comes after all of it is the first that is told
        self.crash(domain)
        self.expect('compute.vm.down')

    def test_watchdogs_and_disks(self):
        """The test driver has none: libvirt's call is made in its place."""
        self.start(self.libvirtd.url)
        domain = self.domain(self.libvirtd.url)
        self.monitor._on_watchdog(
            None, domain, libvirt.VIR_DOMAIN_EVENT_WATCHDOG_RESET, None)
        self.monitor._on_io_error(
            None, domain, '/dev/sdb', 'virtio-disk0',
            libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE, 'enospc', None)
        self.monitor._on_io_error(
            None, domain, '', 'virtio-disk1',
            libvirt.VIR_DOMAIN_EVENT_IO_ERROR_REPORT, None, None)
        self.expect('compute.vm.watchdog', 'compute.vm.io_error',
                    'compute.vm.io_error')

        self.assertEqual(['reset', 'pause', 'report'], [
            finding.details['action'] for finding in self.reporter.findings])
        self.assertEqual({domain.UUIDString()}, {
            finding.details['instance_id']
            for finding in self.reporter.findings})
        domain.suspend()
        domain.resume()
        self.expect('compute.vm.watchdog', 'compute.vm.io_error',
                    'compute.vm.io_error', 'compute.vm.up')

    def test_a_libvirtd_that_is_killed(self):
        self.start(self.libvirtd.url)
        self.crash(self.domain(self.libvirtd.url))
        self.expect('compute.vm.down')

        self.libvirtd.kill()
        self.wait_until(lambda: 'No events from libvirt' in self.log.output)
        self.libvirtd.start()
        self.listening(2)

        # the new one has started its domains
        self.expect('compute.vm.down', 'compute.vm.up')
        self.crash(self.domain(self.libvirtd.url))
        self.expect('compute.vm.down', 'compute.vm.up', 'compute.vm.down')

    def test_a_libvirtd_that_hangs(self):
        self.start(self.libvirtd.url)
        self.libvirtd.hang()
        self.addCleanup(self.libvirtd.go_on)
        self.wait_until(lambda: 'No events from libvirt' in self.log.output)
        self.libvirtd.go_on()
        self.listening(2)

        self.crash(self.domain(self.libvirtd.url))
        self.expect('compute.vm.down')

    def test_a_libvirtd_that_comes_later(self):
        self.libvirtd.kill()
        uri = self.libvirtd.url
        starting = threading.Timer(1.0, self.libvirtd.start)
        starting.start()
        self.addCleanup(starting.join)
        self.start(uri)

        self.crash(self.domain(uri))
        self.expect('compute.vm.down')

    def test_one_that_crashed_before(self):
        self.crash(self.domain(self.libvirtd.url))
        self.start(self.libvirtd.url)

        self.expect('compute.vm.down')
