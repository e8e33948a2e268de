# SPDX-License-Identifier: Apache-2.0
"""What every worker has in common: start, drain on SIGTERM, end."""
from __future__ import annotations

import gc
import logging
import signal
import sys
import threading

from oslo_config import cfg
from oslo_service import service as oslo_service

from doctor_alarm import exception

LOG = logging.getLogger(__name__)


class Service(oslo_service.ServiceBase):
    """A worker under oslo.service; subclasses give ``open`` and ``close``.

    ``open`` runs in a thread of its own: it may wait for a broker that is
    not there yet, and a SIGTERM ends the process all the same.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self.stopping = threading.Event()

    def open(self) -> None:
        """Connect and start working; return when at work."""

    def close(self) -> None:
        """Take nothing more, finish what was taken, disconnect."""

    def start(self) -> None:
        """Start in the background."""
        threading.Thread(target=self._open, name='open', daemon=True).start()

    def _open(self) -> None:
        try:
            gc.collect()
            self.open()
            # What there is now stays. Half a million objects, most of them
            # code, took the collector a tenth of a second each time, and
            # with it everybody.
            gc.freeze()
        except BaseException as exc:
            self.failed(exc)

    def failed(self, exc: BaseException) -> None:
        """End because of an error, from any thread."""
        self._failure = exc
        self._ended.set()

    def wait(self) -> None:
        """Wait for the end of the service.

        :raises Exception: what kept it from starting
        """
        self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Drain and end."""
        self.stopping.set()
        try:
            self.close()
        finally:
            self._ended.set()

    def reset(self) -> None:
        """On SIGHUP, after oslo.config has read the options again.

        It is called by the handler of the signal: take note of it only.
        """


def run(conf: cfg.ConfigOpts, service: Service, workers: int = 1) -> int:
    """Run a service until it is told to end; return the exit status.

    One worker runs in this process, more are forked from it.
    """
    try:
        if workers == 1:
            _run_here(conf, service)
        else:
            oslo_service.launch(
                conf, service, workers, restart_method='mutate').wait()
    except exception.DoctorAlarmException as exc:
        return fail(exc)
    return 0


def _run_here(conf: cfg.ConfigOpts, service: Service) -> None:
    # The launcher would drop what is under way on Ctrl-C, and end on SIGHUP:
    # neither may come between its handlers and ours.
    ours = (signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    launcher = oslo_service.ProcessLauncher(conf, no_fork=True)
    signal.signal(signal.SIGINT, lambda *_: signal.raise_signal(
        signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: _read_again(
        conf, service))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ours)
    launcher.launch_service(service)


def _read_again(conf: cfg.ConfigOpts, service: Service) -> None:
    try:
        conf.mutate_config_files()
        service.reset()
    except (cfg.Error, OSError) as exc:
        LOG.error('The configuration stays as it was: %s',
                  ' '.join(str(exc).split()))


def fail(exc: BaseException) -> int:
    """Say in one line why the service can not run; return the status 1."""
    line = ' '.join(str(exc).split())
    print('ERROR: %s' % line, file=sys.stderr)
    if not all(_is_terminal(handler)
               for handler in logging.getLogger().handlers):
        LOG.critical(line)
    return 1


def _is_terminal(handler: logging.Handler) -> bool:
    """Whether the log goes where the line was printed already."""
    return (isinstance(handler, logging.StreamHandler)
            and not isinstance(handler, logging.FileHandler))
