# SPDX-License-Identifier: Apache-2.0
"""A private libvirtd, with the test driver: domains without a hypervisor."""

import socket

from doctor_alarm.tests.services import process


class Libvirtd(process.Service):
    """Its domains are those of test:///default, fresh at every start."""

    name = 'libvirtd'
    # As an account like any other it keeps to the folders that it is given.
    user = 'nobody'

    @property
    def socket(self) -> str:
        return str(self.directory / 'libvirt' / 'libvirt-sock')

    @property
    def url(self) -> str:
        return 'test+unix:///default?socket=' + self.socket

    def _command(self):
        return [process.find_binary('libvirtd')]

    def _environment(self):
        return {**super()._environment(), **{
            'XDG_%s' % name: str(self.directory) for name in (
                'CACHE_HOME', 'CONFIG_HOME', 'DATA_HOME', 'RUNTIME_DIR')}}

    def _is_ready(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.socket)
        return True
