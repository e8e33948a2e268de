# SPDX-License-Identifier: Apache-2.0
"""Initial schema."""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0001'
down_revision = None

_ASCII = {'charset': 'ascii', 'collation': 'ascii_bin'}
_UTF8 = {'charset': 'utf8mb4', 'collation': 'utf8mb4_bin'}
_TABLE = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
          'mysql_collate': 'utf8mb4_bin', 'mariadb_engine': 'InnoDB',
          'mariadb_charset': 'utf8mb4', 'mariadb_collate': 'utf8mb4_bin'}


def _id(length=36):
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, **_ASCII), 'mysql', 'mariadb')


def _name(length):
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, **_UTF8), 'mysql', 'mariadb')


def _text():
    return sa.Text().with_variant(
        mysql.MEDIUMTEXT(**_UTF8), 'mysql', 'mariadb')


def _serial():
    return sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    _create_alarm()
    _create_composite_member()
    _create_alarm_key()
    _create_refinement()
    _create_active_alarm()
    _create_change()
    _create_event()
    _create_posted_event()
    _create_behind()
    _create_lane()
    _create_delivery()
    _create_quota()
    _create_dead_letter()
    _create_work()
    _create_fault()
    _create_fault_server()
    _create_fault_action()
    _create_fault_delivery()


def downgrade():
    for table in ('fault_delivery', 'fault_action', 'fault_server', 'fault',
                  'work', 'dead_letter', 'quota', 'delivery', 'lane',
                  'behind', 'posted_event', 'event', 'change', 'active_alarm',
                  'refinement', 'alarm_key', 'composite_member', 'alarm'):
        op.drop_table(table)


def _create_alarm():
    op.create_table(
        'alarm',
        sa.Column('id', _id(), nullable=False),
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
        sa.PrimaryKeyConstraint('id', name='pk_alarm'),
        **_TABLE)
    op.create_index('ix_alarm_project_id_timestamp_id', 'alarm',
                    ['project_id', 'timestamp', 'id'])
    op.create_index('ix_alarm_timestamp_id', 'alarm', ['timestamp', 'id'])
    op.create_index('ix_alarm_name', 'alarm', ['name'])
    op.create_index('ix_alarm_user_id', 'alarm', ['user_id'])


def _create_composite_member():
    op.create_table(
        'composite_member',
        sa.Column('composite_id', _id(), nullable=False),
        sa.Column('position', sa.Integer(), autoincrement=False,
                  nullable=False),
        sa.Column('alarm_id', _id(), nullable=False),
        sa.PrimaryKeyConstraint('composite_id', 'position',
                                name='pk_composite_member'),
        **_TABLE)
    op.create_index('ix_composite_member_alarm_id_composite_id',
                    'composite_member', ['alarm_id', 'composite_id'])


def _create_alarm_key():
    op.create_table(
        'alarm_key',
        sa.Column('key', sa.BigInteger(), autoincrement=False,
                  nullable=False),
        sa.Column('alarm_id', _id(), nullable=False),
        sa.PrimaryKeyConstraint('key', 'alarm_id', name='pk_alarm_key'),
        **_TABLE)
    op.create_index('ix_alarm_key_alarm_id', 'alarm_key', ['alarm_id'])


def _create_refinement():
    op.create_table(
        'refinement',
        sa.Column('key', sa.BigInteger(), autoincrement=False,
                  nullable=False),
        sa.Column('names_key', sa.BigInteger(), autoincrement=False,
                  nullable=False),
        sa.Column('names', _text(), nullable=False),
        sa.PrimaryKeyConstraint('key', 'names_key', name='pk_refinement'),
        **_TABLE)


def _create_active_alarm():
    op.create_table(
        'active_alarm',
        sa.Column('alarm_id', _id(), nullable=False),
        sa.Column('resource_key', sa.BigInteger(), autoincrement=False,
                  nullable=False),
        sa.Column('resource_id', _text(), nullable=False),
        sa.Column('project_id', _name(128), nullable=False),
        sa.Column('state', _id(32), nullable=False),
        sa.Column('event_time', sa.BigInteger(), nullable=False),
        sa.Column('publisher_id', _name(255), nullable=False),
        sa.Column('unpaired', sa.Boolean(), nullable=False),
        sa.Column('confirmed', _text(), nullable=True),
        sa.Column('due', sa.BigInteger(), nullable=True),
        sa.Column('updated_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('alarm_id', 'resource_key',
                                name='pk_active_alarm'),
        **_TABLE)
    op.create_index('ix_active_alarm_due', 'active_alarm', ['due'])
    op.create_index('ix_active_alarm_updated_at', 'active_alarm',
                    ['updated_at'])


def _create_change():
    op.create_table(
        'change',
        sa.Column('id', _serial(), autoincrement=True, nullable=False),
        sa.Column('event_id', _id(), nullable=False),
        sa.Column('alarm_id', _id(), nullable=False),
        sa.Column('project_id', _name(128), nullable=False),
        sa.Column('on_behalf_of', _name(128), nullable=False),
        sa.Column('user_id', _name(128), nullable=False),
        sa.Column('type', _id(32), nullable=False),
        sa.Column('detail', _text(), nullable=False),
        sa.Column('timestamp', sa.BigInteger(), nullable=False),
        sa.Column('message_id', _id(64), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_change'),
        sa.UniqueConstraint('alarm_id', 'message_id',
                            name='uq_change_alarm_id_message_id'),
        **_TABLE)
    op.create_index('ix_change_alarm_id_timestamp_id', 'change',
                    ['alarm_id', 'timestamp', 'id'])
    op.create_index('ix_change_on_behalf_of_timestamp_id', 'change',
                    ['on_behalf_of', 'timestamp', 'id'])
    op.create_index('ix_change_timestamp', 'change', ['timestamp'])


def _create_event():
    op.create_table(
        'event',
        sa.Column('message_id', _id(64), nullable=False),
        sa.Column('body', _text(), nullable=False),
        sa.Column('created_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('message_id', name='pk_event'),
        **_TABLE)
    op.create_index('ix_event_created_at', 'event', ['created_at'])


def _create_posted_event():
    op.create_table(
        'posted_event',
        sa.Column('id', _id(), nullable=False),
        sa.Column('host_id', _id(), nullable=False),
        sa.Column('status_id', _id(), nullable=False),
        sa.Column('message_id', _id(64), nullable=False),
        sa.Column('posted_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_posted_event'),
        **_TABLE)
    op.create_index('ix_posted_event_host_id', 'posted_event', ['host_id'])
    op.create_index('ix_posted_event_posted_at', 'posted_event',
                    ['posted_at'])


def _create_behind():
    op.create_table(
        'behind',
        sa.Column('evaluator', _id(), nullable=False),
        sa.Column('since', sa.BigInteger(), nullable=False),
        sa.Column('told_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('evaluator', name='pk_behind'),
        **_TABLE)


def _create_lane():
    op.create_table(
        'lane',
        sa.Column('id', _id(), nullable=False),
        sa.Column('alarm_id', _id(), nullable=False),
        sa.Column('project_id', _name(128), nullable=False),
        sa.Column('action', _text(), nullable=False),
        sa.Column('delivery', _id(64), nullable=False, server_default='{}'),
        sa.Column('head', sa.BigInteger(), nullable=False),
        sa.Column('tail', sa.BigInteger(), nullable=False),
        sa.Column('due', sa.BigInteger(), nullable=True),
        sa.Column('token', _id(), nullable=True),
        sa.Column('attempts', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_lane'),
        **_TABLE)
    op.create_index('ix_lane_alarm_id', 'lane', ['alarm_id'])
    op.create_index('ix_lane_due', 'lane', ['due'])


def _create_delivery():
    op.create_table(
        'delivery',
        sa.Column('id', _id(), nullable=False),
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
        sa.PrimaryKeyConstraint('id', name='pk_delivery'),
        sa.UniqueConstraint('lane_id', 'sequence',
                            name='uq_delivery_lane_id_sequence'),
        **_TABLE)
    op.create_index('ix_delivery_alarm_id_created_at', 'delivery',
                    ['alarm_id', 'created_at'])
    op.create_index('ix_delivery_project_id_created_at', 'delivery',
                    ['project_id', 'created_at'])
    op.create_index('ix_delivery_created_at', 'delivery', ['created_at'])
    op.create_index('ix_delivery_given_up_created_at', 'delivery',
                    ['given_up', 'created_at'])


def _create_quota():
    op.create_table(
        'quota',
        sa.Column('kind', _id(16), nullable=False),
        sa.Column('owner', _name(128), nullable=False),
        sa.Column('resource', _id(64), nullable=False),
        sa.Column('hard_limit', sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint('kind', 'owner', 'resource',
                                name='pk_quota'),
        **_TABLE)


def _create_dead_letter():
    op.create_table(
        'dead_letter',
        sa.Column('id', _id(), nullable=False),
        sa.Column('message_id', _name(255), nullable=False),
        sa.Column('source', _name(255), nullable=False),
        sa.Column('reason', _text(), nullable=False),
        sa.Column('body', _text(), nullable=False),
        sa.Column('created_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_dead_letter'),
        **_TABLE)
    op.create_index('ix_dead_letter_created_at', 'dead_letter',
                    ['created_at'])


def _create_work():
    op.create_table(
        'work',
        sa.Column('id', _serial(), autoincrement=True, nullable=False),
        sa.Column('body', _text(), nullable=False),
        sa.Column('created_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_work'),
        **_TABLE)


def _create_fault():
    op.create_table(
        'fault',
        sa.Column('id', _id(64), nullable=False),
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
        sa.PrimaryKeyConstraint('id', name='pk_fault'),
        **_TABLE)
    op.create_index('ix_fault_created_at_id', 'fault', ['created_at', 'id'])


def _create_fault_server():
    op.create_table(
        'fault_server',
        sa.Column('message_id', _id(64), nullable=False),
        sa.Column('fault_id', _id(64), nullable=False),
        sa.Column('server_id', _text(), nullable=False),
        sa.Column('name', _text(), nullable=False),
        sa.Column('project_id', _text(), nullable=False),
        sa.Column('state', _text(), nullable=False),
        sa.Column('created_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('message_id', name='pk_fault_server'),
        **_TABLE)
    _index_of_fault('fault_server')


def _create_fault_action():
    op.create_table(
        'fault_action',
        sa.Column('message_id', _id(64), nullable=False),
        sa.Column('fault_id', _id(64), nullable=False),
        sa.Column('target', _text(), nullable=False),
        sa.Column('action', _id(32), nullable=False),
        sa.Column('outcome', _id(32), nullable=False),
        sa.Column('reason', _text(), nullable=False),
        sa.Column('ended_at', sa.BigInteger(), nullable=False),
        sa.Column('created_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('message_id', name='pk_fault_action'),
        **_TABLE)
    _index_of_fault('fault_action')


def _create_fault_delivery():
    op.create_table(
        'fault_delivery',
        sa.Column('delivery_id', _id(), nullable=False),
        sa.Column('fault_id', _id(64), nullable=False),
        sa.Column('created_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('delivery_id', name='pk_fault_delivery'),
        **_TABLE)
    _index_of_fault('fault_delivery')


def _index_of_fault(table):
    for column in ('fault_id', 'created_at'):
        op.create_index('ix_%s_%s' % (table, column), table, [column])
