# SPDX-License-Identifier: Apache-2.0
"""Options of the service, one module per group.

There is no global configuration object: a console script calls
:func:`prepare` and hands the result down.
"""
from __future__ import annotations

from collections.abc import Sequence
import importlib
import pkgutil
from typing import Any

from oslo_config import cfg
from oslo_log import log
import oslo_messaging
from oslo_messaging import opts as messaging_opts
import pbr.version

from doctor_alarm import exception

PROJECT = 'doctor-alarm'


def groups() -> list[tuple[str, list[cfg.Opt]]]:
    """Return (group, options) of every module of this package."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        if info.name == 'opts':
            continue
        module = importlib.import_module('%s.%s' % (__name__, info.name))
        found.append((module.GROUP, list(module.OPTS)))
    return found


def register(conf: cfg.ConfigOpts) -> None:
    """Register every option of the service and of its bus."""
    oslo_messaging.set_transport_defaults(control_exchange='doctor_alarm')
    for section, bus_opts in messaging_opts.list_opts():
        conf.register_opts(bus_opts, group=section)
    for group, opts in groups():
        conf.register_opts(opts, group=None if group == 'DEFAULT' else group)


def prepare(argv: Sequence[str], *, name: str = PROJECT,
            default_config_files: list[str] | None = None,
            cli_opts: Sequence[cfg.Opt] = (),
            defaults: dict[tuple[str, str | None], Any] | None = None,
            ) -> cfg.ConfigOpts:
    """Parse the command line and the configuration files, set up logging.

    :param argv: without the name of the program
    :raises ConfigurationError: a file or a value that can not be read
    :param defaults: (option, group) -> default of this command
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    register(conf)
    log.set_defaults(default_log_levels=log.get_default_log_levels() + [
        'oslo_messaging=WARN', 'oslo.messaging=WARN', 'oslo_policy=WARN',
        'stevedore=WARN', 'cotyledon=WARN', 'aiohttp=WARN',
        'oslo_service=ERROR', 'alembic=WARN',
        # A traceback for each attempt while the database is read-only: the
        # attempts are logged by whoever makes them.
        'oslo_db.sqlalchemy.exc_filters=CRITICAL'])
    for (option, group), value in (defaults or {}).items():
        conf.set_default(option, value, group=group)
    conf.register_cli_opts(cli_opts)
    version = pbr.version.VersionInfo('doctor-alarm').cached_version_string()
    try:
        conf(list(argv), project=PROJECT, prog=name, version=version,
             default_config_files=default_config_files)
        _read_all(conf)
        log.setup(conf, name)
    except (cfg.Error, OSError, UnicodeDecodeError,
            log.LogConfigError) as exc:
        raise exception.ConfigurationError(
            where='configuration', reason=str(exc)) from exc
    return conf


def _read_all(conf: cfg.ConfigOpts) -> None:
    """Read every option now: oslo.config looks at a value when it is used."""
    for group, opts in groups():
        section = conf if group == 'DEFAULT' else conf[group]
        for opt in opts:
            try:
                getattr(section, opt.dest)
            except cfg.ConfigFileValueError as exc:
                # It shows where the value is as a line of Python.
                raise exception.ConfigurationError(
                    where='[%s] %s' % (group, opt.name),
                    reason=str(exc).rpartition(' is not valid: ')[2],
                ) from exc
