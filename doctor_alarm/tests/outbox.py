# SPDX-License-Identifier: Apache-2.0
"""Deliveries as an evaluator leaves them, and what became of them."""

import json
import time
import uuid

import sqlalchemy as sa

from doctor_alarm.db import batch
from doctor_alarm.db import models
from doctor_alarm import event
from doctor_alarm.objects import known
from doctor_alarm.objects import outbox
from doctor_alarm.objects import wakeup


def an_event(vm='vm1', traits=None):
    now = event.from_us(time.time_ns() // 1000)
    return event.build(event.Parts(
        message_id=str(uuid.uuid4()), event_type='compute.instance.update',
        generated=now, publisher_id='nova', project_id='p1',
        traits=traits or {'instance_id': vm, 'state': 'error'}), received=now)


class Outbox:
    """Writes lanes and deliveries through the evaluator's own statements."""

    def __init__(self, db, lease=200.0, enclosing=False):
        self.db = db
        self.lease = lease
        self.enclosing = enclosing

    def lane(self, action, alarm_id=None, project_id='p1', **delivery):
        """A lane that is not stored yet.

        :param delivery: what its alarm says of how they age
        """
        alarm_id = alarm_id or str(uuid.uuid4())
        return outbox.Lane(
            id=outbox.lane_id(alarm_id, action), alarm_id=alarm_id,
            project_id=project_id, action=action,
            delivery=json.dumps(delivery))

    def fire(self, *lanes, times=1, event=None, created_at=None, lease=None,
             **values):
        """Append deliveries to each lane, in one transaction.

        :returns: the wake-up, which names the lanes that were idle
        """
        event = event or an_event()
        now = created_at or time.time_ns() // 1000
        until = self.db.now() + int((lease or self.lease) * 1e6)
        with self.db.writer() as conn:
            locked = {lane.id: lane for lane in lanes}
            known.read(conn, self.db.dialect, changes=[], notifications=[],
                       resources=[], lanes=locked)
            deliveries = [
                row(lane, lane.append(until), event) | values
                for lane in locked.values() for _ in range(times)]
            out = batch.Batch(conn)
            bodies = {event.message_id: outbox.body(event)}
            same = {'created_at': now, 'evaluated_at': now}
            outbox.store(
                out, changes=[], deliveries=deliveries, bodies=bodies,
                lanes=locked.values(), same=same)
            out.run()
        hint = wakeup.make(locked, until, deliveries, bodies, same) | {
            'committed_at': time.time_ns() // 1000}
        for lane in locked.values():
            lane.leased = False
        return hint if self.enclosing else wakeup.plain(hint)

    def expire(self):
        """Let all leases and pauses end now."""
        with self.db.writer() as conn:
            conn.execute(sa.update(models.lane).where(
                models.lane.c.due.is_not(None)).values(due=self.db.now() - 1))

    def lanes(self):
        return self._all(models.lane, models.lane.c.id)

    def deliveries(self):
        return self._all(models.delivery, models.delivery.c.lane_id,
                         models.delivery.c.sequence)

    def statuses(self):
        return [row.status for row in self.deliveries()]

    def idle(self):
        """Whether no lane waits for anything."""
        with self.db.reader() as conn:
            return conn.execute(sa.select(models.lane.c.id).where(
                models.lane.c.due.is_not(None)).limit(1)).first() is None

    def waiting(self):
        with self.db.reader() as conn:
            return conn.execute(
                sa.select(sa.func.count()).select_from(models.delivery)
                .where(models.delivery.c.status == 'pending')).scalar_one()

    def _all(self, table, *order):
        with self.db.reader() as conn:
            return conn.execute(sa.select(table).order_by(*order)).all()


def row(lane, sequence, event):
    """A delivery as the evaluator stores it."""
    return {
        'id': str(uuid.uuid4()), 'lane_id': lane.id, 'sequence': sequence,
        'alarm_id': lane.alarm_id, 'message_id': event.message_id,
        'project_id': lane.project_id, 'alarm_name': 'vm down',
        'severity': 'critical', 'previous': 'ok', 'current': 'alarm',
        'reason': 'Event <id=%s> hits the query' % event.message_id,
        'resource_id': event.resource_id, 'notified_at': event.generated_us,
        'transformed_at': event.transformed_at}
