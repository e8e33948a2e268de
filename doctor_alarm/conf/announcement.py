# SPDX-License-Identifier: Apache-2.0
"""Options of the notifications about changes of alarms."""
from oslo_config import cfg

GROUP = 'announcement'
OPTS = [
    cfg.ListOpt('topics', default=[], help="""
Topics on the bus that are told of every alarm that is created, changed, set to
a state over the API or deleted, for example ``notifications``. Set it where
somebody reads them, for a queue that nobody reads fills the broker. Empty:
nobody is told.
"""),
    cfg.StrOpt('exchange', default='aodh', help="""
Exchange of these topics. The default is Aodh's, which a Ceilometer listens to
without being told. Change it where the reader expects another one.
"""),
]
