# SPDX-License-Identifier: Apache-2.0
"""The plugins that are installed, by the scheme of the URLs they serve."""
from __future__ import annotations

import logging
from typing import Any

from oslo_config import cfg
import stevedore

from doctor_alarm import exception
from doctor_alarm.notifier import base

LOG = logging.getLogger(__name__)

NAMESPACE = 'doctor_alarm.notifier'


class Registry:
    """One instance of each plugin, whatever the number of its schemes."""

    def __init__(self, plugins: dict[str, base.Notifier]) -> None:
        self._plugins = plugins

    @classmethod
    def load(cls, conf: cfg.ConfigOpts) -> Registry:
        """Make an instance of every plugin that is installed.

        One that can not be loaded hurts only its own deliveries: they wait.
        """
        plugins: dict[str, base.Notifier] = {}
        made: dict[Any, base.Notifier] = {}

        def failed(_manager: Any, entry_point: Any,
                   exc: BaseException) -> None:
            plugins[entry_point.name] = _broken(conf, entry_point.name, exc)

        manager: stevedore.ExtensionManager[Any] = stevedore.ExtensionManager(
            NAMESPACE, on_load_failure_callback=failed)
        for extension in manager:
            kind = extension.plugin
            try:
                if kind not in made:
                    made[kind] = kind(conf)
                plugins[extension.name] = made[kind]
            except exception.ConfigurationError:
                raise
            except Exception as exc:
                plugins[extension.name] = _broken(conf, extension.name, exc)
        return cls(plugins)

    def get(self, scheme: str) -> base.Notifier | None:
        """Return the plugin of a scheme, or None."""
        return self._plugins.get(scheme)

    async def start(self) -> None:
        """Start every plugin.

        :raises ConfigurationError: one of them can not work as configured
        """
        for plugin in self._distinct():
            try:
                await plugin.start()
            except exception.ConfigurationError:
                raise
            except Exception as exc:
                for scheme, known in list(self._plugins.items()):
                    if known is plugin:
                        self._plugins[scheme] = _broken(
                            plugin.conf, scheme, exc)

    async def stop(self) -> None:
        """Stop every plugin, whatever becomes of the others."""
        for plugin in self._distinct():
            try:
                await plugin.stop()
            except Exception:
                LOG.exception('Plugin %s did not stop', type(plugin).__name__)

    def _distinct(self) -> list[base.Notifier]:
        return list({id(p): p for p in self._plugins.values()}.values())


class _Broken(base.Notifier):
    """Stands in for a plugin that does not work: deliveries are kept."""

    def __init__(self, conf: cfg.ConfigOpts, scheme: str) -> None:
        super().__init__(conf)
        self._reason = 'the notifier plugin of %s does not work' % scheme

    async def deliver(self, delivery: base.Delivery) -> base.Outcome:
        return base.Outcome.retry(self._reason, answered=False)


def _broken(conf: cfg.ConfigOpts, scheme: str,
            exc: BaseException) -> _Broken:
    LOG.error('Notifier plugin %s can not be used: %s: %s', scheme,
              type(exc).__name__, exc)
    return _Broken(conf, scheme)
