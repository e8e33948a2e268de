# SPDX-License-Identifier: Apache-2.0
"""Options of the API."""
from oslo_config import cfg
from oslo_middleware import cors

GROUP = 'api'
OPTS = [
    cfg.HostAddressOpt('host', default='0.0.0.0',  # noqa: S104
                       help="""
Address that the API listens on. Set it to that of one network, or to loopback
behind a proxy on the same host.
"""),
    cfg.PortOpt('port', default=8042, help="""
Port that the API listens on. Change it together with the endpoint in the
catalog.
"""),
    cfg.StrOpt('auth_mode', default='keystone',
               choices=[
                   ('keystone', 'tokens of Keystone, see '
                                '[keystone_authtoken]'),
                   ('http_basic', 'names and passwords of [oslo_middleware] '
                                  'http_basic_auth_user_file, see '
                                  'http_basic_users'),
                   ('noauth', 'who calls is believed: for trials on '
                              'loopback only')],
               help="""
How callers prove who they are.
"""),
    cfg.ListOpt('http_basic_users', default=[], help="""
Project and roles of each user of auth_mode http_basic, as
name:project:role|role, e.g. zabbix:service:monitor,ops:admin:admin. The id of
a user is the name. Who has a password and is not listed here may do nothing.
"""),
    cfg.IntOpt('http_basic_failures', default=5, min=0, help="""
Failed logins of auth_mode http_basic from one address under one name before
the next one has to wait: a second, then twice as long with every failure, up
to a minute. Meanwhile the answer is 429. 0: never. Behind a proxy set
[oslo_middleware] enable_proxy_headers_parsing, or all clients are one address.
Each process of the API counts for itself.
"""),
    cfg.IntOpt('workers', default=1, min=1, help="""
Processes of the API on this host. Raise it when one core is busy. Each counts
for itself: /metrics shows the counters of the process that answers.
"""),
    cfg.IntOpt('threads', default=16, min=1, help="""
Requests that one process works on at a time. Raise it where many detectors
post events at once; each may hold a connection to the database.
"""),
    cfg.IntOpt('max_body_size', default=1024 * 1024, min=1024, help="""
Largest body of a request, in bytes; a larger one gets 413. A bulk of events
may be as large as that.
"""),
    cfg.IntOpt('client_timeout', default=10, min=1, help="""
Seconds that a client has to send a request, and an idle connection to live.
Raise it where detectors post over very slow lines. No thread waits meanwhile.
"""),
    cfg.IntOpt('max_connections', default=1000, min=10, help="""
Connections that one process holds. One more, and the one that has been silent
or incomplete for longest is closed. Each needs a file descriptor. Raise it
where more detectors keep their connections. What all incomplete requests hold
together is bounded by 64 times max_body_size.
"""),
    cfg.IntOpt('max_limit', default=10000, min=1, help="""
Most items in the answer to a list. A longer list is cut, and the header Link
leads to the rest. Lower it where memory is scarce.
"""),
    cfg.FloatOpt('publish_timeout', default=15.0, min=1.0, help="""
Seconds that the broker has to confirm posted events; then the answer is 503,
and the client posts them again. Lower it where clients wait for less.
"""),
    cfg.IntOpt('drain_timeout', default=30, min=0, help="""
Seconds that requests may still take after a SIGTERM.
"""),
]

# What the scripts of a dashboard send and read; here, because the generator of
# the sample shows the defaults as well.
cors.set_defaults(
    allow_headers=['X-Auth-Token', 'X-Openstack-Request-Id', 'If-Match',
                   'Authorization'],
    allow_methods=['GET', 'POST', 'PUT', 'DELETE'],
    expose_headers=['X-Openstack-Request-Id', 'ETag', 'Link', 'Location',
                    'Retry-After'])
