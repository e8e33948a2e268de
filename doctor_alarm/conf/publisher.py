# SPDX-License-Identifier: Apache-2.0
"""Options of signatures of events; named as Ceilometer names them."""
from oslo_config import cfg

GROUP = 'publisher'
OPTS = [
    cfg.StrOpt(
        'telemetry_secret', default='', secret=True,
        help='Secret that signs the events of notifier://, and that events on '
             '[evaluator] ceilometer_topic must be signed with; those that '
             'are not are put aside as dead letters. Set it to that of the '
             'Ceilometer before, or of the readers behind; empty: nothing is '
             'signed or verified.'),
]
