# SPDX-License-Identifier: Apache-2.0
"""Options of the event pipeline; named as Ceilometer names them."""
from oslo_config import cfg

GROUP = 'DEFAULT'
OPTS = [
    cfg.StrOpt(
        'event_pipeline_cfg_file', default='event_pipeline.yaml',
        help='Which events go to which publishers, in the format of '
             'Ceilometer. Set it, or put a file of this name next to the '
             'configuration, to send events elsewhere too; else all go to '
             'the alarm evaluator.'),
]
