# SPDX-License-Identifier: Apache-2.0
"""Options of the publisher notifier://; named as Ceilometer names them."""
from oslo_config import cfg

GROUP = 'publisher_notifier'
OPTS = [
    cfg.StrOpt(
        'event_topic', default='event',
        help='Topic of notifier:// without ?topic=. Aodh reads alarm.all.'),
]
