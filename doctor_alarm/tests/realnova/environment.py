# SPDX-License-Identifier: Apache-2.0
"""The virtual environment that nova, placement and Keystone run in.

Their requirements are not ours, so they have an environment of their own. It
is built once under a temporary name and renamed when it is complete.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from doctor_alarm.tests.services import process

#: Names another place for the environment.
OVERRIDE = 'DOCTOR_ALARM_REALNOVA_VENV'

CONSTRAINTS = pathlib.Path(__file__).with_name('constraints.txt')
PACKAGES = ('nova', 'keystone', 'openstack-placement', 'cheroot', 'PyMySQL')
SOURCE_ONLY = 'ovs'     # the one package that is not published as a wheel

# Taken at import: every test has a home directory of its own.
CACHE = pathlib.Path(
    os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache',
    'doctor-alarm-tests')


def directory() -> pathlib.Path:
    """Where the environment is, or would be built."""
    if OVERRIDE in os.environ:
        return pathlib.Path(os.environ[OVERRIDE]).absolute()
    return CACHE / ('realnova-%s' % digest(
        CONSTRAINTS.read_bytes(), repr(sys.version_info[:2]).encode()))


def digest(*parts: bytes) -> str:
    """A short name for what something was made from."""
    return hashlib.sha256(b'\0'.join(parts)).hexdigest()[:12]


def python() -> pathlib.Path:
    """Return the interpreter of the environment, installed if need be.

    :raises ServiceFailed: with the end of pip's output
    """
    target = directory()
    interpreter = target / 'bin' / 'python'
    if not interpreter.exists():
        with locked(target) as lock:
            if not interpreter.exists():
                _build(target, lock)
    return interpreter


@contextlib.contextmanager
def locked(target: pathlib.Path):
    """Let one process at a time make something."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open('%s.lock' % target, 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _build(target, lock):
    partial = pathlib.Path('%s.partial' % target)
    shutil.rmtree(partial, ignore_errors=True)
    # pip of the tests does the work: "venv" needs ensurepip for one of its
    # own, and Debian keeps that in another package.
    _run(lock, 'venv', '--without-pip', str(partial))
    _run(lock, 'pip', '--python', str(partial / 'bin' / 'python'), 'install',
         '--quiet', '--no-input', '--disable-pip-version-check',
         '--only-binary=:all:', '--no-binary=%s' % SOURCE_ONLY, *PACKAGES)
    partial.rename(target)


def _run(lock, module, *arguments):
    # Pins also what pip installs in order to build; replaces a PIP_CONSTRAINT
    # that is meant for our own packages.
    variables = os.environ | {'PIP_CONSTRAINT': str(CONSTRAINTS)}
    done = subprocess.run(
        [sys.executable, '-m', module, *arguments], env=variables,
        # a pip that outlives a killed test must be over before the next
        pass_fds=[lock.fileno()],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors='replace')
    if done.returncode:
        raise process.ServiceFailed('%s %s failed:\n%s' % (
            module, ' '.join(arguments), done.stdout[-4000:]))
