# SPDX-License-Identifier: Apache-2.0
"""Clients of the services of the cloud, from a group of options."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import TYPE_CHECKING

from keystoneauth1 import exceptions
from keystoneauth1 import loading
from keystoneauth1 import plugin
from keystoneauth1 import session as keystone_session
from oslo_config import cfg

from doctor_alarm import exception

if TYPE_CHECKING:
    from openstack import connection


def load(conf: cfg.ConfigOpts, group: str,
         default: str | None = None) -> keystone_session.Session:
    """Return a session; nothing is connected yet.

    :param default: ``auth_type`` where none is configured
    :raises ConfigurationError: the options do not fit together
    """
    try:
        return loading.load_session_from_conf_options(
            conf, group, auth=_auth(conf, group, default))
    except exception.ConfigurationError:
        raise
    except (exceptions.ClientException, cfg.Error, ValueError,
            TypeError) as exc:
        raise exception.ConfigurationError(
            where='[%s]' % group, reason=str(exc)) from None


def connect(session: keystone_session.Session, options: Any,
            endpoints: Mapping[str, str | None]) -> connection.Connection:
    """Return the cloud behind a session; it asks Keystone where that is.

    :param options: a group with ``region_name`` and ``interface``
    :param endpoints: type of service -> URL, or ``None``: see the catalog
    """
    # Ten megabytes, which many a process never needs.
    from openstack import connection
    from openstack.config import cloud_region

    where: dict[str, Any] = {}
    for service_type, url in endpoints.items():
        where[service_type + '_interface'] = options.interface
        where[service_type + '_endpoint_override'] = url
    return connection.Connection(config=cloud_region.from_session(
        session, name='cloud', app_name='doctor-alarm',
        region_name=options.region_name, **where))


def _auth(conf: cfg.ConfigOpts, group: str,
          default: str | None) -> plugin.BaseAuthPlugin:
    section = conf[group].auth_section or group
    if section != group:
        for opt in loading.get_auth_common_conf_options():
            conf.register_opt(opt, group=section)
    name = conf[section].auth_type or default
    if not name:
        raise exception.ConfigurationError(
            where='[%s] auth_type' % section, reason='is not set')
    loader: Any = loading.get_plugin_loader(name)
    # The loader's own way would refuse options of the same name that
    # another type of authentication has, with another help.
    for opt in loading.get_auth_plugin_conf_options(name):
        if section not in conf or opt.dest not in conf[section]:
            conf.register_opt(opt, group=section)

    def get(opt: Any) -> Any:
        return conf[section][opt.dest]

    found: plugin.BaseAuthPlugin = loader.load_from_options_getter(get)
    return found
