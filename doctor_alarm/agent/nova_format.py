# SPDX-License-Identifier: Apache-2.0
"""One change, one event: which of nova's two forms of a notification counts.

With ``[notifications] notification_format = both`` nova says most things
twice, with different ids and different event types. Unversioned and versioned
types that tell of the same change are *twins*; of twins one is taken. What
only one form has is always taken: ``service.*`` (the host faults),
``flavor.*``, ``instance.lock``, ``instance.volume_swap.*`` and more exist
versioned only.
"""
from __future__ import annotations

from collections.abc import Iterator
import logging

from doctor_alarm.agent import normalise

LOG = logging.getLogger(__name__)

UNVERSIONED = 'unversioned'
VERSIONED = 'versioned'
BOTH = 'both'
FORMATS = (UNVERSIONED, VERSIONED, BOTH)

#: So many dropped twins without one of the wanted form look as if nova were
#: configured otherwise than ``[agent] nova_format``.
SUSPICIOUS = 100

# Actions on a server: unversioned compute.instance.<left>.<phase>, versioned
# instance.<right>.<phase>. Source: nova 34, nova/compute/manager.py; the
# unversioned form is frozen there.
_INSTANCE_ACTIONS = {
    'create': 'create', 'delete': 'delete', 'finish_resize': 'resize_finish',
    'live.migration.abort': 'live_migration_abort',
    'live.migration.force.complete': 'live_migration_force_complete',
    'live_migration._post': 'live_migration_post',
    'live_migration._rollback': 'live_migration_rollback',
    'live_migration.post.dest': 'live_migration_post_dest',
    'live_migration.pre': 'live_migration_pre',
    'live_migration.rollback.dest': 'live_migration_rollback_dest',
    'pause': 'pause', 'power_off': 'power_off', 'power_on': 'power_on',
    'reboot': 'reboot', 'rebuild': 'rebuild', 'rescue': 'rescue',
    'resize': 'resize', 'resize.confirm': 'resize_confirm',
    'resize.prep': 'resize_prep', 'resize.revert': 'resize_revert',
    'restore': 'restore', 'resume': 'resume', 'shelve': 'shelve',
    'shelve_offload': 'shelve_offload', 'shutdown': 'shutdown',
    'snapshot': 'snapshot', 'soft_delete': 'soft_delete',
    'suspend': 'suspend', 'trigger_crash_dump': 'trigger_crash_dump',
    'unpause': 'unpause', 'unrescue': 'unrescue', 'unshelve': 'unshelve',
}
_SINGLE = {
    'compute.instance.create.error': 'instance.create.error',
    'compute.instance.evacuate': 'instance.evacuate',
    'compute.instance.exists': 'instance.exists',
    'compute.instance.reboot.error': 'instance.reboot.error',
    'compute.instance.rebuild.error': 'instance.rebuild.error',
    'compute.instance.rebuild.scheduled': 'instance.rebuild_scheduled',
    'compute.instance.resize.error': 'instance.resize.error',
    'compute.instance.update': 'instance.update',
    'compute.instance.volume.attach': 'instance.volume_attach.end',
    'compute.instance.volume.detach': 'instance.volume_detach.end',
    'compute.libvirt.error': 'libvirt.connect.error',
    'compute.metrics.update': 'metrics.update',
    'compute_task.build_instances': 'compute_task.build_instances.error',
    'compute_task.migrate_server': 'compute_task.migrate_server.error',
    'compute_task.rebuild_server': 'compute_task.rebuild_server.error',
    'servergroup.addmember': 'server_group.add_member',
    'servergroup.create': 'server_group.create',
    'servergroup.delete': 'server_group.delete',
    'volume.usage': 'volume.usage',
}
_OTHER_ACTIONS = {
    'aggregate.addhost': 'aggregate.add_host',
    'aggregate.create': 'aggregate.create',
    'aggregate.delete': 'aggregate.delete',
    'aggregate.removehost': 'aggregate.remove_host',
    'aggregate.updatemetadata': 'aggregate.update_metadata',
    'aggregate.updateprop': 'aggregate.update_prop',
    'keypair.create': 'keypair.create', 'keypair.delete': 'keypair.delete',
    'keypair.import': 'keypair.import',
    'scheduler.select_destinations': 'scheduler.select_destinations',
}
_PUBLISHERS = ('compute.', 'api.', 'conductor.', 'scheduler.', 'aggregate.',
               'servergroup.', 'compute_task.')


def twins() -> Iterator[tuple[str, str]]:
    """Yield all (unversioned, versioned) event types of the same change.

    Not among them: the failure of a call, which the unversioned form names
    after the called function, and the versioned one ``compute.exception``.
    By the one nobody can ask for failures, so the other one always counts.
    """
    yield from _SINGLE.items()
    for phase in ('start', 'end'):
        for left, right in _INSTANCE_ACTIONS.items():
            yield ('compute.instance.%s.%s' % (left, phase),
                   'instance.%s.%s' % (right, phase))
        for left, right in _OTHER_ACTIONS.items():
            yield '%s.%s' % (left, phase), '%s.%s' % (right, phase)


_UNVERSIONED_TWINS = frozenset(left for left, _right in twins())
_VERSIONED_TWINS = frozenset(right for _left, right in twins())


def form_of_twin(notification: normalise.Notification) -> str | None:
    """Return the form of a notification that has a twin, else ``None``."""
    event_type = notification.event_type
    if notification.versioned:
        return VERSIONED if event_type in _VERSIONED_TWINS else None
    if not notification.publisher_id.startswith(_PUBLISHERS):
        return None
    if event_type in _UNVERSIONED_TWINS or _is_failed_call(notification):
        return UNVERSIONED
    return None


def _is_failed_call(notification: normalise.Notification) -> bool:
    return ('.' not in notification.event_type
            and notification.payload.keys() == {'exception', 'args'})


class Choice:
    """Takes one of two twins.

    It depends on the notification alone: what several agents get of a shared
    queue tells none of them what nova sends.
    """

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._dropped = 0

    def takes(self, notification: normalise.Notification) -> bool:
        """Whether a notification is the one that counts."""
        if self._wanted == BOTH:
            return True
        form = form_of_twin(notification)
        if form is None:
            return True
        if form == self._wanted:
            self._dropped = SUSPICIOUS
            return True
        self._dropped += 1
        if self._dropped == SUSPICIOUS:
            LOG.warning(
                'This agent dropped %d notifications of nova in the %s form '
                'and got none in the %s one. If that is all nova sends, set '
                '[agent] nova_format = %s, else no alarm on servers fires',
                self._dropped, form, self._wanted, form)
        return False
