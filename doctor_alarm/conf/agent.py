# SPDX-License-Identifier: Apache-2.0
"""Options of the notification agent."""
from oslo_config import cfg

GROUP = 'agent'
OPTS = [
    cfg.MultiStrOpt(
        'messaging_urls', default=[], secret=True,
        help='Transport URLs of the buses to read; empty: the one of '
             '[oslo_messaging_notifications], else of [DEFAULT]. Name them '
             'when services notify on brokers of their own. Their queues are '
             'declared with the settings of [oslo_messaging_rabbit] unless '
             'the URL says otherwise (?rabbit_quorum_queue=true): they must '
             'be those of the services.'),
    cfg.ListOpt(
        'topics', default=['notifications', 'versioned_notifications'],
        help='Topics to read. Change it when services notify on other ones '
             '([notifications] versioned_notifications_topics of nova). Host '
             'faults come on versioned_notifications only.'),
    cfg.ListOpt(
        'exchanges',
        default=['nova', 'neutron', 'cinder', 'keystone', 'glance', 'heat',
                 'ironic', 'octavia', 'masakari', 'openstack'],
        help='Control exchanges of the services to read. Leave out services '
             'that you do not have: the exchange of each is created, and a '
             'service that wants other settings for its own is refused by '
             'the broker afterwards.'),
    cfg.StrOpt(
        'pool', default='',
        help='Name of a queue that the agents of the cloud share. Empty: they '
             'read the queues that the services declare (notifications.info '
             'and so on). Set it where somebody else reads those, Ceilometer '
             'for one: two readers of a queue take half of the notifications '
             'from each other. Where nobody else does, leave it empty: the '
             'services fill their own queues, and unread they fill the '
             'broker until it blocks nova. The queue of a pool has to be '
             'deleted when its agents are gone. Other sinks of the event '
             'pipeline always have their own, doctor_alarm-<sink> or '
             '<pool>-<sink>.'),
    cfg.StrOpt(
        'nova_format', default='unversioned',
        choices=[
            ('unversioned', 'What nova says in both forms counts in its '
             'unversioned form (compute.instance.*)'),
            ('versioned', 'It counts in its versioned form (instance.*)'),
            ('both', 'Both count: an alarm on "*" fires twice')],
        help='Which of two notifications of the same change counts. What nova '
             'says in one form only counts always. Set it to versioned when '
             'nova has [notifications] notification_format = versioned. For '
             'nova we advise notification_format = both, because a host '
             'fault (service.update) has no unversioned form, and '
             'notify_on_state_change = vm_and_task_state, without which '
             'there is no compute.instance.update.'),
    cfg.IntOpt(
        'batch_size', default=100, min=1, max=400,
        help='Most notifications that are published and acknowledged '
             'together. Fewer make no lone notification faster.'),
    cfg.IntOpt(
        'workers', default=1, min=1,
        help='Processes. One handles some thousand notifications a second; '
             'add some when the queue grows while the broker is idle.'),
]
