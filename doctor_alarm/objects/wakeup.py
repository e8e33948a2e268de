# SPDX-License-Identifier: Apache-2.0
"""Wake-ups: what an evaluator tells a notifier after its commit.

::

    {"lanes": [[lane id, token], ...], "lease_until": us, "committed_at": us,
     "deliveries": [[...], ...], "bodies": {message id: body}}

A wake-up names the lanes that were leased to whoever gets it. It encloses
what waits in them as far as that is little, so that they are called without
a look at the database. It belongs to the notifier that gets it first, until
the lease is over.
"""
from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import sys
from typing import Any

from doctor_alarm import exception
from doctor_alarm.objects import delivery
from doctor_alarm.objects import lane as lane_obj
from doctor_alarm.objects import outbox

#: Deliveries of one lane that are enclosed.
AHEAD = 10
#: Characters that are enclosed: a database is faster with more of them.
SIZE = 256 * 1024
#: Bytes of a row, beside its long texts, about.
ROW = 1500
#: What only saves reading.
ENCLOSED = ('deliveries', 'bodies')


@dataclasses.dataclass(frozen=True, slots=True)
class WakeUp:
    """A wake-up that was read; ``deliveries``: by lane, in their order."""

    leases: list[lane_obj.Lease]
    deliveries: Mapping[str, list[delivery.Row]]
    bodies: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of what is enclosed, about."""
        return sum(map(sys.getsizeof, self.bodies.values())) + sum(
            ROW + sys.getsizeof(row.action) + sys.getsizeof(row.reason)
            + sys.getsizeof(row.alarm_name) + sys.getsizeof(row.resource_id)
            for rows in self.deliveries.values() for row in rows)


def make(lanes: Mapping[str, outbox.Lane], lease_until: int,
         deliveries: Iterable[Mapping[str, Any]], bodies: Mapping[str, str],
         same: Mapping[str, int]) -> dict[str, Any]:
    """Return the wake-up for what was stored, see :func:`outbox.store`.

    Without ``committed_at``: it is not committed yet.

    :param lanes: by id; only those that were idle are woken
    """
    some: list[delivery.Row] = []
    used: dict[str, str] = {}
    size = 0
    for row in deliveries:
        lane = lanes[row['lane_id']]
        if not lane.leased or row['sequence'] >= lane.head + AHEAD:
            continue
        message_id = row['message_id']
        body = bodies[message_id]
        # An action may have 8000 characters.
        size += (len(lane.action) + len(row['alarm_name'])
                 + len(row['reason']) + len(row['resource_id'])
                 + len(row.get('reason_data') or '')
                 + (0 if message_id in used else len(body)))
        if size > SIZE:
            break
        used[message_id] = body
        some.append(_row(row, lane, same))
    return {'lanes': [[lane.id, str(lane.token)] for lane in lanes.values()
                      if lane.leased],
            'lease_until': lease_until, 'deliveries': some, 'bodies': used}


def plain(wakeup: Mapping[str, Any]) -> dict[str, Any]:
    """Return a wake-up that encloses nothing."""
    return {key: value for key, value in wakeup.items()
            if key not in ENCLOSED}


def read(payload: Any, *, enclosed: bool) -> WakeUp:
    """Read a wake-up as it came off the wire.

    :param enclosed: with what it encloses
    :raises Invalid: it is none
    """
    try:
        until = int(payload['lease_until'])
        committed_at = int(payload['committed_at'])
        leases = [lane_obj.Lease(str(lane_id), str(token), until, committed_at)
                  for lane_id, token in payload['lanes']]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise exception.Invalid(reason='malformed wake-up') from None
    found: dict[str, list[delivery.Row]] = collections.defaultdict(list)
    if not enclosed:
        return WakeUp(leases, found, {})
    try:
        for values in payload.get('deliveries', ()):
            row = delivery.Row(*values)
            found[row.lane_id].append(row)
        return WakeUp(leases, found, dict(payload.get('bodies', ())))
    except (TypeError, ValueError):
        # That of another version: there is the database.
        return WakeUp(leases, {}, {})


def _row(row: Mapping[str, Any], lane: outbox.Lane,
         same: Mapping[str, int]) -> delivery.Row:
    return delivery.Row(
        lane.id, str(lane.token), lane.action, lane.project_id, lane.alarm_id,
        lane.head, lane.tail, 0, lane.delivery, row['id'], row['sequence'],
        row['alarm_name'], row['severity'], row['previous'], row['current'],
        row['reason'], row['resource_id'], 0, row['message_id'],
        same['created_at'], row['notified_at'], row['transformed_at'],
        same['evaluated_at'], None, row.get('reason_data'))
