# SPDX-License-Identifier: Apache-2.0
"""The alarms and events of a comparison, the same for both services.

Of a hundred alarms 99 are pinned to a server of their own and one is not
pinned and of another event type, so that no event of the run hits it. A batch
may be pinned to one host instead and be told apart by another trait.
"""

import dataclasses
import datetime
import random
import uuid

import sqlalchemy as sa

from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import alarm_bulk

PROJECT = 'b2a5e2a1c5c94d3f8f6b6cf5e1f2d3a4'
TYPE = 'compute.instance.update'
HOST = 'compute-batch.example.org'
OTHER_TYPES = ('volume.update', 'image.update', 'port.update.end',
               'network.update.end', 'volume.attach.end')
#: Rows of one INSERT
CHUNK = 5000


@dataclasses.dataclass(frozen=True)
class Seeds:
    """What is stored and what is sent.

    :ivar count: alarms
    :ivar host_batch: so many of them are pinned to one host
    :ivar half_silent: every second alarm does not repeat its actions, and
        has fired already
    :ivar clears: an alarm ends when its server is active again
    :ivar hot: events concern the first so many alarms only; 0: all of them
    """

    count: int
    host_batch: int = 0
    half_silent: bool = False
    hot: int = 0
    clears: bool = False

    def repeats(self, i):
        return not (self.half_silent and i % 2)

    def rule(self, i):
        failed = _equal('state', 'error')
        if i < self.host_batch:
            return {'event_type': TYPE, 'query': [
                _equal('host', HOST), _equal('display_name', 'vm-%d' % i),
                failed]}
        if i % 100 == 99:
            return {'event_type': OTHER_TYPES[i // 100 % len(OTHER_TYPES)],
                    'query': [failed]}
        clear = {'clear': {'event_type': TYPE, 'query': [
            _equal('state', 'active')]}} if self.clears else {}
        return {'event_type': TYPE, 'query': [
            _equal('instance_id', _server(i)), failed], **clear}

    def hits(self, count, chance):
        """Yield (event, whether it calls back) of events that hit."""
        while count:
            i = chance.randrange(self.hot or self.count)
            if i >= self.host_batch and i % 100 == 99:
                continue
            count -= 1
            yield event(i, 'error', i < self.host_batch), self.repeats(i)

    def misses(self, count, chance):
        """Yield events that hit nothing, half of them of known servers."""
        for _ in range(count):
            i = chance.randrange(self.hot or self.count)
            if chance.random() < 0.5:
                yield event(i, 'active', i < self.host_batch)
            else:
                yield event(2 ** 40 + i, 'error', False)


def _equal(trait, value):
    return {'field': 'traits.%s' % trait, 'op': 'eq', 'type': 'string',
            'value': value}


def _server(i):
    return '%08x-7d1c-4c5e-9a51-%012x' % (random.Random(i).getrandbits(32), i)


def event(i, state, batch):
    """Return an event as Ceilometer sends it.

    The id of the request has that of the message in it: it is found again in
    the call-back, even where an agent got a notification of its own id.
    """
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    name = str(uuid.uuid4())
    host = HOST if batch else 'compute-%d.example.org' % (i % 500)
    text = {
        'audit_period_beginning': '2026-01-01T00:00:00', 'host': host,
        'availability_zone': 'nova', 'display_name': 'vm-%d' % i,
        'instance_id': _server(i), 'instance_type': 'm1.small',
        'old_state': 'active' if state == 'error' else 'building',
        'request_id': 'req-' + name, 'service': 'compute',
        'state': state, 'tenant_id': PROJECT, 'project_id': PROJECT,
        'user_id': '5d2c3b1a7f6e4d5c8b9a0f1e2d3c4b5a'}
    numbers = {'disk_gb': 20, 'ephemeral_gb': 0, 'memory_mb': 2048,
               'root_gb': 20, 'vcpus': 1}
    return {
        'message_id': name, 'event_type': TYPE,
        'generated': now.isoformat(), 'raw': {}, 'message_signature': '',
        'traits': [[name, 1, value] for name, value in text.items()] + [
            [name, 2, value] for name, value in numbers.items()]}


def notification(event):
    """Return type and payload of nova's notification of the same thing."""
    return event['event_type'], {
        name: value for name, _type, value in event['traits']}


def store_ours(db, seeds, url):
    """Store the alarms of the seeds in our tables.

    :param url: of the receiver, or a function from the number of an alarm
    """
    url_of = url if callable(url) else lambda _i: url
    alarm_bulk.import_all(db, (alarm_obj.Alarm(
        name='alarm-%d' % i, type='event', project_id=PROJECT,
        user_id='u', rule=seeds.rule(i), alarm_actions=[url_of(i)],
        repeat_actions=seeds.repeats(i), state=_state(seeds, i))
        for i in range(seeds.count)))


def store_aodh(engine, seeds, url):
    """Store the alarms of the seeds in Aodh's table."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    with engine.begin() as conn:
        table = sa.Table('alarm', sa.MetaData(), autoload_with=conn)
        # The columns hold JSON as text.
        for column in ('ok_actions', 'alarm_actions', 'rule',
                       'insufficient_data_actions', 'time_constraints'):
            table.c[column].type = sa.JSON()
        for start in range(0, seeds.count, CHUNK):
            conn.execute(sa.insert(table), [{
                'alarm_id': str(uuid.uuid4()), 'enabled': True,
                'name': 'alarm-%d' % i, 'type': 'event', 'severity': 'low',
                'description': '', 'timestamp': now, 'user_id': 'u',
                'project_id': PROJECT, 'state': _state(seeds, i),
                'state_reason': 'Not evaluated yet', 'state_timestamp': now,
                'ok_actions': [], 'alarm_actions': [url],
                'insufficient_data_actions': [], 'time_constraints': [],
                'repeat_actions': seeds.repeats(i), 'rule': seeds.rule(i),
                'evaluate_timestamp': now,
            } for i in range(start, min(start + CHUNK, seeds.count))])


def _state(seeds, i):
    return 'insufficient data' if seeds.repeats(i) else 'alarm'
