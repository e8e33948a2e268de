# SPDX-License-Identifier: Apache-2.0
"""Options of all monitors: where their findings go, and how."""
from __future__ import annotations

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = 'monitor'


def session_opts(timeout: float) -> list[cfg.Opt]:
    """Return keystoneauth's options of a client, TLS included.

    Those that only other types of authentication have are registered when
    they are used.

    :param timeout: default of the seconds that a connection may be silent
    """
    found = [*loading.get_session_conf_options(),
             *loading.get_auth_common_conf_options()]
    cfg.set_defaults(found, timeout=timeout)
    return found + [
        cfg.StrOpt('auth_url', help="""
URL of Keystone, for auth_type password.
"""),
        cfg.StrOpt('username', help="""
Account, for auth_type password and http_basic.
"""),
        cfg.StrOpt('password', secret=True, help="""
Its password. Keep the file readable for the account of the service alone.
"""),
        cfg.StrOpt('user_domain_name', default='Default', help="""
Domain of the account in Keystone. Change it where accounts of services have a
domain of their own.
"""),
        cfg.StrOpt('project_name', default='service', help="""
Project of the account in Keystone. Change it where it has its role elsewhere.
"""),
        cfg.StrOpt('project_domain_name', default='Default', help="""
Domain of that project.
"""),
    ]


_OWN: list[cfg.Opt] = [
    cfg.StrOpt('endpoint', help="""
URL of the event API, without /v1 at its end. Not needed with an auth_type of
Keystone: then it is looked up in the catalog. Without an auth_type it is
http://127.0.0.1:8042, that of a standalone service on this host.
"""),
    cfg.StrOpt('service_type', default='alarming', help="""
Type of the event API in the catalog of Keystone. Change it where two services
share that type.
"""),
    cfg.StrOpt('interface', default='internal', help="""
Interface of the event API in the catalog: internal, public or admin.
"""),
    cfg.StrOpt('region_name', help="""
Region of the event API in the catalog. Set it where there are several.
"""),
    cfg.StrOpt('monitor_id', default='', help="""
Name of this monitor in its events. Empty: plugin@name of the host. Events of
one monitor are ordered by one clock: let no two of them share a name.
"""),
    cfg.StrOpt('region', default='', help="""
Region that the events name in their details. Set it where the event API takes
events of several regions.
"""),
    cfg.StrOpt('state_file', default='', help="""
File that keeps what was reported to be down, so that a monitor that was
restarted reports its return. Empty: it reports the return of what it found
down itself only. The folder must be writable for the monitor; each process
needs its own.
"""),
    cfg.IntOpt('buffer_size', default=10000, min=1, help="""
Findings that wait for the event API while it is away. When there are more, the
older of two findings about the same host or server goes first.
"""),
    cfg.IntOpt('batch_size', default=100, min=1, max=1000, help="""
Most findings in one request. Lower it where the event API refuses bodies of
this size (413).
"""),
    cfg.FloatOpt('retry_initial', default=0.5, min=0.01, help="""
Seconds until a finding that could not be posted is posted again. It doubles
with every failure.
"""),
    cfg.FloatOpt('retry_max', default=30.0, min=0.01, help="""
Longest pause between two attempts, in seconds, unless the event API asks for
a longer one (Retry-After).
"""),
    cfg.FloatOpt('retry_after_max', default=300.0, min=0.0, help="""
Longest pause that the event API can ask for, in seconds.
"""),
    cfg.FloatOpt('drain_timeout', default=10.0, min=0.0, help="""
Seconds after a SIGTERM in which waiting findings are still posted.
"""),
]
OPTS = _OWN + session_opts(10.0)
