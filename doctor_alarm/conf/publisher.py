# SPDX-License-Identifier: Apache-2.0
"""Options of what publishers sign; named as Ceilometer names them."""
from oslo_config import cfg

GROUP = 'publisher'
OPTS = [
    cfg.StrOpt(
        'telemetry_secret', default='', secret=True,
        help='Secret that signs the events of notifier://. Set it to that of '
             'the readers when they verify signatures; empty: they are not '
             'signed.'),
]
