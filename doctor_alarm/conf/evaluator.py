# SPDX-License-Identifier: Apache-2.0
"""Options of the evaluator."""
from oslo_config import cfg

GROUP = 'evaluator'
OPTS = [
    cfg.StrOpt('event_topic', default='doctor_alarm.event', help="""
Topic of our own durable hop, from agents and API to evaluators. Change it to
run two independent doctor_alarm on one broker.
"""),
    cfg.StrOpt('event_pool', default='', help="""
Pool of the listener on our own hop. Evaluators of one pool share its events,
and every pool gets all of them: set it where a second doctor_alarm, with a
database of its own, shall evaluate the same events. Leave it empty in the
first one: the queue without a pool is always filled, and so is that of a pool
until it is deleted.
"""),
    cfg.StrOpt('ceilometer_topic', default='alarm.all', help="""
Topic on which a Ceilometer publishes events for alarms (its publisher
notifier://?topic=alarm.all). Empty: do not listen. Two consumers of one topic
steal from each other: where an Aodh listens to the same one, give Ceilometer
a second publisher with a topic of its own and set that here.
"""),
    cfg.StrOpt('ceilometer_exchange', default='ceilometer', help="""
Exchange of that topic. Change it where Ceilometer's control_exchange differs.
"""),
    cfg.StrOpt('ceilometer_url', secret=True, help="""
Transport URL of Ceilometer's bus where it is not that of [DEFAULT]. Its query
carries the settings of Ceilometer's queues, e.g. ?rabbit_quorum_queue=true.
"""),
    cfg.StrOpt('pool', default='', help="""
Pool of the listener on Ceilometer's topic. Set it where another consumer of
this topic shall get every event as well; then the queue has this name.
"""),
    cfg.IntOpt('workers', default=1, min=1, help="""
Processes of the evaluator on this host. Raise it when one core is busy.
"""),
    cfg.IntOpt('batch_size', default=100, min=1, max=1000, help="""
Events in one transaction at most. The evaluator takes what has arrived since
its last commit, so this only limits how much under load.
"""),
    cfg.IntOpt('wakeup_lease', default=15, min=5, help="""
Seconds that a notifier which was woken for a delivery has it for itself.
After that any notifier may take it. Lower it to recover faster from a
notifier that was killed; it must exceed [notifier] timeout.
"""),
    cfg.IntOpt('max_event_age', default=7 * 86400, min=60, help="""
Events older than this, in seconds, are put aside as dead letters. It must not
exceed [retention] days: history and deliveries tell a repeated message from a
new one.
"""),
    cfg.FloatOpt('retry_max', default=5.0, min=0.1, help="""
Longest pause, in seconds, between attempts of a transaction while the
database is away.
"""),
]
