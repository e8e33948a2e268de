# SPDX-License-Identifier: Apache-2.0
"""Options of the monitor that reads the heartbeats of nova's services."""
from oslo_config import cfg

from doctor_alarm.conf import monitor

GROUP = 'monitor_nova_service'
OPTS = [
    cfg.FloatOpt('interval', default=5.0, min=0.1, help="""
Seconds between two looks at nova's services. A service is down for nova
service_down_time (of nova.conf, 60) after its last heartbeat: lower that first
to find faults sooner.
"""),
    cfg.IntOpt('down_after', default=1, min=1, help="""
Looks in a row that have to show a service down. Raise it where nova's clocks
differ.
"""),
    cfg.IntOpt('up_after', default=1, min=1, help="""
Looks in a row that have to show a service up; of a service that is forced
down, heartbeats in a row that have to be new.
"""),
    cfg.FloatOpt('hold_down', default=60.0, min=0.0, help="""
Seconds that a flapping service has to be up before it is reported up. It
doubles with every time that the service fails sooner, up to eightfold.
"""),
    cfg.IntOpt('max_down_percent', default=100, min=1, max=100, help="""
When more compute services than this fell silent, in percent, it is taken for a
fault of nova's own (its database, its conductors, the bus), and none that was
not reported yet is reported. Set it to 50 in a cloud of ten hosts or more.
"""),
    cfg.StrOpt('binary', default='nova-compute', help="""
Which services of nova are looked at.
"""),
    cfg.StrOpt('endpoint', help="""
URL of nova's API. Not needed with an auth_type of Keystone.
"""),
    cfg.StrOpt('interface', default='internal', help="""
Interface of nova in the catalog: internal, public or admin.
"""),
    cfg.StrOpt('region_name', help="""
Region of nova in the catalog. Set it where there are several.
"""),
    *monitor.session_opts(10.0),
]
