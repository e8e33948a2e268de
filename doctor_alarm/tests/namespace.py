# SPDX-License-Identifier: Apache-2.0
"""Networks of our own: what runs in them can lose a host and harms nobody."""

import os
import subprocess

import fixtures

#: Where hosts are, and where those are that ping them.
HOST = '10.213.0.2'
_NEAR = '10.213.0.1/24'


def command(*arguments):
    """Return a command line that runs something in a network of its own."""
    privilege = []
    if os.getuid() != 0:
        # It stays who it is, so that the services run as they do elsewhere.
        privilege = ['--map-current-user', '--keep-caps']
    return ['unshare', '--net', *privilege, *arguments]


def ip(*arguments):
    subprocess.run(['ip', *arguments], check=True, capture_output=True)


class Host(fixtures.Fixture):
    """A network namespace at the other end of a cable, with an address.

    Only for what was started with ``command``.
    """

    address = HOST

    def _setUp(self):
        ip('link', 'set', 'lo', 'up')
        # It lasts as long as it has somebody in it, who ends with us.
        inside = subprocess.Popen(
            ['unshare', '--net', 'cat'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self._inside = inside
        self.addCleanup(self._end)
        # What it repeats is said in the new network.
        inside.stdin.write(b'ready')
        inside.stdin.flush()
        inside.stdout.read(5)
        ip('link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'far',
           'netns', str(inside.pid))
        ip('address', 'add', _NEAR, 'dev', 'cable')
        ip('link', 'set', 'cable', 'up')
        self._there('link', 'set', 'far', 'up')
        self.come_back()

    def go_away(self):
        """Answer nothing any more."""
        self._there('address', 'del', HOST + '/24', 'dev', 'far')

    def come_back(self):
        self._there('address', 'add', HOST + '/24', 'dev', 'far')

    def _there(self, *arguments):
        subprocess.run(
            ['nsenter', '--net', '--target', str(self._inside.pid), 'ip',
             *arguments], check=True, capture_output=True)

    def _end(self):
        self._inside.stdin.close()
        self._inside.wait(10)
        self._inside.stdout.close()
