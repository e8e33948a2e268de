# SPDX-License-Identifier: Apache-2.0
"""Options of the inspector: its policy, nova, neutron, what it knows of them.
"""
from oslo_config import cfg

from doctor_alarm.conf import monitor

GROUP = 'inspector'
OPTS = [
    cfg.StrOpt('failure_policy_file', default='failure_policy.yaml', help="""
Which faults affect which servers, and what is told of them. Set it, or put a
file of this name next to the configuration, when yours differ from the
packaged policy. It is read again on SIGHUP.
"""),
    cfg.StrOpt('event_pool', default='doctor_alarm_inspector', help="""
Queue of the inspectors on our own hop. Inspectors that have it in common share
the faults. Change it to run two independent doctor_alarm on one broker.
"""),
    cfg.StrOpt('action_pool', default='doctor_alarm_inspector_actions',
               help="""
Queue of what nova and neutron are to be told. Of those that have it in common
one inspector does that, and another one when it ends. Change it together with
event_pool.
"""),
    cfg.IntOpt('action_concurrency', default=10, min=1, max=100, help="""
Calls to nova and neutron at a time, of each process. Lower it where a fault of
a large host keeps nova from other work.
"""),
    cfg.FloatOpt('action_retry_max', default=30.0, min=0.1, help="""
Longest pause between two attempts of a call, in seconds.
"""),
    cfg.FloatOpt('action_timeout', default=600.0, min=1.0, max=1500.0, help="""
Seconds after which a call that always fails is given up, and reported as
failed. RabbitMQ wants to know of a message within half an hour.
"""),
    cfg.IntOpt('workers', default=1, min=1, help="""
Processes of the inspector on this host, each with a resource map of its own.
One derives the events of thousands of servers in a second: raise it only when
its core is busy.
"""),
    cfg.StrOpt('resource_map_file', default='', help="""
JSON file that says which servers are on which host. Set it where there is no
nova to ask: then neither nova nor the bus is. It is read again on SIGHUP.
"""),
    cfg.FloatOpt('resource_map_interval', default=300.0, min=1.0, help="""
Seconds between two questions to nova for what changed. The notifications on
the bus tell it sooner: lower it where nova does not send any. Each inspector
varies it by a fifth, so that they do not ask together.
"""),
    cfg.FloatOpt('resource_map_full_interval', default=3600.0, min=1.0,
                 help="""
Seconds between two readings of all servers and ports. Raise it where that
takes nova or neutron long: 100,000 servers are 200 requests to nova and 100 to
neutron.
"""),
    cfg.FloatOpt('resource_map_stale_after', default=900.0, min=0.0, help="""
Seconds after nova confirmed it last until what is known of a host is checked
with nova before it is used. Keep it above resource_map_interval.
"""),
    cfg.FloatOpt('lookup_timeout', default=1.0, min=0.01, help="""
Longest time that such a check may take, in seconds; then what is known counts.
The owners of the servers are notified after it: raise it only where nova needs
longer to list the servers of a host.
"""),
    cfg.BoolOpt('resource_map_ports', default=True, help="""
Whether neutron is asked for the ports of servers. Turn it off where there is
no neutron.
"""),
    cfg.StrOpt('monitored_property', default='doctor_alarm:monitored', help="""
Name of the extra spec of a flavor, the property of an image or the metadata of
a server that says with the value false that the server is not monitored.
Empty: all are.
"""),
    cfg.ListOpt('exchanges', default=['nova', 'neutron'], help="""
Control exchanges that tell of servers and ports. The buses and topics are
those of [agent]. Empty: the bus is not read.
"""),
    cfg.StrOpt('endpoint', help="""
URL of nova's API. Not needed with an auth_type of Keystone.
"""),
    cfg.StrOpt('network_endpoint', help="""
URL of neutron's API. Not needed with an auth_type of Keystone.
"""),
    cfg.StrOpt('masakari_endpoint', help="""
URL of Masakari's API. Not needed with an auth_type of Keystone. It is asked
for the names of hosts when Masakari tells of a fault of one.
"""),
    cfg.StrOpt('interface', default='internal', help="""
Interface of nova and neutron in the catalog: internal, public or admin.
"""),
    cfg.StrOpt('region_name', help="""
Region of nova and neutron in the catalog. Set it where there are several: what
is told of a host of another region is no fault here then.
"""),
    *monitor.session_opts(30.0),
]
