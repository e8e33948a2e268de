# SPDX-License-Identifier: Apache-2.0
"""What the private services have in common: ports, users, processes.

A service runs in its own session, so that it can be ended through
one process group, and beside it runs a guard: a shell that waits for
the end of a pipe held by this process and then ends the group and removes the
data. That way nothing outlives a test worker, however the worker ended.
"""

import contextlib
import glob
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import fixtures
import psutil

HOST = '127.0.0.1'

# Taken at import: every test redirects tempfile to a directory of its own,
# and a shared service outlives the test that happened to start it.
TEMP_DIR = tempfile.gettempdir()

# Below Linux's ephemeral range, else an outgoing connection may take the
# port while its service is stopped.
PORTS = range(12000, 32000)

GUARD = 'cat >/dev/null; kill -s KILL -- "-$1"; sleep 0.2; rm -rf "$2"'


class ServiceFailed(Exception):
    """A service could not be started; the message has the end of its log."""


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind((HOST, port))
            return port
    raise ServiceFailed('no free port found')


def find_binary(name: str, *folders: str) -> str:
    """Find a program in PATH, the sbin folders or versioned folders."""
    path = os.pathsep.join(
        [match for folder in folders
         for match in sorted(glob.glob(folder), reverse=True)]
        + [os.environ.get('PATH', os.defpath), '/usr/sbin', '/sbin'])
    found = shutil.which(name, path=path)
    if not found:
        raise ServiceFailed(
            '%s is not installed; "bindep test" lists the packages' % name)
    return found


def exists(member: psutil.Process) -> bool:
    """Whether a process is there, and not just waiting to be reaped."""
    try:
        return (member.is_running()
                and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_stopped(member: psutil.Process) -> bool:
    """Whether all threads of a process are."""
    states = []
    for thread in member.threads():
        with contextlib.suppress(psutil.NoSuchProcess):
            states.append(psutil.Process(thread.id).status())
    return set(states) <= {psutil.STATUS_STOPPED}


class Service(fixtures.Fixture):
    """A private instance of a server; subclasses say which.

    ``stop``, ``kill`` and ``start`` keep the ports and the data.
    """

    name = ''
    user = ''            # taken on when the tests run as root
    stop_signal = signal.SIGTERM
    start_timeout = 180
    stop_timeout = 30

    def _setUp(self):
        self.port = free_port()
        self._process = self._guard = None
        self.directory = pathlib.Path(
            tempfile.mkdtemp(prefix='da-%s-' % self.name, dir=TEMP_DIR))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self._identity = self._choose_identity()
        if self._identity:
            shutil.chown(self.directory, self.user, self._identity['group'])
        self.log_file = self.directory / 'output.log'
        self.addCleanup(self.kill)
        self._prepare()
        self.start()

    # For the subclasses

    def _prepare(self):
        """Create the data directory."""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        return {'HOME': str(self.directory), 'LC_ALL': 'C.UTF-8',
                'PATH': os.environ.get('PATH', os.defpath)}

    def _is_ready(self) -> bool:
        """Whether the server does its work; may raise OSError if not."""
        raise NotImplementedError

    # For the tests

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self):
        """Start the server and wait until it works."""
        self._spawn()
        deadline = time.monotonic() + self.start_timeout
        while not self._ready():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise ServiceFailed('%s did not start:\n%s' % (
                    self.name, self.log_tail()))
            time.sleep(0.05)

    def stop(self):
        """Let the server end as on an orderly shutdown."""
        self._end(self.stop_signal)

    def kill(self):
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def hang(self):
        """Let it accept connections and never answer, until :meth:`go_on`."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        # On a busy machine a thread may go on for a while.
        deadline = time.monotonic() + self.stop_timeout
        while not all(_is_stopped(member) for member in self.processes()
                      if os.getpgid(member.pid) == self._process.pid):
            if time.monotonic() > deadline:
                raise ServiceFailed('%s does not hang' % self.name)
            time.sleep(0.01)

    def go_on(self):
        """Answer again."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def processes(self) -> list[psutil.Process]:
        """The processes of this service; zombies do not count."""
        if not self._process:
            return []
        try:
            main = psutil.Process(self._process.pid)
            # PostgreSQL's children leave the process group
            family = [main, *main.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        return [member for member in family if exists(member)]

    def log_tail(self, lines: int = 40) -> str:
        if not self.log_file.exists():
            return '(no log)'
        text = self.log_file.read_text(errors='replace')
        return '\n'.join(text.splitlines()[-lines:])

    # Processes

    def _choose_identity(self) -> dict:
        if os.getuid() != 0:
            return {}
        try:
            entry = pwd.getpwnam(self.user)
        except KeyError:
            return {}
        return {'user': entry.pw_uid, 'group': entry.pw_gid,
                'extra_groups': []}

    def _run(self, *command: str, **kwargs) -> str:
        """Run a command of the service to its end; its output is logged."""
        with self.log_file.open('ab') as log:
            try:
                subprocess.run(
                    command, check=True, env=self._environment(),
                    cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, timeout=120, **self._identity, **kwargs)
            except (OSError, subprocess.SubprocessError) as error:
                raise ServiceFailed('%s: %s\n%s' % (
                    self.name, error, self.log_tail())) from error

    def _popen(self, command: list[str]) -> subprocess.Popen:
        with self.log_file.open('ab') as log:
            return subprocess.Popen(
                command, env=self._environment(), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self._identity)

    def _spawn(self):
        self._process = self._popen(self._command())
        self._guard = subprocess.Popen(
            ['/bin/sh', '-c', GUARD, 'guard', str(self._process.pid),
             str(self.directory)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)

    def _ready(self) -> bool:
        try:
            return self.running and self._is_ready()
        except OSError:
            return False

    def _end(self, signum: int):
        if self._process is None:
            return
        family = self.processes()
        # The guard goes first: after the end of the group the kernel may
        # give its number to somebody else.
        self._guard.kill()
        self._guard.wait()
        self._guard.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signum)
        deadline = time.monotonic() + self.stop_timeout
        while self._process.poll() is None or any(map(exists, family)):
            if time.monotonic() > deadline:
                for member in filter(exists, family):
                    member.kill()
            time.sleep(0.02)
        self._process = self._guard = None
