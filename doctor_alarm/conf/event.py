# SPDX-License-Identifier: Apache-2.0
"""Options of events; named as Ceilometer names them."""
from oslo_config import cfg

GROUP = 'event'
OPTS = [
    cfg.StrOpt(
        'definitions_cfg_file', default='event_definitions.yaml',
        help='Which fields of notifications become traits, in the format of '
             'Ceilometer. Set it, or put a file of this name next to the '
             'configuration, when alarms need other traits; else the packaged '
             'definitions count.'),
    cfg.BoolOpt(
        'drop_unmatched_notifications', default=False,
        help='Whether notifications without a definition are dropped. Set it '
             'when the definitions name all that you have alarms for; else '
             'they become events with the default traits.'),
    cfg.MultiStrOpt(
        'store_raw', default=[],
        help='Priorities (info, error) of notifications that are kept in the '
             'event as a whole, without secrets and without context. Events '
             'grow by the payload: leave it empty unless a receiver needs '
             'it.'),
]
