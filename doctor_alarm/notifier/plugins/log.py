# SPDX-License-Identifier: Apache-2.0
"""``log://``: a line in the log of the notifier."""
from __future__ import annotations

import logging

from doctor_alarm.notifier import base

LOG = logging.getLogger(__name__)


class LogNotifier(base.Notifier):
    """Writes one INFO line for each delivery: that is what it is for."""

    async def deliver(self, delivery: base.Delivery) -> base.Outcome:
        """Log a delivery."""
        LOG.info(
            'Alarm %(alarm)s (%(name)r, %(severity)s) of project %(project)s'
            ' went from %(previous)s to %(current)s: %(reason)s'
            ' notification %(id)s, sequence %(sequence)d,'
            ' message %(message)s', {
                'alarm': delivery.alarm_id, 'name': delivery.alarm_name,
                'severity': delivery.severity,
                'project': delivery.project_id,
                'previous': delivery.previous, 'current': delivery.current,
                'reason': ' '.join(delivery.reason.split()),
                'id': delivery.id, 'sequence': delivery.sequence,
                'message': delivery.message_id})
        return base.Outcome.delivered()
