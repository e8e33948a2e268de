# SPDX-License-Identifier: Apache-2.0
"""Options of events; those of notifications have Ceilometer's names."""
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
    cfg.StrOpt(
        'alertmanager_cfg_file', default='alertmanager.yaml',
        help='What alerts of Prometheus Alertmanager become. Set it, or put a '
             'file of this name next to the configuration, to tell which of '
             'your alerts mean that a host is down, and which labels name '
             'the host or the server; else the packaged rules count. It is '
             'read again on SIGHUP.'),
    cfg.StrOpt(
        'timezone', default='UTC',
        help='Time zone of posted times that tell none, e.g. Europe/Berlin. '
             'Set it where monitors post their local time; what comes from '
             'the future is taken to be of now, and what seems to be hours '
             'old may lose against newer events.'),
    cfg.FloatOpt(
        'duplicate_window', default=0.0, min=0.0,
        help='Seconds within which posted events of the same type, hostname '
             'and status are one event; 0: they are not. Another status of '
             'the host ends it. Set it where monitors that give no ids of '
             'their own report a fault again and again. It costs the '
             'database a transaction for each post.'),
    cfg.FloatOpt(
        'repetition_interval', default=1.0, min=0.0, max=60.0,
        help='Seconds within which the very same event, posted again, is '
             'answered but not passed on; 0: each is. Each process of the '
             'API counts for itself. Raise it where monitors repeat events '
             'so often that the evaluators are busy with them; an alarm that '
             'is made meanwhile gets them so much later.'),
]
