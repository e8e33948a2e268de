# SPDX-License-Identifier: Apache-2.0
"""Options of the monitor that pings hosts."""
from oslo_config import cfg

GROUP = 'monitor_ping'
OPTS = [
    cfg.DictOpt('hosts', default={}, mutable=True, help="""
Hosts to ping, as hostname:address. The name is nova's (os-services), the
address one that answers only while the host works. For addresses of IPv6 use
hosts_file. Read again on SIGHUP.
"""),
    cfg.StrOpt('hosts_file', default='', mutable=True, help="""
File with more hosts, in YAML or JSON: {hostname: address, ...}. Better than
the option where there are many, or where a tool writes it. Read again on
SIGHUP; one that is wrong then changes nothing. A name in place of an address
is looked up when the file is read.
"""),
    cfg.ListOpt('canaries', default=[], mutable=True, help="""
Addresses that always answer and are reached the same way, such as gateways.
While none of them does, it is the monitor that is cut off, and no host is
reported to be down. Name two where it matters.
"""),
    cfg.FloatOpt('interval', default=0.5, min=0.1, help="""
Seconds between two pings of a host. Lower it to find faults sooner; a process
sends a few thousand a second.
"""),
    cfg.FloatOpt('timeout', default=0.5, min=0.01, max=60.0, help="""
Seconds in which an answer has to come. Raise it above the longest round trip
of a busy network.
"""),
    cfg.IntOpt('down_after', default=3, min=1, help="""
Pings in a row that have to be lost for a host to be down. It takes interval *
down_after + timeout at most to see it.
"""),
    cfg.IntOpt('up_after', default=3, min=1, help="""
Answers in a row after which a host is up again.
"""),
    cfg.FloatOpt('hold_down', default=30.0, min=0.0, help="""
Seconds that a flapping host, one that fails again sooner than that after it
was reported up, has to answer before it is reported up once more. It doubles
with every such time, up to eightfold. That a host is down is reported at once,
always.
"""),
]
