# SPDX-License-Identifier: Apache-2.0
"""Runs commands of Aodh's clients, as they are, without starting each anew.

The modules of a client take seconds to load. Here they are loaded once, and a
copy of that process runs a command and ends. Its command line, its output and
its exit status are those of the program.
"""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile

import fixtures

MODULES = {'openstack': 'openstackclient.shell', 'aodh': 'aodhclient.shell'}


class Client(fixtures.Fixture):
    """``run(*arguments)`` returns (status, output, errors)."""

    def __init__(self, program):
        self._program = program

    def _setUp(self):
        self._server = subprocess.Popen(
            [sys.executable, '-m', __name__, self._program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={name: value for name, value in os.environ.items()
                 if not name.startswith(('OS_', 'AODH_'))})
        self.addCleanup(self._stop)

    def _stop(self):
        self._server.kill()
        self._server.communicate()

    def run(self, *arguments, **environment):
        self._server.stdin.write(
            json.dumps([arguments, environment]) + '\n')
        self._server.stdin.flush()
        return tuple(json.loads(self._server.stdout.readline()))


def serve(program):
    """Run what comes, a command per line."""
    main = importlib.import_module(MODULES[program]).main
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(
            SystemExit):
        main(['help', 'alarm', 'list'])
    for line in sys.stdin:
        with tempfile.TemporaryFile('w+') as out, tempfile.TemporaryFile(
                'w+') as errors:
            child = os.fork()
            if not child:
                arguments, environment = json.loads(line)
                os.environ.update(environment)
                run(main, arguments, out, errors)
            _pid, status = os.waitpid(child, 0)
            out.seek(0)
            errors.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(status),
                              out.read(), errors.read()]), flush=True)


def run(main, arguments, out, errors):
    """Be the program; does not return."""
    os.dup2(out.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    # Some options are looked for there, whatever a client is called with.
    sys.argv[1:] = arguments
    status = 1
    try:
        status = main(arguments) or 0
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == '__main__':
    serve(sys.argv[1])
