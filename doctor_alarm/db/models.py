# SPDX-License-Identifier: Apache-2.0
"""Tables. Times are BIGINT microseconds UTC; ids and keys compare bytewise."""
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData(naming_convention={
    'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
    'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
    'pk': 'pk_%(table_name)s',
})

# NOTE: the default collation of MariaDB takes 'aB' for 'Ab'.
_ASCII = {'charset': 'ascii', 'collation': 'ascii_bin'}
_UTF8 = {'charset': 'utf8mb4', 'collation': 'utf8mb4_bin'}


def _id(length: int = 36) -> sa.String:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, **_ASCII), 'mysql', 'mariadb')


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, **_UTF8), 'mysql', 'mariadb')


def _text() -> sa.Text:
    return sa.Text().with_variant(
        mysql.MEDIUMTEXT(**_UTF8), 'mysql', 'mariadb')


def _serial() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


_TABLE: dict[str, Any] = {
    '%s_%s' % (dialect, name): value for dialect in ('mysql', 'mariadb')
    for name, value in (('engine', 'InnoDB'), ('charset', 'utf8mb4'),
                        ('collate', 'utf8mb4_bin'))}

#: Definitions and their present state. ``version`` counts what the API
#: changed: the evaluator matches again where it moved since the look-up.
#: ``active_count``: resources in alarm, for alarms with ``clear``.
#: ``led_to_*``: how often events led to each state.
#: ``composed``: composites depend on it; kept by who changes their rules.
alarm = sa.Table(
    'alarm', metadata,
    sa.Column('id', _id(), primary_key=True),
    sa.Column('name', _name(255), nullable=False),
    sa.Column('type', _id(50), nullable=False),
    sa.Column('description', _text(), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('severity', _id(16), nullable=False),
    sa.Column('state', _id(32), nullable=False),
    sa.Column('state_reason', _text(), nullable=False),
    sa.Column('state_timestamp', sa.BigInteger(), nullable=False),
    sa.Column('timestamp', sa.BigInteger(), nullable=False),
    sa.Column('evaluate_timestamp', sa.BigInteger(), nullable=False),
    sa.Column('project_id', _name(128), nullable=False),
    sa.Column('user_id', _name(128), nullable=False),
    sa.Column('repeat_actions', sa.Boolean(), nullable=False),
    sa.Column('rule', _text(), nullable=False),
    sa.Column('ok_actions', _text(), nullable=False),
    sa.Column('alarm_actions', _text(), nullable=False),
    sa.Column('insufficient_data_actions', _text(), nullable=False),
    sa.Column('time_constraints', _text(), nullable=False),
    sa.Column('delivery', _id(64), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('active_count', sa.Integer(), nullable=False),
    sa.Column('led_to_ok', sa.BigInteger(), nullable=False,
              server_default='0'),
    sa.Column('led_to_alarm', sa.BigInteger(), nullable=False,
              server_default='0'),
    sa.Column('composed', sa.Boolean(), nullable=False,
              server_default=sa.false()),
    sa.Index(None, 'project_id', 'timestamp', 'id'),
    sa.Index(None, 'timestamp', 'id'),
    # Clients look alarms up by name.
    sa.Index(None, 'name'),
    # The quota of a user counts them.
    sa.Index(None, 'user_id'),
    **_TABLE)

#: What the rules of composites are made of: the alarm behind each leaf, by
#: its place in the rule. One that a rule refers to may be gone.
composite_member = sa.Table(
    'composite_member', metadata,
    sa.Column('composite_id', _id(), primary_key=True),
    sa.Column('position', sa.Integer(), primary_key=True,
              autoincrement=False),
    sa.Column('alarm_id', _id(), nullable=False),
    sa.Index(None, 'alarm_id', 'composite_id'),
    **_TABLE)

#: Match keys (``match.keys_of_alarm``): 64-bit hashes, so that any length and
#: any character of a resource ID is one number. A collision costs a look.
alarm_key = sa.Table(
    'alarm_key', metadata,
    sa.Column('key', sa.BigInteger(), primary_key=True,
              autoincrement=False),
    sa.Column('alarm_id', _id(), primary_key=True),
    sa.Index(None, 'alarm_id'),
    **_TABLE)

#: Where many alarms share a key, the rest of what their rules demand to be
#: equal makes a key of its own. The shared one then has a row in ``alarm_key``
#: with the alarm ``*``, and here the traits that tell its alarms apart: a JSON
#: list; ``names_key``: hash of it.
refinement = sa.Table(
    'refinement', metadata,
    sa.Column('key', sa.BigInteger(), primary_key=True,
              autoincrement=False),
    sa.Column('names_key', sa.BigInteger(), primary_key=True,
              autoincrement=False),
    sa.Column('names', _text(), nullable=False),
    **_TABLE)

#: State of each resource of an alarm with ``clear`` or a time-out; where that
#: is of any resource, of one without a name. ``resource_key``: hash of
#: ``resource_id``. ``unpaired``: the last clear had no raise before it.
#: ``confirmed``: messages that changed nothing but came again could, JSON.
#: ``due``: when the wait for an event ends, empty while nothing is waited for.
active_alarm = sa.Table(
    'active_alarm', metadata,
    sa.Column('alarm_id', _id(), primary_key=True),
    sa.Column('resource_key', sa.BigInteger(), primary_key=True,
              autoincrement=False),
    sa.Column('resource_id', _text(), nullable=False),
    sa.Column('project_id', _name(128), nullable=False),
    sa.Column('state', _id(32), nullable=False),
    sa.Column('event_time', sa.BigInteger(), nullable=False),
    sa.Column('publisher_id', _name(255), nullable=False),
    sa.Column('unpaired', sa.Boolean(), nullable=False),
    sa.Column('confirmed', _text(), nullable=True),
    sa.Column('due', sa.BigInteger(), nullable=True),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'due'),
    sa.Index(None, 'updated_at'),
    **_TABLE)

#: History. ``message_id`` is set where an event made the change: the second
#: one of an (alarm, message) is refused.
change = sa.Table(
    'change', metadata,
    sa.Column('id', _serial(), primary_key=True, autoincrement=True),
    sa.Column('event_id', _id(), nullable=False),
    sa.Column('alarm_id', _id(), nullable=False),
    sa.Column('project_id', _name(128), nullable=False),
    sa.Column('on_behalf_of', _name(128), nullable=False),
    sa.Column('user_id', _name(128), nullable=False),
    sa.Column('type', _id(32), nullable=False),
    sa.Column('detail', _text(), nullable=False),
    sa.Column('timestamp', sa.BigInteger(), nullable=False),
    sa.Column('message_id', _id(64), nullable=True),
    sa.UniqueConstraint('alarm_id', 'message_id'),
    sa.Index(None, 'alarm_id', 'timestamp', 'id'),
    # A project searches its own history, however long that of others is.
    sa.Index(None, 'on_behalf_of', 'timestamp', 'id'),
    sa.Index(None, 'timestamp'),
    **_TABLE)

#: Events that fired something, once each; bodies are built when sent.
event = sa.Table(
    'event', metadata,
    sa.Column('message_id', _id(64), primary_key=True),
    sa.Column('body', _text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'created_at'),
    **_TABLE)

#: What was posted lately, where ``[event] duplicate_window`` is set: the first
#: of the same (poster, type, host, status), whose id the others get.
posted_event = sa.Table(
    'posted_event', metadata,
    sa.Column('id', _id(), primary_key=True),
    sa.Column('host_id', _id(), nullable=False),
    sa.Column('status_id', _id(), nullable=False),
    sa.Column('message_id', _id(64), nullable=False),
    sa.Column('posted_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'host_id'),
    sa.Index(None, 'posted_at'),
    **_TABLE)

#: The ordered way from one alarm to one action. Deliveries ``head`` to
#: ``tail`` wait; ``due`` is empty while nothing does, else the time from which
#: the sweep may take the lane: end of a lease (``token`` set) or of a backoff.
#: ``delivery``: that of the alarm, which may be deleted by then.
lane = sa.Table(
    'lane', metadata,
    sa.Column('id', _id(), primary_key=True),
    sa.Column('alarm_id', _id(), nullable=False),
    sa.Column('project_id', _name(128), nullable=False),
    sa.Column('action', _text(), nullable=False),
    sa.Column('delivery', _id(64), nullable=False, server_default='{}'),
    sa.Column('head', sa.BigInteger(), nullable=False),
    sa.Column('tail', sa.BigInteger(), nullable=False),
    sa.Column('due', sa.BigInteger(), nullable=True),
    sa.Column('token', _id(), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Index(None, 'alarm_id'),
    sa.Index(None, 'due'),
    **_TABLE)

#: One notification to one action, with the alarm as it was when it fired.
#: ``id`` is the notification_id that receivers see. Stages of OPNFV Doctor's
#: profiler: T05 notified, T06 transformed, T07 evaluated, T08 fired,
#: T09 received. ``dropped_at``: when it was not sent, because there was
#: something newer. ``replayed_at``: when somebody last asked to send it again.
#: ``reason_data``: what receivers get beside the event, JSON; empty where
#: there is no more.
#: ``given_up``: the status of those that were not sent; so their index costs
#: the others, whose status changes, next to nothing.
delivery = sa.Table(
    'delivery', metadata,
    sa.Column('id', _id(), primary_key=True),
    sa.Column('lane_id', _id(), nullable=False),
    sa.Column('sequence', sa.BigInteger(), nullable=False),
    sa.Column('alarm_id', _id(), nullable=False),
    sa.Column('message_id', _id(64), nullable=False),
    sa.Column('project_id', _name(128), nullable=False),
    sa.Column('alarm_name', _name(255), nullable=False),
    sa.Column('severity', _id(16), nullable=False),
    sa.Column('previous', _id(32), nullable=False),
    sa.Column('current', _id(32), nullable=False),
    sa.Column('reason', _text(), nullable=False),
    sa.Column('reason_data', _text(), nullable=True),
    sa.Column('resource_id', _text(), nullable=False),
    sa.Column('status', _id(16), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('last_error', _text(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('notified_at', sa.BigInteger(), nullable=False),
    sa.Column('transformed_at', sa.BigInteger(), nullable=False),
    sa.Column('evaluated_at', sa.BigInteger(), nullable=False),
    sa.Column('committed_at', sa.BigInteger(), nullable=True),
    sa.Column('fired_at', sa.BigInteger(), nullable=True),
    sa.Column('received_at', sa.BigInteger(), nullable=True),
    sa.Column('dropped_at', sa.BigInteger(), nullable=True),
    sa.Column('replayed_at', sa.BigInteger(), nullable=True),
    sa.Column('given_up', _id(16), sa.Computed(
        "CASE WHEN status IN ('dead', 'expired', 'superseded') "
        'THEN status END', persisted=True), nullable=True),
    sa.UniqueConstraint('lane_id', 'sequence'),
    sa.Index(None, 'given_up', 'created_at'),
    sa.Index(None, 'alarm_id', 'created_at'),
    sa.Index(None, 'project_id', 'created_at'),
    sa.Index(None, 'created_at'),
    **_TABLE)

#: Evaluators that hold events for longer than usual, since when, and when each
#: said so last: an absence is not told before they have caught up.
behind = sa.Table(
    'behind', metadata,
    sa.Column('evaluator', _id(), primary_key=True),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('told_at', sa.BigInteger(), nullable=False),
    **_TABLE)

#: Limits that were set, and what new alarms lock to be counted one by one.
#: ``kind``: of a ``project`` or a ``user``. ``hard_limit`` empty: the default.
quota = sa.Table(
    'quota', metadata,
    sa.Column('kind', _id(16), primary_key=True),
    sa.Column('owner', _name(128), primary_key=True),
    sa.Column('resource', _id(64), primary_key=True),
    sa.Column('hard_limit', sa.Integer(), nullable=True),
    **_TABLE)

#: What was put aside where there is no broker to keep it (standalone).
dead_letter = sa.Table(
    'dead_letter', metadata,
    sa.Column('id', _id(), primary_key=True),
    sa.Column('message_id', _name(255), nullable=False),
    sa.Column('source', _name(255), nullable=False),
    sa.Column('reason', _text(), nullable=False),
    sa.Column('body', _text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'created_at'),
    **_TABLE)

#: A fault, or its end, as an inspector told it; ``id``: that of the event
#: which told the service. Stages of OPNFV Doctor's profiler: T00 occurred, T01
#: detected, T02 found (``reported_at`` is between them). T05 and T06 are T02.
fault = sa.Table(
    'fault', metadata,
    sa.Column('id', _id(64), primary_key=True),
    sa.Column('status', _id(16), nullable=False),
    sa.Column('fault_type', _name(255), nullable=False),
    sa.Column('root_cause', _text(), nullable=False),
    sa.Column('cause', _text(), nullable=False),
    sa.Column('source', _text(), nullable=False),
    sa.Column('resource_id', _text(), nullable=False),
    sa.Column('host', _text(), nullable=False),
    sa.Column('affected', sa.BigInteger(), nullable=False),
    sa.Column('unmonitored', sa.BigInteger(), nullable=False),
    sa.Column('occurred_at', sa.BigInteger(), nullable=True),
    sa.Column('detected_at', sa.BigInteger(), nullable=False),
    sa.Column('reported_at', sa.BigInteger(), nullable=True),
    sa.Column('found_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'created_at', 'id'),
    **_TABLE)

#: The servers that a fault hits, and what nova and neutron were told of it
#: (T03 set error, T04 marked down); each by the event of the inspector that
#: told it. Any of them may be there before the fault itself is.
fault_server = sa.Table(
    'fault_server', metadata,
    sa.Column('message_id', _id(64), primary_key=True),
    sa.Column('fault_id', _id(64), nullable=False),
    sa.Column('server_id', _text(), nullable=False),
    sa.Column('name', _text(), nullable=False),
    sa.Column('project_id', _text(), nullable=False),
    sa.Column('state', _text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'fault_id'),
    sa.Index(None, 'created_at'),
    **_TABLE)

fault_action = sa.Table(
    'fault_action', metadata,
    sa.Column('message_id', _id(64), primary_key=True),
    sa.Column('fault_id', _id(64), nullable=False),
    sa.Column('target', _text(), nullable=False),
    sa.Column('action', _id(32), nullable=False),
    sa.Column('outcome', _id(32), nullable=False),
    sa.Column('reason', _text(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'fault_id'),
    sa.Index(None, 'created_at'),
    **_TABLE)

#: Which deliveries tell of a fault.
fault_delivery = sa.Table(
    'fault_delivery', metadata,
    sa.Column('delivery_id', _id(), primary_key=True),
    sa.Column('fault_id', _id(64), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Index(None, 'fault_id'),
    sa.Index(None, 'created_at'),
    **_TABLE)

#: What nova and neutron are to be told, where there is no broker to keep it
#: (standalone): a JSON list of events in wire form, in the order of ``id``.
work = sa.Table(
    'work', metadata,
    sa.Column('id', _serial(), primary_key=True, autoincrement=True),
    sa.Column('body', _text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    **_TABLE)
