# SPDX-License-Identifier: Apache-2.0
"""Options of the metrics that workers offer."""
from oslo_config import cfg

GROUP = 'metrics'
OPTS = [
    cfg.StrOpt('bind', default='127.0.0.1', help="""
Address at which a worker offers its metrics in Prometheus form. Change it
where Prometheus runs on another host; there is no authentication.
"""),
    cfg.PortOpt('port', default=0, help="""
Port of the metrics; 0: none. Give every service of a host its own. Of several
workers of one service each takes the next free port.
"""),
]
