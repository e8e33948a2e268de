# SPDX-License-Identifier: Apache-2.0
"""Options of what is kept for how long."""
from oslo_config import cfg

GROUP = 'retention'
OPTS = [
    cfg.IntOpt('days', default=30, min=0, help="""
Days for which history, deliveries with their events, and the dead letters of
a standalone service are kept. Each notifier deletes what is older, an hour
after its start at the latest and then once a day; deliveries that still wait
stay. 0: they are kept until somebody runs "doctor-alarm-manage db purge".
Raise it where the history is evidence, lower it where many alarms fire and the
database grows; [evaluator] max_event_age must not exceed it.
"""),
]
