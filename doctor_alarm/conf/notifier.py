# SPDX-License-Identifier: Apache-2.0
"""Options of the notifier."""
from oslo_config import cfg

GROUP = 'notifier'
OPTS = [
    cfg.StrOpt('wakeup_topic', default='doctor_alarm.wakeup', help="""
Topic of the hints by which evaluators wake notifiers. Change it to run two
independent doctor_alarm on one broker.
"""),
    cfg.StrOpt('wakeup_pool', default='', help="""
Pool of the listener to wake-ups. Notifiers of one pool share the wake-ups,
and every pool gets all of them. Leave it empty, or the same for all notifiers
of one database: each pool delivers what it is woken for, so that two of them
would tell receivers twice.
"""),
    cfg.BoolOpt('wakeup_by_neighbours', default=True, help="""
Whether evaluators on the same host wake this notifier directly, without the
broker: that takes a millisecond less. They must run in the same account and
network namespace, on Linux; others, and all where wakeup_pool is set, use the
broker. Turn it off to have the notifiers of all hosts share the work evenly.
"""),
    cfg.IntOpt('workers', default=1, min=1, help="""
Processes of the notifier on this host. Raise it when one core is busy.
"""),
    cfg.FloatOpt('timeout', default=5.0, min=0.1, help="""
Seconds that one call of a receiver may take from the look-up of its name to
its answer. Raise it for receivers that answer only when their work is done;
a receiver that hangs holds its lanes for so long.
"""),
    cfg.FloatOpt('lease', default=30.0, min=2.0, help="""
Seconds that a notifier has a lane for itself when it took it in its sweep or
goes on with it. After that any notifier may take it. Lower it to recover
faster from a notifier that was killed; it must exceed the timeout.
"""),
    cfg.FloatOpt('sweep_interval', default=0.5, min=0.05, help="""
Seconds between two looks for lanes that nobody works on: retries of other
notifiers that are due, leases that ended, wake-ups that were lost. Raise it
where very many notifiers share one database.
"""),
    cfg.FloatOpt('retry_initial', default=1.0, min=0.01, help="""
Seconds before a failed delivery is tried again. The pause doubles with every
failure and varies by a fifth, so that lanes do not come back all at once.
"""),
    cfg.FloatOpt('retry_max', default=60.0, min=0.01, help="""
Longest pause, in seconds, between attempts of a delivery. Lower it when
receivers shall hear of everything sooner after a long absence.
"""),
    cfg.FloatOpt('retry_after_max', default=600.0, min=0, help="""
Longest Retry-After, in seconds, that a receiver is granted.
"""),
    cfg.IntOpt('max_age', default=86400, min=1, help="""
Seconds after which a delivery that still fails becomes a dead letter, and the
next one of its lane has its turn. It bounds the attempts of every delivery;
what is dropped because there is something newer is the matter of
default_max_age and default_latest_only.
"""),
    cfg.IntOpt('default_max_age', default=0, min=0, help="""
Seconds after which a delivery that waits is not sent any more if a newer one
of its alarm, to the same URL and about the same resource, waits behind it; it
gets the status expired. For alarms that do not say delivery.max_age. 0: all
are sent, however late. Set it where receivers that were away for long must
not be flooded with old news.
"""),
    cfg.BoolOpt('default_latest_only', default=False, help="""
Whether of the deliveries of an alarm that wait, to the same URL and about the
same resource, only the newest one is sent; the others get the status
superseded. For alarms that do not say delivery.latest_only. Set it where
receivers need the state, and not how it came about.
"""),
    cfg.IntOpt('max_concurrency', default=1000, min=1, help="""
Calls under way at once in one process; one project gets half of them at most,
one receiver a fifth. Raise it, with the limit of open files, where very many
slow receivers are served.
"""),
    cfg.IntOpt('receiver_concurrency', default=64, min=1, help="""
Calls under way at once to one receiver (host and port) of one project. The
number is reached step by step while the receiver answers. Lower it to spare
weak receivers; raise it for a fast one that is far away.
"""),
    cfg.IntOpt('max_waiting', default=10000, min=10, help="""
Lanes that one process keeps in memory while they wait for their turn; one
project gets half of it at most, one receiver a third. What is more stays in
the database and is taken later. Raise it where memory is plenty and bursts
are large.
"""),
    cfg.ListOpt('blocked_networks', default=[
        '0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '100.100.100.200/32',
        '::/128', '::1/128', 'fe80::/10', 'fd00:ec2::254/128'], help="""
Networks (CIDR) that no action URL may lead to: those of the host itself,
link-local ones and the metadata services of clouds by default. Whoever may
create alarms lets the notifier call a receiver of their choice: add what it
reaches and tenants must not, such as the networks of management. Read by the
API, which refuses such an alarm, and by the notifier, at each connection.
"""),
    cfg.ListOpt('allowed_networks', default=[], help="""
Exceptions from blocked_networks. Set it where a receiver that you trust is
inside them. The standalone service has loopback here.
"""),
    cfg.StrOpt('ca_file', help="""
File with the certificates of the authorities that https receivers are checked
against. Not set: those of the system.
"""),
    cfg.StrOpt('cert_file', help="""
Client certificate (PEM) that is shown to https receivers that ask for one.
"""),
    cfg.StrOpt('key_file', help="""
Key (PEM) of the client certificate, where it is not in the same file.
"""),
    cfg.BoolOpt('insecure', default=False, help="""
Do not check the certificates of https receivers. For laboratories only: it
holds for the receivers of all projects.
"""),
]
