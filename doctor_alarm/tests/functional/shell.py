# SPDX-License-Identifier: Apache-2.0
"""A user's shell, in which ``openstack`` starts at once."""

import json
import os
import pathlib
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading

import fixtures

from doctor_alarm.tests.functional.api import commands

#: Asks the client that is loaded already.
_PROGRAM = """#!%(python)s -IS
import json, os, socket, sys
asked = sys.argv[1:], {name: value for name, value in os.environ.items()
                       if name.startswith('OS_')}
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(%(path)r)
    sock.sendall(json.dumps(asked).encode() + b'\\n')
    status, output, errors = json.load(sock.makefile())
sys.stdout.write(output)
sys.stderr.write(errors)
sys.exit(status)
"""


class Shell(fixtures.Fixture):
    """A bash, in which variables and functions last.

    :param programs: {name: text} of scripts that it finds as well
    :param environment: what is set in it
    """

    def __init__(self, programs=None, **environment):
        self._programs = programs or {}
        self._environment = environment

    def _setUp(self):
        # The path of a socket has to be short.
        folder = pathlib.Path(self.useFixture(
            fixtures.TempDir(rootdir=tempfile.gettempdir())).path)
        self._serve(str(folder / 'client'))
        for name, text in {**self._programs, 'openstack': _PROGRAM % {
                'python': sys.executable,
                'path': str(folder / 'client')}}.items():
            program = folder / name
            program.write_text(text)
            program.chmod(stat.S_IRWXU)
        self._path = '%s:%s' % (folder, os.environ['PATH'])
        self.begin()
        self.addCleanup(self._end)

    def _serve(self, path):
        client = self.useFixture(commands.Client('openstack'))

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                arguments, environment = json.loads(self.rfile.readline())
                self.wfile.write(json.dumps(client.run(
                    *arguments, **environment)).encode())

        server = socketserver.UnixStreamServer(path, Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True,
                         kwargs={'poll_interval': 0.02}).start()

    def begin(self, **variables):
        """Begin anew, with these variables beside the environment."""
        self._end()
        self._errors = tempfile.TemporaryFile('w+')  # noqa: SIM115
        self._bash = subprocess.Popen(
            ['bash', '--noprofile', '--norc', '-eu', '-o', 'pipefail'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, text=True,
            env={'PATH': self._path, 'HOME': '/nonexistent',
                 'LC_ALL': 'C.UTF-8', 'no_proxy': '*',
                 **self._environment, **variables})

    def run(self, script):
        """Run a script to its end; return what it printed.

        :raises AssertionError: a command failed
        """
        self._bash.stdin.write('{ %s\n} < /dev/null\nprintf "\\0\\n"\n'
                               % script)
        self._bash.stdin.flush()
        lines = []
        for line in self._bash.stdout:
            if line.endswith('\0\n'):
                return ''.join(lines) + line[:-2]
            lines.append(line)
        self._errors.seek(0)
        raise AssertionError('%s\nprinted %s\nand failed: %s' % (
            script, ''.join(lines), self._errors.read()))

    def _end(self):
        if bash := getattr(self, '_bash', None):
            bash.kill()
            bash.communicate()
            self._errors.close()
